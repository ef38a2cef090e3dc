package grafana

import (
	"context"
	"io"
	"log/slog"
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

	"github.com/plimsoll/plimsoll/collector/internal/engine"
	"github.com/plimsoll/plimsoll/collector/internal/grafana/grafanatest"
	"github.com/plimsoll/plimsoll/dashboards"
)

// world is what one kind of host sends: the series of its nodes and containers, by name and labels, with what they
// grow by in a second (counters) or stand at (gauges).
type world struct {
	name   string
	age    time.Duration // how long before now its samples end; worlds do not see each other's last day
	series []prompb.TimeSeries
}

func (w *world) add(growth, start float64, metric string, labels ...string) {
	ts := prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: metric}}}
	for i := 0; i+1 < len(labels); i += 2 {
		if labels[i+1] != "" {
			ts.Labels = append(ts.Labels, prompb.Label{Name: labels[i], Value: labels[i+1]})
		}
	}
	end := time.Now().Add(-w.age)
	for back := 30; back >= 0; back -= 15 { // what there is thirty seconds after the first sample
		ts.Samples = append(ts.Samples, prompb.Sample{
			Value:     start + growth*float64(30-back),
			Timestamp: end.Add(-time.Duration(back) * time.Second).UnixMilli(),
		})
	}
	w.series = append(w.series, ts)
}

func (w *world) node(site ...string) {
	w.add(0, 8, "machine_cpu_cores", site...)
	w.add(0, 16<<30, "machine_memory_bytes", site...)
	root := append([]string{"id", "/"}, site...)
	w.add(1.5, 100, "container_cpu_usage_seconds_total", root...)
	w.add(0, 4<<30, "container_memory_working_set_bytes", root...)
	w.add(0, 1, "plimsoll_agent_build_info", append([]string{"version", "1"}, site...)...)
	w.add(0, 15, "plimsoll_agent_remote_write_lag_seconds", site...)
	w.add(0, 4096, "plimsoll_agent_spool_bytes", site...)
	w.add(0, 0, "plimsoll_agent_samples_dropped_total", append([]string{"reason", "spool_age"}, site...)...)
}

// container adds what every kernel and engine gives for a container.
func (w *world) container(labels ...string) {
	gauge := func(metric string, v float64) { w.add(0, v, metric, labels...) }
	counter := func(metric string, perSecond float64) { w.add(perSecond, 0, metric, labels...) }
	counter("container_cpu_usage_seconds_total", 0.5)
	counter("container_cpu_user_seconds_total", 0.4)
	counter("container_cpu_system_seconds_total", 0.1)
	gauge("container_memory_working_set_bytes", 64<<20)
	gauge("container_memory_rss", 32<<20)
	gauge("container_memory_cache", 40<<20)
	gauge("container_memory_mapped_file", 1<<20)
	gauge("container_memory_unreclaimable_bytes", 36<<20)
	gauge("container_spec_cpu_period", 100000)
	gauge("container_threads", 7)
	gauge("container_start_time_seconds", float64(time.Now().Add(-w.age-time.Hour).Unix()))
	gauge("container_last_seen", float64(time.Now().Add(-w.age).Unix()))
	gauge("container_health_state", -1)
	counter("container_oom_events_total", 0)
	counter("container_restarts_total", 0)
	w.add(0.1, 0, "container_memory_failures_total", append([]string{"failure_type", "pgmajfault", "scope", "container"}, labels...)...)
}

func (w *world) limits(labels ...string) {
	w.add(0, 100000, "container_spec_cpu_quota", labels...)
	w.add(0, 128<<20, "container_spec_memory_limit_bytes", labels...)
	w.add(0, 100, "container_threads_max", labels...)
	w.add(10, 0, "container_cpu_cfs_periods_total", labels...)
	w.add(1, 0, "container_cpu_cfs_throttled_periods_total", labels...)
}

func (w *world) network(labels ...string) {
	for _, direction := range []string{"receive", "transmit"} {
		for _, what := range []string{"bytes", "packets", "errors", "packets_dropped"} {
			w.add(100, 0, "container_network_"+direction+"_"+what+"_total", append([]string{"interface", "eth0"}, labels...)...)
		}
	}
}

func (w *world) pressure(labels ...string) {
	for _, what := range []string{"cpu", "memory", "io"} {
		w.add(0.05, 0, "container_pressure_"+what+"_waiting_seconds_total", labels...)
		w.add(0.01, 0, "container_pressure_"+what+"_stalled_seconds_total", labels...)
	}
}

func (w *world) blockIO(labels ...string) {
	w.add(1000, 0, "container_fs_reads_bytes_total", append([]string{"device", "/dev/vda"}, labels...)...)
	w.add(2000, 0, "container_fs_writes_bytes_total", append([]string{"device", "/dev/vda"}, labels...)...)
}

// worlds: the poorest host there is, and two complete ones.
func worlds() []*world {
	const day = 24 * time.Hour

	docker := &world{name: "plain Docker, cgroup v1, no site, no limits, no pressure, no block I/O, host network", age: 8 * day}
	docker.node("node", "host1")
	for _, name := range []string{"adminer", "cron"} {
		labels := []string{"project", "unassigned", "node", "host1", "workload", name, "container", name, "id", "/docker/" + name, "name", name, "image", "img"}
		docker.container(labels...)
		docker.add(0, 0, "container_spec_memory_limit_bytes", labels...)
		docker.add(0, 0, "container_memory_failcnt", labels...)
	}

	swarm := &world{name: "Swarm, hybrid", age: 4 * day}
	for _, node := range []string{"m1", "w1"} {
		swarm.node("node", node, "idc", "east", "cluster", "swarm1")
		for _, slot := range []string{"1", "2"} {
			labels := []string{"project", "shop", "idc", "east", "cluster", "swarm1", "node", node, "namespace", "shop", "workload", "api",
				"pod", "api." + slot, "container", "api", "id", "/docker/" + node + slot, "name", "shop_api." + slot, "image", "img"}
			swarm.container(labels...)
			swarm.limits(labels...)
			swarm.network(labels...)
			swarm.pressure(labels...)
		}
	}

	k8s := &world{name: "Kubernetes, cgroup v2"}
	k8s.node("node", "n1", "idc", "west", "cluster", "k1")
	labels := []string{"project", "pay", "idc", "west", "cluster", "k1", "node", "n1", "namespace", "pay", "workload", "ledger",
		"pod", "ledger-1", "container", "ledger", "id", "/kubepods/1", "name", "k8s_ledger", "image", "img"}
	k8s.container(labels...)
	k8s.limits(labels...)
	k8s.network(labels...)
	k8s.pressure(labels...)
	k8s.blockIO(labels...)
	k8s.add(0, 0, "container_memory_swap", labels...)
	k8s.add(0, 64<<20, "container_memory_max_usage_bytes", labels...)
	k8s.add(0, 1, "ALERTS", "alertname", "ContainerUnhealthy", "alertstate", "firing", "severity", "warning", "project", "pay", "idc", "west", "cluster", "k1", "container", "ledger")

	all := []*world{docker, swarm, k8s}
	for _, w := range all {
		w.add(1000, 0, "plimsoll_collector_samples_ingested_total", "collector", "c1")
		w.add(0, 0, "plimsoll_collector_samples_rejected_total", "collector", "c1", "reason", "bad_label")
	}
	return all
}

var alreadyOpened atomic.Bool

// TestEveryPanelHasData runs every query of every dashboard against the engine with what different hosts send, thirty
// seconds after their first sample and without any recorded series.
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
		if err := e.Append(w.series); err != nil {
			t.Fatal(err)
		}
	}
	e.Flush()

	for _, w := range all {
		for _, container := range containersOf(w) {
			t.Run(w.name+"/"+container, func(t *testing.T) {
				findings, err := dashboards.Check(t.Context(), dashboards.FS(), ask(e, time.Now().Add(-w.age), container))
				if err != nil {
					t.Fatal(err)
				}
				if len(findings) < 80 {
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
	t.Run("figures are right", func(t *testing.T) { testFigures(t, e, all) })
	t.Run("check against a Prometheus API says which panel is empty", func(t *testing.T) { testCheckAgainst(t, e) })
	t.Run("through Grafana", func(t *testing.T) { testThroughGrafana(t, e) })
}

func containersOf(w *world) []string {
	var names []string
	for _, ts := range w.series {
		for _, l := range ts.Labels {
			if l.Name == "container" && !slices.Contains(names, l.Value) {
				names = append(names, l.Value)
			}
		}
	}
	return names
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
			if !strings.HasPrefix(expr, "container_start_time_seconds{") || labels["container"] == container {
				found = append(found, labels)
			}
		}
		return found, err
	}
}

func testFigures(t *testing.T, e *engine.Engine, all []*world) {
	value := func(w *world, dashboard, panel, ref string) float64 {
		t.Helper()
		loaded, err := dashboards.Load(dashboards.FS())
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-w.age)
		for _, d := range loaded {
			queries, err := d.Queries(t.Context(), ask(e, at, containersOf(w)[0]))
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range queries {
				if d.UID == dashboard && q.Panel == panel && q.RefID == ref {
					series, err := e.Query(t.Context(), q.Expr, at)
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
	f := func(w *world, dashboard, panel, ref string, want float64) {
		t.Helper()
		if got := value(w, dashboard, panel, ref); got < want-1e-6 || got > want+1e-6 {
			t.Errorf("%s: %s, %q, %s is %v, want %v", w.name, dashboard, panel, ref, got, want)
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
}

func testCheckAgainst(t *testing.T, e *engine.Engine) {
	server := httptest.NewServer(e)
	defer server.Close()
	var out strings.Builder
	if err := CheckAgainst(t.Context(), dashboards.FS(), server.URL, "", &out); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	if !strings.Contains(out.String(), "cont-fleet") || !strings.Contains(out.String(), "1 series") {
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
	if !strings.Contains(out.String(), "EMPTY  no_such_series") || !strings.Contains(out.String(), "FAILED") {
		t.Errorf("it prints\n%s", &out)
	}
	if err := CheckAgainst(t.Context(), dashboards.FS(), "localhost:9750", "", &out); err == nil || !strings.Contains(err.Error(), "absolute") {
		t.Errorf("%v", err)
	}
}

func testThroughGrafana(t *testing.T, e *engine.Engine) {
	collector := httptest.NewServer(e)
	defer collector.Close()
	g := grafanatest.Start(t)
	p, _ := publisher(t, g, g.TokenFile(t, "Admin"), dashboards.FS(), func(c *Config) { c.DatasourceURL = collector.URL })
	publish(t, p)
	all, err := dashboards.Load(dashboards.FS())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
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
	values := map[string]string{"container": "ledger"}
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
