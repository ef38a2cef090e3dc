package fleettest

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/alerts"
	"github.com/plimsoll/plimsoll/collector/internal/engine"
	"github.com/plimsoll/plimsoll/collector/internal/evidence"
	"github.com/plimsoll/plimsoll/collector/internal/releases"
	"github.com/plimsoll/plimsoll/collector/internal/rules"
)

// TestThePackOverALargeFleet prints what every group of the pack costs over PLIMSOLL_SHOW_CONTAINERS containers, in CPU time
// and as a share of its interval; the bar is 20 %. make show-rules-10k runs it.
func TestThePackOverALargeFleet(t *testing.T) {
	containers, err := strconv.Atoi(os.Getenv("PLIMSOLL_SHOW_CONTAINERS"))
	if err != nil {
		t.Skip("takes minutes: make show-rules-10k")
	}
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
	now := time.Now().Truncate(time.Second)
	h := history{eng: eng, now: now}
	h.fill(t, containers)
	eng.Flush()
	t.Logf("%d containers, %d series, %d samples, stored with %.0f s of CPU time", containers, h.series, h.samples, cpu().Seconds())

	ports := rules.Ports{Query: rules.Queries(eng.Query), Append: eng.Append, Notify: nobody, Flush: eng.Flush}
	t.Logf("%-24s %9s %6s %12s %12s %9s", "group", "interval", "rules", "CPU", "elapsed", "share")
	total := 0.0
	for _, g := range packGroups(t) {
		evaluate := func() {
			m, err := rules.New(rules.Config{Builtin: g.files}, ports, log, prometheus.NewRegistry())
			if err != nil {
				t.Fatal(err)
			}
			m.Evaluate(t.Context(), now)
		}
		evaluate() // fills the caches
		const times = 3
		before, begin := cpu(), time.Now()
		for range times {
			evaluate()
		}
		used, took := (cpu()-before)/times, time.Since(begin)/times
		share := used.Seconds() / g.interval.Seconds()
		total += share
		t.Logf("%-24s %9s %6d %12s %12s %8.1f%%", g.name, g.interval, g.rules, used.Round(time.Millisecond), took.Round(time.Millisecond), 100*share)
		if share > 0.2 {
			t.Errorf("%s needs %.0f %% of its interval, the bar is 20 %%", g.name, 100*share)
		}
	}
	t.Logf("all groups together: %.1f%% of one core", 100*total)
	evidenceOf(t, eng, containers)
}

// evidenceOf prints what it costs to look up what an alert is told with, of alerts nothing is known of yet, and how many of a round get
// theirs within its 200 ms.
func evidenceOf(t *testing.T, eng *engine.Engine, containers int) {
	t.Helper()
	ask := func(ctx context.Context, expr string, at time.Time) ([]releases.Sample, error) {
		found, err := eng.Query(ctx, expr, at)
		all := make([]releases.Sample, 0, len(found))
		for _, s := range found {
			if len(s.Values) == 0 {
				continue
			}
			one := releases.Sample{Labels: map[string]string{}, Value: s.Values[len(s.Values)-1]}
			for _, l := range s.Labels {
				one.Labels[l.Name] = l.Value
			}
			all = append(all, one)
		}
		return all, err
	}
	kinds := map[string]func(i int) model.LabelSet{
		"a container": func(i int) model.LabelSet { return set(fleetContainer(i % containers)) },
		"a node":      func(i int) model.LabelSet { return set(fleetContainer(100 * i % containers)[2:8]) },
		"a collector": func(int) model.LabelSet { return model.LabelSet{"collector": "col"} },
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		var told []*model.Alert
		filler, err := evidence.New(ask, func(_ context.Context, alerts ...*model.Alert) error { told = alerts; return nil }, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		const alone = 50
		before, begin, with := cpu(), time.Now(), 0
		for i := range alone {
			if err := filler.Put(t.Context(), &model.Alert{Labels: kinds[kind](i), StartsAt: time.Now()}); err != nil {
				t.Fatal(err)
			}
			if told[0].Annotations[evidence.Usage] != "" || kind == "a collector" {
				with++
			}
		}
		each, took := (cpu()-before)/alone, time.Since(begin)/alone
		round := make([]*model.Alert, 100)
		for i := range round {
			round[i] = &model.Alert{Labels: kinds[kind](alone + i), StartsAt: time.Now()}
		}
		begin = time.Now()
		if err := filler.Put(t.Context(), round...); err != nil {
			t.Fatal(err)
		}
		elapsed, filled := time.Since(begin), 0
		for _, a := range told {
			if a.Annotations[evidence.Usage] != "" || kind == "a collector" {
				filled++
			}
		}
		t.Logf("evidence of %-12s CPU %s, elapsed %s each, %d of %d alone had theirs; of 100 in one round %d, which took %s", kind+":", each.Round(10*time.Microsecond), took.Round(10*time.Microsecond), with, alone, filled, elapsed.Round(time.Millisecond))
		if with < alone*9/10 {
			t.Errorf("%s: %d of %d alerts that came alone had their evidence", kind, with, alone)
		}
	}
}

func set(l labels) model.LabelSet {
	s := model.LabelSet{}
	for i := 0; i+1 < len(l); i += 2 {
		s[model.LabelName(l[i])] = model.LabelValue(l[i+1])
	}
	return s
}

// fleetContainer is the ith container of the large fleet.
func fleetContainer(i int) labels {
	return labels{"project", fmt.Sprintf("p%d", i/10%100), "idc", fmt.Sprintf("i%d", i/100/10/4), "cluster", fmt.Sprintf("c%d", i/100/10), "node", fmt.Sprintf("n%d", i/100),
		"namespace", fmt.Sprintf("ns%d", i/10%100), "workload", fmt.Sprintf("w%d", i/10), "pod", fmt.Sprintf("w%d-%d", i/10, i%10), "container", "app"}
}

func nobody(context.Context, ...*model.Alert) error { return nil }

// cpu is the CPU time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type packGroup struct {
	name     string
	interval time.Duration
	rules    int
	alerts   []string // names
	files    fs.FS    // a pack of this group alone
}

func packGroups(t *testing.T) []packGroup {
	t.Helper()
	names, err := fs.Glob(alerts.FS(), "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var groups []packGroup
	for _, file := range names {
		data, err := fs.ReadFile(alerts.FS(), file)
		if err != nil {
			t.Fatal(err)
		}
		var content struct{ Groups []map[string]any }
		if err := yaml.Unmarshal(data, &content); err != nil {
			t.Fatal(err)
		}
		for _, g := range content.Groups {
			text, err := yaml.Marshal(map[string]any{"groups": []any{g}})
			if err != nil {
				t.Fatal(err)
			}
			interval, err := time.ParseDuration(g["interval"].(string))
			if err != nil {
				t.Fatal(err)
			}
			made := packGroup{name: g["name"].(string), interval: interval, rules: len(g["rules"].([]any)), files: fstest.MapFS{file: {Data: text}}}
			for _, r := range g["rules"].([]any) {
				if name, is := r.(map[string]any)["alert"].(string); is {
					made.alerts = append(made.alerts, name)
				}
			}
			groups = append(groups, made)
		}
	}
	return groups
}

// history writes the past of a fleet, a series at a time.
type history struct {
	eng             *engine.Engine
	now             time.Time
	batch           []prompb.TimeSeries
	series, samples int
}

// put writes a series of the given length that ends now: values are made by f from the seconds before now.
func (h *history) put(t *testing.T, name string, l labels, length, every time.Duration, f func(ago float64) float64) {
	ts := prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: name}}}
	for i := 0; i+1 < len(l); i += 2 {
		ts.Labels = append(ts.Labels, prompb.Label{Name: l[i], Value: l[i+1]})
	}
	for ago := length; ago >= 0; ago -= every {
		ts.Samples = append(ts.Samples, prompb.Sample{Value: f(ago.Seconds()), Timestamp: h.now.Add(-ago).UnixMilli()})
	}
	h.series++
	h.samples += len(ts.Samples)
	h.batch = append(h.batch, ts)
	if len(h.batch) == 10_000 {
		h.flush(t)
	}
}

func (h *history) flush(t *testing.T) {
	t.Helper()
	if err := h.eng.Append(h.batch); err != nil {
		t.Fatal(err)
	}
	h.batch = h.batch[:0]
}

// fill writes 100 containers a node, 10 nodes a cluster, 10 replicas a workload, 100 projects; one container of 200 was
// OOM-killed and one crashed within the last minutes. What rules look at over 5 minutes is 6 minutes long at 15 s, what they
// look at for longer is as long as they look.
func (h *history) fill(t *testing.T, containers int) {
	steady := func(v float64) func(float64) float64 { return func(float64) float64 { return v } }
	grows := func(rate float64) func(float64) float64 {
		return func(ago float64) float64 { return rate * (1e6 - ago) }
	}
	const short, scrape = 6 * time.Minute, 15 * time.Second
	for i := range containers {
		base := fleetContainer(i)
		c := base.with("image", fmt.Sprintf("registry/w%d:1", i/10), "id", fmt.Sprintf("/kubepods/burstable/pod%08x/%064x", i, i), "name", fmt.Sprintf("k8s_app_w%d-%d", i/10, i%10))
		raw := func(name string, f func(float64) float64, more ...string) {
			h.put(t, name, c.with(more...), short, scrape, f)
		}
		step := func(ago float64) float64 { // the event happened 4 minutes ago
			if i%200 == 0 && ago < 240 {
				return 1
			}
			return 0
		}
		h.put(t, "container_oom_events_total", c, time.Hour, scrape, step)
		h.put(t, "container_restarts_total", c, 15*time.Minute, scrape, step)
		for _, reason := range []string{"completed", "stopped", "error", "signalled", "oom_killed", "unknown"} {
			if reason == "error" {
				h.put(t, "container_exits_total", c.with("reason", reason), 15*time.Minute, scrape, step)
			} else {
				h.put(t, "container_exits_total", c.with("reason", reason), 15*time.Minute, scrape, steady(0))
			}
		}
		if i%200 == 0 {
			h.put(t, "container_exit_code", c.with("reason", "error"), time.Minute, time.Minute, steady(1))
		}
		h.put(t, "container_start_time_seconds", c, 65*time.Minute, scrape, steady(float64(h.now.Unix()-100_000)))
		raw("container_cpu_usage_seconds_total", grows(0.3), "cpu", "total")
		raw("container_spec_cpu_quota", steady(1e5))
		raw("container_spec_cpu_period", steady(1e5))
		raw("container_cpu_cfs_periods_total", grows(10))
		raw("container_cpu_cfs_throttled_periods_total", grows(float64(i%50)/10))
		raw("container_cpu_cfs_throttled_seconds_total", grows(float64(i%50)/100))
		raw("container_memory_working_set_bytes", steady(6e8))
		raw("container_memory_rss", steady(5e8))
		raw("container_memory_unreclaimable_bytes", steady(5e8))
		raw("container_spec_memory_limit_bytes", steady(1e9))
		raw("container_threads", steady(20))
		raw("container_threads_max", steady(100))
		raw("container_process_file_descriptors_ratio", steady(0.1))
		for _, status := range []string{"starting", "healthy", "unhealthy"} {
			raw("container_health_status", steady(0), "status", status)
		}
		for _, direction := range []string{"receive", "transmit"} {
			raw("container_network_"+direction+"_packets_total", grows(20), "interface", "eth0")
			raw("container_network_"+direction+"_errors_total", steady(0), "interface", "eth0")
			raw("container_network_"+direction+"_packets_dropped_total", grows(0.01), "interface", "eth0")
		}
		raw("container_pressure_cpu_waiting_seconds_total", grows(0.1))
		raw("container_pressure_memory_waiting_seconds_total", grows(0.01))
		raw("container_pressure_io_stalled_seconds_total", grows(0.01))
		// Recorded before.
		slope := float64(i % 20)
		h.put(t, "container:memory_unreclaimable_bytes:max", base, time.Hour, 30*time.Second, func(ago float64) float64 { return 6.5e8 - slope*ago*1000 })
		h.put(t, "container:memory_limit_bytes:max", base, short, 30*time.Second, steady(1e9))
		h.put(t, "container:memory_working_set_bytes:max", base, short, 30*time.Second, steady(7e8))
		h.put(t, "container:cpu_usage_cores:rate5m", base, short, 30*time.Second, steady(0.3))
		h.put(t, "container:cpu_limit_cores:max", base, short, 30*time.Second, steady(1))
		h.put(t, "container:cpu_throttled_periods:ratio_rate5m", base, short, 30*time.Second, steady(float64(i%50)/100))
		if i%10 == 0 {
			w := append(base[:6:6], base[8:12]...) // without node, pod and container
			h.put(t, "workload_container:cpu_usage_cores:max", w.with("container", "app"), time.Hour, 30*time.Second, steady(0.4))
			h.put(t, "workload_container:cpu_usage_cores:max_1h", w.with("container", "app"), 7*24*time.Hour, 4*time.Minute, steady(0.4))
			for _, kind := range []string{"desired", "updated"} {
				h.put(t, "workload_"+kind+"_replicas", w, 10*time.Minute, scrape, steady(10))
			}
			h.put(t, "workload_ready_replicas", w, 24*time.Hour, time.Minute, steady(10))
		}
		if i%100 == 0 {
			h.nodes(t, base[2:8], steady, grows)
		}
		if i%1000 == 0 {
			cluster := base[2:6]
			for _, name := range []string{"cluster:cpu_usage_cores:sum", "cluster:memory_working_set_bytes:sum"} {
				h.put(t, name, cluster, 24*time.Hour, 30*time.Second, steady(300))
			}
			h.put(t, "cluster:cpu_capacity_cores:sum", cluster, short, 30*time.Second, steady(320))
			h.put(t, "cluster:cpu_usage_cores:p95_1d", cluster, 28*24*time.Hour, 4*time.Minute, steady(200))
			for p := range 100 {
				project := append(labels{"project", fmt.Sprintf("p%d", p)}, cluster...)
				h.put(t, "project_cluster:containers:count", project, 24*time.Hour, 30*time.Second, steady(10))
				h.put(t, "project_cluster:cpu_usage_cores:sum", project, 24*time.Hour, 30*time.Second, steady(10))
				h.put(t, "project_cluster:containers:median_1d", project, 6*time.Hour, 4*time.Minute, steady(10))
			}
		}
	}
	for p := range 100 {
		h.put(t, "project:availability_bad:ratio5m", labels{"project", fmt.Sprintf("p%d", p)}, 72*time.Hour, time.Minute, func(ago float64) float64 { return math.Mod(ago, 7) / 1e5 })
	}
	h.flush(t)
}

func (h *history) nodes(t *testing.T, n labels, steady, grows func(float64) func(float64) float64) {
	const scrape = 15 * time.Second
	h.put(t, "plimsoll_collector_agent_last_received_timestamp_seconds", n, 10*time.Minute, scrape, func(ago float64) float64 { return float64(h.now.Unix()) - ago })
	for _, how := range []string{"ended", "silent"} {
		h.put(t, "plimsoll_collector_agent_lost", n.with("how", how), 10*time.Minute, scrape, steady(0))
	}
	h.put(t, "plimsoll_collector_agent_missing_batches_total", n, 16*time.Minute, scrape, steady(0))
	h.put(t, "plimsoll_collector_agent_series", n, 10*time.Minute, scrape, steady(4000))
	h.put(t, "plimsoll_agent_build_info", n.with("version", "1.0"), time.Hour, scrape, steady(1))
	h.put(t, "container_cpu_usage_seconds_total", n.with("id", "/"), 16*time.Minute, scrape, grows(8))
	h.put(t, "machine_cpu_cores", n, 10*time.Minute, scrape, steady(32))
	h.put(t, "machine_memory_bytes", n, 10*time.Minute, scrape, steady(1<<37))
	h.put(t, "container_memory_working_set_bytes", n.with("id", "/"), 10*time.Minute, scrape, steady(1<<36))
	h.put(t, "container_pressure_memory_waiting_seconds_total", n.with("id", "/"), 10*time.Minute, scrape, grows(0.01))
	h.put(t, "container_scrape_error", n.with("id", "/"), 10*time.Minute, scrape, steady(0))
	for _, name := range []string{"container_fs_usage_bytes", "container_fs_limit_bytes"} {
		h.put(t, name, n.with("id", "/", "device", "/dev/vda"), 6*time.Hour, time.Minute, steady(1e11))
	}
	for _, name := range []string{"plimsoll_agent_spool_limit_bytes", "plimsoll_agent_spool_bytes", "plimsoll_agent_spool_pending_bytes", "plimsoll_agent_remote_write_lag_seconds", "plimsoll_agent_samples_dropped_total", "plimsoll_agent_containers_unassigned"} {
		h.put(t, name, n, 16*time.Minute, scrape, steady(0))
	}
	for p := range 100 {
		h.put(t, "project_node:containers:count", append(labels{"project", fmt.Sprintf("p%d", p)}, n...), 6*time.Hour, time.Minute, steady(1))
	}
}
