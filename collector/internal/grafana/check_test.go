package grafana

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"math"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/plimsoll/plimsoll/collector/internal/engine"
	"github.com/plimsoll/plimsoll/collector/internal/grafana/grafanatest"
	"github.com/plimsoll/plimsoll/collector/internal/grafana/moments"
	"github.com/plimsoll/plimsoll/collector/internal/grafana/paneltest"
	"github.com/plimsoll/plimsoll/collector/internal/releases"
	"github.com/plimsoll/plimsoll/collector/internal/rules"
	"github.com/plimsoll/plimsoll/dashboards"
)

// seen is a world and when it is looked at.
type seen struct {
	*paneltest.World
	end time.Time
}

// worlds are days apart: they do not see each other's last day.
func worlds() []seen {
	const day = 24 * time.Hour
	now := time.Now().Truncate(time.Second)
	all := []seen{}
	for age, world := range map[time.Duration]func(time.Time) *paneltest.World{24 * day: paneltest.Docker, 12 * day: paneltest.Swarm, 0: paneltest.Kubernetes} {
		end := now.Add(-age)
		w := world(end.Add(-30 * time.Second)) // what there is thirty seconds after the first sample
		w.Collector()
		if age == 0 {
			w.Firing("ContainerUnhealthy", "severity", "warning", "project", "pay", "idc", "west", "cluster", "k1", "node", "n1", "workload", "ledger", "container", "ledger")
		}
		all = append(all, seen{w, end})
	}
	slices.SortFunc(all, func(a, b seen) int { return a.end.Compare(b.end) })
	return all
}

// record evaluates the recording rules as often as the longest chain of them needs.
func record(t *testing.T, e *engine.Engine, at time.Time) {
	t.Helper()
	m := recorder(t, e)
	for ago := 5 * time.Second; ago >= 0; ago -= time.Second {
		m.Evaluate(t.Context(), at.Add(-ago))
		e.Flush()
	}
}

func recorder(t *testing.T, e *engine.Engine) *rules.Manager {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	m, err := rules.New(rules.Config{Builtin: paneltest.Recording(t)}, rules.Ports{
		Query: rules.Queries(e.Query), Append: e.Append, Flush: e.Flush, Notify: func(context.Context, ...*model.Alert) error { return nil },
	}, quiet, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var alreadyOpened atomic.Bool

// TestEveryPanelHasData runs every query of every dashboard against the engine with what different hosts send, thirty
// seconds after their first sample.
func TestEveryPanelHasData(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "dashboards")
	if err != nil {
		t.Fatal(err)
	}
	if alreadyOpened.Swap(true) {
		t.Skip("the engine can be opened once in a process; -count gives only one run of this test")
	}
	e, err := engine.Open(engine.Config{DataDir: filepath.Join(dir, "store")}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	all := worlds()
	for _, w := range all {
		if err := e.Append(w.Series(w.end, 15*time.Second)); err != nil {
			t.Fatal(err)
		}
		e.Flush()
		record(t, e, w.end)
	}

	for _, w := range all {
		for _, container := range w.Containers {
			t.Run(w.Name+"/"+container, func(t *testing.T) {
				findings, err := dashboards.Check(t.Context(), dashboards.FS(), ask(e, w.end, container), nil)
				if err != nil {
					t.Fatal(err)
				}
				if len(findings) < 300 {
					t.Errorf("only %d queries", len(findings))
				}
				for _, f := range findings {
					if !f.OK() {
						t.Errorf("%s, %q, %s: %v in %s", f.Dashboard, f.Panel, f.RefID, f.Err, f.Expr)
					}
				}
			})
		}
	}
	t.Run("a kill, a restart and a release are one mark each", func(t *testing.T) { testMarks(t, e) })
	t.Run("figures are right", func(t *testing.T) { testFigures(t, e, all) })
	t.Run("check against a Prometheus API says which panel is empty", func(t *testing.T) { testCheckAgainst(t, e) })
	t.Run("through Grafana", func(t *testing.T) { testThroughGrafana(t, e, all[len(all)-1]) })
}

// ask queries the engine at a time; where the dashboard looks for a container to show, it finds this one.
func ask(e *engine.Engine, at time.Time, container string) dashboards.Instant {
	return func(ctx context.Context, expr string) ([]map[string]string, error) {
		series, err := e.Query(ctx, expr, at)
		var found []map[string]string
		for _, s := range series {
			labels := map[string]string{}
			for _, l := range s.Labels {
				labels[l.Name] = l.Value
			}
			if !strings.HasPrefix(expr, "count by (container)") || labels["container"] == container {
				found = append(found, labels)
			}
		}
		return found, err
	}
}

// testMarks has the rules evaluated every minute, and for ten minutes not at all: what happened before is not marked again after.
func testMarks(t *testing.T, e *engine.Engine) {
	begin := time.Now().Add(-36 * 24 * time.Hour).Truncate(time.Minute)
	minute := func(n float64) time.Time { return begin.Add(time.Duration(n * float64(time.Minute))) }
	step := func(metric string, from, to float64, value func(float64) float64, more ...string) prompb.TimeSeries {
		ts := prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: metric}}}
		labels := append([]string{"project", "shop", "idc", "bj", "cluster", "c1", "node", "n1", "namespace", "web", "workload", "web", "pod", "w", "container", "app"}, more...)
		for i := 0; i < len(labels); i += 2 {
			ts.Labels = append(ts.Labels, prompb.Label{Name: labels[i], Value: labels[i+1]})
		}
		for at := from; at < to; at += 0.25 {
			ts.Samples = append(ts.Samples, prompb.Sample{Value: value(at), Timestamp: minute(at).UnixMilli()})
		}
		return ts
	}
	after := func(m float64) func(float64) float64 {
		return func(at float64) float64 { return min(1, max(0, math.Floor((at-m)*4+1))) }
	}
	err := e.Append([]prompb.TimeSeries{
		step("container_oom_events_total", 0, 30, after(4.5)),
		step("container_restarts_total", 0, 30, after(5.5)),
		step("container_memory_working_set_bytes", 0, 7.5, func(float64) float64 { return 1 }, "image", "web:1"),
		step("container_memory_working_set_bytes", 7.5, 30, func(float64) float64 { return 1 }, "image", "web:2"),
	})
	if err != nil {
		t.Fatal(err)
	}
	e.Flush()
	m := recorder(t, e)
	for n := range 30 {
		if n <= 12 || n >= 23 {
			m.Evaluate(t.Context(), minute(float64(n)))
		}
	}
	all, err := dashboards.Load(dashboards.FS())
	if err != nil {
		t.Fatal(err)
	}
	marks := map[string]int{}
	for _, d := range all {
		if d.UID != "cont-fleet" {
			continue
		}
		queries, err := d.AnnotationQueries(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range queries {
			series, err := e.QueryRange(t.Context(), q.Expr, minute(1), minute(29), time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range series {
				marks[q.Panel] += len(s.Values)
				t.Logf("%s: %v at %v", q.Panel, s.Values, (s.TimestampsMillis[0]-begin.UnixMilli())/60000)
			}
		}
	}
	testStorm(t, e, minute)
	if want := map[string]int{"OOM kills": 1, "Restarts": 1, "Releases": 1}; !maps.Equal(marks, want) {
		t.Errorf("marks %v, want %v", marks, want)
	}
}

// testStorm writes what is recorded of a container that was killed six times within two minutes, and of nothing for an hour.
func testStorm(t *testing.T, e *engine.Engine, minute func(float64) time.Time) {
	var batch []prompb.TimeSeries
	for _, labels := range [][]prompb.Label{{{Name: "project", Value: "storm"}, {Name: "idc", Value: "bj"}, {Name: "cluster", Value: "c1"}, {Name: "container", Value: "hog"}}, nil} {
		ts := prompb.TimeSeries{Labels: append([]prompb.Label{{Name: "__name__", Value: "slot:oom_kills:increase1d"}}, labels...)}
		for at := 100.0; at < 240; at++ {
			if at >= 140 && at < 200 {
				continue // the collector is away
			}
			v := 0.0
			if labels != nil {
				v = min(6, max(0, (at-119)*3))
			}
			ts.Samples = append(ts.Samples, prompb.Sample{Value: v, Timestamp: minute(at).UnixMilli()})
		}
		batch = append(batch, ts)
	}
	if err := e.Append(batch); err != nil {
		t.Fatal(err)
	}
	e.Flush()
	sources := moments.Sources{
		Range: func(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]moments.Series, error) {
			found, err := e.QueryRange(ctx, expr, from, to, step)
			var all []moments.Series
			for _, s := range found {
				one := moments.Series{Labels: map[string]string{"project": s.Label("project")}, Values: s.Values}
				for _, ms := range s.TimestampsMillis {
					one.Times = append(one.Times, time.UnixMilli(ms))
				}
				all = append(all, one)
			}
			return all, err
		},
		Releases: func(context.Context, time.Time, time.Time) ([]releases.Release, error) { return nil, nil },
	}
	found, err := sources.Find(t.Context(), minute(105), minute(235))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || found[0].Kind != moments.Storm || found[0].GoesOn || found[0].Start.Sub(minute(121)).Abs() > 2*time.Minute || found[0].Labels[0].Value != "storm" {
		t.Errorf("storms: %+v", found)
	}
}

func testFigures(t *testing.T, e *engine.Engine, all []seen) {
	value := func(w seen, dashboard, panel, ref string) float64 {
		t.Helper()
		loaded, err := dashboards.Load(dashboards.FS())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range loaded {
			queries, err := d.Queries(t.Context(), ask(e, w.end, w.Containers[0]))
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range queries {
				if d.UID == dashboard && q.Panel == panel && q.RefID == ref {
					series, err := e.Query(t.Context(), q.Expr, w.end)
					if err != nil || len(series) == 0 {
						t.Fatalf("%s: %v, %d series", q.Expr, err, len(series))
					}
					return series[0].Values[0]
				}
			}
		}
		t.Fatalf("no panel %s, %s, %s", dashboard, panel, ref)
		return 0
	}
	docker, swarm, k8s := all[0], all[1], all[2]
	f := func(w seen, dashboard, panel, ref string, want float64) {
		t.Helper()
		if got := value(w, dashboard, panel, ref); got < want-1e-6 || got > want+1e-6 {
			t.Errorf("%s: %s, %q, %s is %v, want %v", w.Name, dashboard, panel, ref, got, want)
		}
	}
	f(docker, "cont-fleet", "Containers running", "A", 2)
	f(swarm, "cont-fleet", "Containers running", "A", 4)
	f(k8s, "cont-fleet", "Firing alerts", "A", 0)
	f(k8s, "cont-fleet", "Firing alerts", "B", 1)
	f(docker, "cont-fleet", "Nodes reporting", "A", 1)
	f(docker, "cont-fleet", "Unhealthy containers", "A", 0)
	f(swarm, "cont-fleet", "IDC and cluster", "B", 2)
	f(swarm, "cont-fleet", "IDC and cluster", "C", 3.0/16)
	f(swarm, "cont-fleet", "IDC and cluster", "D", 0.25)
	f(swarm, "cont-fleet", "Projects, worst first", "C", 2)
	f(swarm, "cont-fleet", "CPU by project", "A", 2)
	f(swarm, "cont-fleet", "CPU by project", "B", 0)
	f(docker, "cont-fleet", "Busiest containers", "B", -1)
	f(swarm, "cont-fleet", "Busiest containers", "B", 0.5)
	f(swarm, "cont-fleet", "Busiest containers", "C", 0.1)
	f(docker, "cont-fleet", "Largest containers", "C", -1)
	f(swarm, "cont-fleet", "Largest containers", "C", 36.0/128)
	f(docker, "cont-container", "Use of its limits", "A", -1)
	f(k8s, "cont-container", "Use of its limits", "A", 0.5)
	f(k8s, "cont-container", "Use of its limits", "C", 0.07)
	f(docker, "cont-container", "CPU", "C", 0)
	f(k8s, "cont-container", "CPU", "C", 1)
	f(k8s, "cont-container", "Block I/O", "A", 1000)
	f(docker, "cont-container", "Block I/O", "A", 0)
	f(docker, "cont-container", "Held back", "A", 0)
	f(k8s, "cont-container", "Held back", "A", 0.1)
	f(docker, "cont-container", "Health", "A", -1)
	f(swarm, "cont-cluster", "CPU: used, asked for", "A", 2.0/16)
	f(swarm, "cont-cluster", "CPU: used, asked for", "B", 4.0/16)
	f(swarm, "cont-cluster", "CPU by project, asked for and capacity", "D", 16)
	f(docker, "cont-cluster", "Memory: used, asked for", "B", 0)
	f(docker, "cont-project", "Replicas ready", "A", -1)
	f(k8s, "cont-project", "Replicas ready", "A", 0.5)
	f(swarm, "cont-project", "Workloads", "A", 4)
	f(swarm, "cont-project", "Workloads", "C", 2)
	f(swarm, "cont-project", "Workloads", "E", 36.0/128)
	f(swarm, "cont-project", "Workloads", "F", 0.1)
	f(k8s, "cont-project", "Quota used, twenty fullest", "A", 0.75)
	f(k8s, "cont-node", "CPU used", "A", 1.5/8)
	f(k8s, "cont-node", "Memory used", "A", 0.25)
	f(k8s, "cont-node", "Fullest disk", "A", 0.5)
	f(k8s, "cont-node", "CPU, ten largest consumers", "A", 0.5)
	f(k8s, "cont-node", "CPU, ten largest consumers", "B", 1)
	f(k8s, "cont-workload", "CPU of each replica, request and limit", "A", 0.5)
	f(k8s, "cont-workload", "CPU of each replica, request and limit", "C", 0.25)
	f(k8s, "cont-workload", "CPU of each replica, request and limit", "D", 1)
	f(k8s, "cont-workload", "Asked for and needed, each replica", "C", -2) // throttled in a tenth of its periods
	f(k8s, "cont-capacity", "CPU of clusters", "C", 0.25/8)
	f(k8s, "cont-capacity", "CPU of clusters", "E", -2)
	f(k8s, "cont-capacity", "CPU of clusters", "F", -1)
	f(swarm, "cont-capacity", "CPU of clusters", "D", 0.85*16-2)
	f(swarm, "cont-capacity", "CPU of clusters", "F", 0)
	f(swarm, "cont-capacity", "If an IDC fails: what has no place in the others", "A", -1)
	f(swarm, "cont-efficiency", "Idle cores", "A", 4-1.15*2)
	f(k8s, "cont-efficiency", "Idle cores", "A", 0)
	f(swarm, "cont-efficiency", "Used of asked CPU", "A", 0.5)
	f(docker, "cont-efficiency", "Without a CPU request", "A", 1)
	f(k8s, "cont-efficiency", "Without a CPU request", "A", 0)
	f(swarm, "cont-efficiency", "Core-hours and GiB-hours of the range", "B", 1)
	f(docker, "cont-incidents", "OOM kills, 24 h", "A", 0)
	f(k8s, "cont-pipeline", "Samples taken in", "A", 1000)
}

func testCheckAgainst(t *testing.T, e *engine.Engine) {
	server := httptest.NewServer(e)
	defer server.Close()
	var out strings.Builder
	if err := CheckAgainst(t.Context(), dashboards.FS(), server.URL, "", &out); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	if !strings.Contains(out.String(), "Kubernetes, 1 nodes") || !strings.Contains(out.String(), "0 empty") {
		t.Errorf("it prints\n%s", &out)
	}

	out.Reset()
	broken := release(map[string]string{"cont-a": "A"})
	broken["cont-b.json"] = &fstest.MapFile{Data: []byte(`{"uid":"cont-b","title":"B","panels":[
		{"type":"stat","title":"Nothing","targets":[{"refId":"A","expr":"no_such_series"},{"refId":"B","expr":"sum("}]}]}`)}
	err := CheckAgainst(t.Context(), broken, server.URL, "", &out)
	if err == nil || !strings.Contains(err.Error(), "2 of 2 queries gave nothing") {
		t.Errorf("%v", err)
	}
	if !strings.Contains(out.String(), "EMPTY no series no_such_series") || !strings.Contains(out.String(), "FAILED") {
		t.Errorf("it prints\n%s", &out)
	}
	if err := CheckAgainst(t.Context(), dashboards.FS(), "localhost:9750", "", &out); err == nil || !strings.Contains(err.Error(), "absolute") {
		t.Errorf("%v", err)
	}
}

func testThroughGrafana(t *testing.T, e *engine.Engine, now seen) {
	collector := httptest.NewServer(e)
	defer collector.Close()
	g := grafanatest.Start(t)
	p, _ := publisher(t, g, g.TokenFile(t, "Admin"), dashboards.FS(), func(c *Config) { c.DatasourceURL = collector.URL })
	publish(t, p)
	all, err := dashboards.Load(dashboards.FS())
	if err != nil {
		t.Fatal(err)
	}
	const step = 15 * time.Second // of grafanatest's questions: what was recorded shows at the first multiple of it from then on
	time.Sleep(time.Until(now.end.Truncate(step).Add(step)))
	for _, d := range all {
		if err := e.Append(now.Series(time.Now(), step)); err != nil { // Grafana asks about its own now
			t.Fatal(err)
		}
		e.Flush()
		queries, err := d.Queries(t.Context(), ask(e, time.Now(), "ledger"))
		if err != nil {
			t.Fatal(err)
		}
		for i, q := range queries { // Grafana itself writes in its own variables
			queries[i].Expr = rawExpr(t, d, q)
		}
		for _, a := range g.Ask(t, DatasourceUID, queries) {
			if a.Values == 0 || a.Error != "" {
				t.Errorf("%s, %q, %s: %d values, %s in %s", a.Dashboard, a.Panel, a.RefID, a.Values, a.Error, a.Expr)
			}
		}
	}
}

// rawExpr is the target's expression with the dashboard's variables written in, and Grafana's own left to Grafana.
func rawExpr(t *testing.T, d dashboards.Dashboard, q dashboards.Query) string {
	t.Helper()
	values := map[string]string{"container": "ledger", "workload": "ledger", "node": "n1"}
	for _, v := range d.Variables {
		if v.IncludeAll {
			values[v.Name] = v.AllValue
		}
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			if p.ID == q.PanelID && target.RefID == q.RefID {
				return dashboards.Expand(target.Expr, values)
			}
		}
	}
	t.Fatalf("no panel %d", q.PanelID)
	return ""
}
