package evidence_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"

	"github.com/plimsoll/plimsoll/collector/internal/evidence"
	"github.com/plimsoll/plimsoll/collector/internal/releases"
)

// engine answers with the fate of one container: three images, two exits, and what it used.
type engine struct {
	now   time.Time
	mu    sync.Mutex
	asked int
	exprs []string
	err   error
	hangs bool
}

func (e *engine) query(ctx context.Context, expr string, _ time.Time) ([]releases.Sample, error) {
	e.mu.Lock()
	e.asked++
	e.exprs = append(e.exprs, expr)
	e.mu.Unlock()
	if e.hangs {
		<-ctx.Done()
		time.Sleep(50 * time.Millisecond) // and is late even then
		return nil, ctx.Err()
	}
	if e.err != nil {
		return nil, e.err
	}
	sample := func(value float64, pairs ...string) releases.Sample {
		labels := map[string]string{"workload": "web", "container": "app", "node": "n-17"}
		for i := 0; i < len(pairs); i += 2 {
			labels[pairs[i]] = pairs[i+1]
		}
		return releases.Sample{Labels: labels, Value: value}
	}
	ago := func(minutes float64) float64 { return float64(e.now.Unix()) - minutes*60 }
	if strings.Contains(expr, "container_start_time_seconds") {
		return []releases.Sample{
			sample(ago(65), "image", "shop:1", "edge", "first"), sample(ago(10), "image", "shop:1", "edge", "last"),
			sample(ago(10), "image", "shop:2", "edge", "first"), sample(ago(0), "image", "shop:2", "edge", "last"),
		}, nil
	}
	return []releases.Sample{
		sample(ago(30), "part", "exit_at", "reason", "error"), sample(1, "part", "exit_code", "reason", "error", "__name__", "container_exit_code"),
		sample(ago(2), "part", "exit_at", "reason", "oom_killed"), sample(137, "part", "exit_code", "reason", "oom_killed", "__name__", "container_exit_code"),
		sample(61.25*(1<<20), "part", "memory"), sample(64<<20, "part", "memory_limit"), sample(0.4812, "part", "cpu"), sample(12, "part", "tasks"),
	}, nil
}

type bed struct {
	*evidence.Filler
	reg *prometheus.Registry
	got []*model.Alert
}

func open(t *testing.T, e *engine) *bed {
	b := &bed{reg: prometheus.NewRegistry()}
	var err error
	b.Filler, err = evidence.New(e.query, func(_ context.Context, alerts ...*model.Alert) error {
		b.got = alerts
		return nil
	}, slog.New(slog.DiscardHandler), b.reg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func alert(began time.Time, labels model.LabelSet) *model.Alert {
	return &model.Alert{Labels: labels, Annotations: model.LabelSet{"summary": "s"}, StartsAt: began}
}

func TestAnAlertSaysUsageLastExitAndLastRelease(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	e := &engine{now: now}
	b := open(t, e)
	given := alert(now.Add(-time.Minute), model.LabelSet{"project": "shop", "workload": "web", "container": `a"pp`, "node": "n-17"})
	if err := b.Put(t.Context(), given); err != nil {
		t.Fatal(err)
	}
	stamp := func(ago time.Duration) string { return now.Add(-ago).UTC().Format("2006-01-02 15:04:05 UTC") }
	for name, want := range map[model.LabelName]string{
		"summary": "s", evidence.Usage: "memory 61.2 MiB of 64 MiB, CPU 0.481 cores, 12 tasks",
		evidence.LastExit:    "oom_killed, exit code 137 (signal 9), " + stamp(2*time.Minute) + ", app on n-17",
		evidence.LastRelease: "shop:2 replaced shop:1 at " + stamp(10*time.Minute) + ", 9m0s before this began",
	} {
		if got := string(b.got[0].Annotations[name]); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if len(given.Annotations) != 1 {
		t.Errorf("the alert given was changed: %v", given.Annotations)
	}
	if !strings.Contains(e.exprs[0], `container_exit_code{container!="",project="shop",workload="web",container="a\"pp"}[1h]`) || !strings.Contains(e.exprs[0], `container_threads{container!="",project="shop",workload="web",container="a\"pp",node="n-17"}`) {
		t.Errorf("asked %s", e.exprs[0])
	}
	if err := b.Put(t.Context(), given, given); err != nil || e.asked != 2 {
		t.Errorf("asked %d times for the same alert within 30 s, want the 2 queries of the first time; %v", e.asked, err)
	}
	if err := b.Put(t.Context(), alert(time.Now(), given.Labels)); err != nil || e.asked != 4 {
		t.Errorf("an alert that began after the last look is looked at anew: %d queries; %v", e.asked, err)
	}
}

func TestWhatIsNotOfAContainerOrSaysItItselfStays(t *testing.T) {
	e := &engine{now: time.Now()}
	b := open(t, e)
	own := alert(e.now, model.LabelSet{"workload": "web"})
	own.Annotations[evidence.Usage] = "its own"
	if err := b.Put(t.Context(), alert(e.now, model.LabelSet{"receiver": "oncall"}), own); err != nil {
		t.Fatal(err)
	}
	if len(b.got[0].Annotations) != 1 || b.got[1].Annotations[evidence.Usage] != "its own" || b.got[1].Annotations[evidence.LastExit] == "" {
		t.Errorf("got %v and %v", b.got[0].Annotations, b.got[1].Annotations)
	}
}

// place answers about nodes, clusters and collectors.
func place(now time.Time) releases.QueryFunc {
	return func(_ context.Context, expr string, _ time.Time) ([]releases.Sample, error) {
		sample := func(part string, value float64, pairs ...string) releases.Sample {
			labels := map[string]string{"part": part}
			for i := 0; i < len(pairs); i += 2 {
				labels[pairs[i]] = pairs[i+1]
			}
			return releases.Sample{Labels: labels, Value: value}
		}
		seconds := float64(now.Unix())
		switch {
		case strings.Contains(expr, `container_memory_working_set_bytes{id="/",idc="bj",cluster="c1",node="n-17"}`):
			return []releases.Sample{
				sample("memory", 40<<30), sample("memory_limit", 128<<30), sample("cpu", 3.2), sample("cpu_limit", 32), sample("containers", 41),
				sample("project", 12, "project", "bank"), sample("project", 20, "project", "shop"), sample("project", 1),
				sample("version", seconds-3600, "version", "1.1"), sample("version", seconds-45, "version", "1.2"), sample("heard", seconds-45),
			}, nil
		case strings.Contains(expr, `cluster:memory_capacity_bytes:sum{idc="bj",cluster="c1"}`):
			return []releases.Sample{sample("agents", 0), sample("agents_limit", 20), sample("memory", 1<<40), sample("memory_limit", 3<<40)}, nil
		case strings.Contains(expr, `plimsoll_collector_storage_free_bytes{collector="col1"}`):
			return []releases.Sample{sample("samples", 12345), sample("agents", 199), sample("agents_limit", 200), sample("series", 600_000), sample("series_limit", 2e6), sample("disk", 40<<30)}, nil
		}
		return nil, errors.New("asked " + expr)
	}
}

func TestAnAlertOfANodeAClusterAndACollectorHasItsFigures(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	var got []*model.Alert
	f, err := evidence.New(place(now), func(_ context.Context, alerts ...*model.Alert) error { got = alerts; return nil }, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Put(t.Context(), alert(now, model.LabelSet{"idc": "bj", "cluster": "c1", "node": "n-17"}),
		alert(now, model.LabelSet{"idc": "bj", "cluster": "c1"}), alert(now, model.LabelSet{"collector": "col1"})); err != nil {
		t.Fatal(err)
	}
	for i, want := range []map[model.LabelName]string{
		{evidence.Usage: "memory 40 GiB of 128 GiB, CPU 3.2 of 32 cores, 41 containers (shop 20, bank 12, no project 1)", evidence.Agent: "version 1.2, heard " + now.Add(-45*time.Second).UTC().Format(time.DateTime) + " UTC, "},
		{evidence.Usage: "memory 1 TiB of 3 TiB, 0 of 20 agents heard"},
		{evidence.Usage: "199 of 200 agents heard, 12345 samples/s, 600000 of 2000000 series, 40 GiB of disk free"},
	} {
		for name, text := range want {
			if !strings.HasPrefix(string(got[i].Annotations[name]), text) {
				t.Errorf("%s of %v is %q, want %q", name, got[i].Labels, got[i].Annotations[name], text)
			}
		}
		if len(got[i].Annotations) != 1+len(want) {
			t.Errorf("%v has %v", got[i].Labels, got[i].Annotations)
		}
	}
}

func TestAnAlertIsNeverLostForWantOfEvidence(t *testing.T) {
	for reason, e := range map[string]*engine{"query": {err: errors.New("too many series")}, "time": {hangs: true}} {
		b := open(t, e)
		var many []*model.Alert
		for _, c := range []model.LabelValue{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
			many = append(many, alert(time.Now(), model.LabelSet{"workload": "web", "container": c}))
		}
		if err := b.Put(t.Context(), many...); err != nil || len(b.got) != len(many) {
			t.Fatalf("%s: %d alerts went on, want %d: %v", reason, len(b.got), len(many), err)
		}
		want := "# HELP plimsoll_collector_alert_evidence_missing_total Alerts told without the figures, exits and releases of what they are about, because a query failed or there was no time.\n# TYPE plimsoll_collector_alert_evidence_missing_total counter\n"
		for _, r := range []string{"query", "time"} {
			n := "0"
			if r == reason {
				n = "10"
			}
			want += `plimsoll_collector_alert_evidence_missing_total{reason="` + r + `"} ` + n + "\n"
		}
		if err := testutil.GatherAndCompare(b.reg, strings.NewReader(want)); err != nil {
			t.Errorf("%s: %v", reason, err)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if reason == "time" && e.asked != 1 {
			t.Errorf("after the time was up %d queries were asked, want 1", e.asked)
		}
	}
}
