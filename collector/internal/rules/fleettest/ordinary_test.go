package fleettest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logger"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/plimsoll/plimsoll/alerts"
	"github.com/plimsoll/plimsoll/collector/internal/engine"
	"github.com/plimsoll/plimsoll/collector/internal/notify"
	"github.com/plimsoll/plimsoll/collector/internal/rules"
)

func TestMain(m *testing.M) {
	logger.SetOutputForTests(io.Discard)
	os.Exit(m.Run())
}

// step is the time between two samples and between two evaluations.
const step = 30 * time.Second

// said is one thing the rules told the notifier, once.
type said struct {
	alert *model.Alert
	after time.Duration
	over  bool
}

func (s said) String() string {
	text := fmt.Sprintf("%s after %s", s.alert.Labels, s.after)
	if s.over {
		text += ", resolved"
	}
	return text
}

// listener keeps what is told, without repeats.
type listener struct {
	begin  time.Time
	now    time.Time
	firing map[model.Fingerprint]bool
	all    []said
}

func (l *listener) notify(_ context.Context, told ...*model.Alert) error {
	for _, a := range told {
		over := !a.EndsAt.After(l.now)
		if l.firing[a.Fingerprint()] == !over {
			continue
		}
		l.firing[a.Fingerprint()] = !over
		l.all = append(l.all, said{a, l.now.Sub(l.begin), over})
	}
	return nil
}

// TestOrdinaryDaysPageNobodyAndALostClusterOnce: a rolling deployment, a node drain, batch jobs and a container that idles in
// bursts go on in one cluster while the other is unplugged.
func TestOrdinaryDaysPageNobodyAndALostClusterOnce(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	eng, err := engine.Open(engine.Config{DataDir: t.TempDir()}, log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	}()
	const length, cut = 50 * time.Minute, 20 * time.Minute
	begin := time.Now().Add(-length).Truncate(step)
	heard := &listener{begin: begin, firing: map[model.Fingerprint]bool{}}
	m, err := rules.New(rules.Config{Builtin: alerts.FS()}, rules.Ports{
		Query: rules.Queries(eng.Query), Append: eng.Append, Notify: heard.notify, Flush: eng.Flush,
	}, log, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for at := time.Duration(0); at < length; at += step {
		f := &fleet{at: begin.Add(at)}
		f.calm(at)
		f.unplugged(at, cut)
		if err := eng.Append(f.batch); err != nil {
			t.Fatal(err)
		}
		eng.Flush()
		heard.now = f.at
		m.Evaluate(t.Context(), f.at)
	}

	var calm, before, after []said
	for _, s := range heard.all {
		cluster, severity := s.alert.Labels["cluster"], s.alert.Labels["severity"]
		switch {
		case severity != "critical" && severity != "warning":
		case cluster != "lost":
			calm = append(calm, s)
		case s.after < cut+time.Minute:
			before = append(before, s)
		default:
			after = append(after, s)
		}
	}
	if len(calm) != 0 {
		t.Errorf("an ordinary day told %v", calm)
	}
	if len(before) != 4 {
		t.Errorf("before it was unplugged the cluster told %v, want its 4 full containers", before)
	}
	if len(after) != 1 || after[0].alert.Name() != "ClusterTelemetryLost" || after[0].over {
		t.Fatalf("the unplugged cluster told %v, want ClusterTelemetryLost alone", after)
	}
	t.Logf("200 containers on 20 nodes unplugged: %s, %s later, and nothing else", after[0].alert.Name(), after[0].after-cut)

	if n := notifications(t, log, append(before, after...)); n["ClusterTelemetryLost"] != 1 || len(n) != 1 {
		t.Errorf("notified %v, want the lost cluster once: it inhibits what is known of its containers", n)
	}
}

// calm is a cluster in which nothing is wrong: three workloads in the course of their lives.
func (f *fleet) calm(at time.Duration) {
	const cluster = "calm"
	for i := range 4 {
		f.node(node(cluster, name("n", i)), f.at, at)
	}
	// A container that idles in bursts: throttled in half of its periods, and it hurts nobody.
	f.container(container(cluster, "n00", "bursty", "bursty-0"), load{age: at + time.Hour, cores: 0.02, throttledShare: 0.5, throttledSeconds: 0.3, memoryShare: 0.4})
	// A database whose page cache fills its limit.
	f.container(container(cluster, "n00", "db", "db-0"), load{age: at + time.Hour, cores: 0.5, memoryShare: 0.6})

	// A rolling deployment of 6 replicas from 10 min on, one every 2 min: the old one is stopped, the new one starts.
	replaced := 0
	for i := range 6 {
		stop := 10*time.Minute + time.Duration(i)*2*time.Minute
		where := name("n", i%3)
		old := container(cluster, where, "web", name("old-", i))
		if at <= stop {
			f.container(old, load{age: at + time.Hour, over: at == stop, cores: 0.3, memoryShare: 0.5})
		}
		if at >= stop && at < stop+15*time.Minute {
			f.put("container_exits_total", 1, old.with("reason", "stopped"))
		} else if at == stop-step {
			f.put("container_exits_total", 0, old.with("reason", "stopped"))
		}
		if at > stop {
			f.container(container(cluster, where, "web", name("new-", i)), load{age: at - stop, cores: 0.3, memoryShare: 0.5, starting: at < stop+time.Minute})
			replaced++
		}
	}
	ready := 6
	if replaced > 0 && replaced < 6 {
		ready = 5
	}
	f.workload(cluster, "web", 6, ready, replaced)

	// Node n03 is drained at 15 min: its 8 containers stop and start on n01 a minute later. Its agent goes on.
	const drain = 15 * time.Minute
	for i := range 8 {
		old := container(cluster, "n03", "api", name("a-", i))
		if at <= drain {
			f.container(old, load{age: at + time.Hour, over: at == drain, cores: 0.2, memoryShare: 0.5})
		}
		switch {
		case at == drain-step:
			f.put("container_exits_total", 0, old.with("reason", "stopped"))
		case at >= drain && at < drain+15*time.Minute:
			f.put("container_exits_total", 1, old.with("reason", "stopped"))
		}
		if at > drain+time.Minute {
			f.container(container(cluster, "n01", "api", name("b-", i)), load{age: at - drain - time.Minute, cores: 0.2, memoryShare: 0.5, starting: at < drain+2*time.Minute})
		}
	}
	up := 8
	if at >= drain && at < drain+2*time.Minute {
		up = 0
	}
	f.workload(cluster, "api", 8, up, 8)

	// A batch job every 10 min: 4 min of all the CPU and I/O it can get, most of its memory, then code 0.
	run, since := int(at/(10*time.Minute)), at%(10*time.Minute)
	job := container(cluster, "n02", "report", fmt.Sprintf("report-%d", run))
	if since <= 4*time.Minute {
		f.container(job, load{age: since, over: since == 4*time.Minute, cores: 0.98, throttledShare: 0.6, throttledSeconds: 0.5, memoryShare: 0.3 + 0.6*since.Minutes()/4, ioStalled: 0.5, cpuWaiting: 0.7})
	}
	if since == 4*time.Minute-step {
		f.put("container_exits_total", 0, job.with("reason", "completed"))
	} else if since >= 4*time.Minute {
		f.put("container_exits_total", 1, job.with("reason", "completed"))
	}
}

// unplugged is a cluster of 20 nodes with 10 containers each that all fall silent at the cut, four of the containers while they
// are near their memory limit.
func (f *fleet) unplugged(at, cut time.Duration) {
	heard := f.at
	if at >= cut {
		heard = f.at.Add(cut - at - step)
	}
	for i := range 20 {
		f.node(node("lost", name("n", i)), heard, at)
		for j := range 10 {
			if at >= cut {
				continue
			}
			l := load{age: at + time.Hour, cores: 0.3, memoryShare: 0.5}
			if j == 0 && i < 4 {
				l.memoryShare = 0.95
			}
			if j == 1 && at >= cut-3*time.Minute { // began a moment ago: must not fire on what stands still
				l.memoryShare = 0.95
			}
			f.container(container("lost", name("n", i), "web", fmt.Sprintf("w-%d-%d", i, j)), l)
		}
	}
	if at < cut {
		f.workload("lost", "web", 200, 200, 200)
	}
}

// notifications passes alerts to the notifier with its default routing and inhibition, and counts what comes out, by name.
func notifications(t *testing.T, log *slog.Logger, told []said) map[string]int {
	t.Helper()
	var posts atomic.Int32
	names := make(chan string, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body struct{ GroupLabels map[string]string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		posts.Add(1)
		names <- body.GroupLabels["alertname"]
	}))
	defer server.Close()
	text, err := os.ReadFile("../../notify/default.yml")
	if err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer("receiver: nobody", "receiver: hook", "- name: nobody", fmt.Sprintf("- name: hook\n    webhook_configs: [{url: %q}]", server.URL)).Replace(string(text))
	file := filepath.Join(t.TempDir(), "alertmanager.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := notify.Open(notify.Config{DataDir: t.TempDir(), ConfigFile: file}, log, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	slices.Reverse(told) // the source of an inhibition first; a real one has fired for minutes
	var now []*model.Alert
	for _, s := range told {
		alert := *s.alert
		alert.StartsAt, alert.EndsAt = time.Now(), time.Now().Add(time.Hour)
		now = append(now, &alert)
	}
	if err := n.Put(ctx, now...); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // group_wait is 1 s
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	counted := map[string]int{}
	close(names)
	for name := range names {
		counted[name]++
	}
	t.Logf("%d alerts put, notifications %v (%d posts)", len(now), slices.Sorted(maps.Keys(counted)), posts.Load())
	return counted
}
