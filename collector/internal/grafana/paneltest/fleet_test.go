package paneltest

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/alerts"
	"github.com/plimsoll/plimsoll/collector/internal/engine"
)

// past is how far back the ordinary series reach: the visible range of most pages and the longest rate before it.
const past = 75 * time.Minute

// history writes the past of a fleet, a series at a time: 100 containers a node, 10 nodes a cluster, 4 clusters an IDC, 10 replicas
// a workload, 100 projects. One container of 200 was OOM-killed.
type history struct {
	eng             *engine.Engine
	now             time.Time
	batch           []prompb.TimeSeries
	series, samples int
	known           []recording
}

type labels []string // name, value, name, value…

func (l labels) with(more ...string) labels { return append(append(labels{}, l...), more...) }

// without keeps the order of what is left.
func (l labels) without(names ...string) labels {
	var left labels
	for i := 0; i < len(l); i += 2 {
		dropped := false
		for _, name := range names {
			dropped = dropped || l[i] == name
		}
		if !dropped {
			left = append(left, l[i], l[i+1])
		}
	}
	return left
}

// curve gives a value from the seconds before now.
type curve func(ago float64) float64

func steady(v float64) curve   { return func(float64) float64 { return v } }
func grows(rate float64) curve { return func(ago float64) float64 { return rate * (1e7 - ago) } }

func (h *history) put(t *testing.T, name string, l labels, length, every time.Duration, f curve) {
	t.Helper()
	ts := prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: name}}, Samples: make([]prompb.Sample, 0, length/every+1)}
	for i := 0; i+1 < len(l); i += 2 {
		ts.Labels = append(ts.Labels, prompb.Label{Name: l[i], Value: l[i+1]})
	}
	for ago := length; ago >= 0; ago -= every {
		ts.Samples = append(ts.Samples, prompb.Sample{Value: f(ago.Seconds()), Timestamp: h.now.Add(-ago).UnixMilli()})
	}
	h.series++
	h.samples += len(ts.Samples)
	h.batch = append(h.batch, ts)
	if len(h.batch) == 2000 {
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

const scrape = 15 * time.Second

func (h *history) fill(t *testing.T, containers int) {
	for i := range containers {
		c := labels{"project", fmt.Sprintf("p%d", i/10%100), "idc", fmt.Sprintf("i%d", i/4000), "cluster", fmt.Sprintf("c%d", i/1000), "node", fmt.Sprintf("n%d", i/100),
			"namespace", fmt.Sprintf("ns%d", i/10%100), "workload", fmt.Sprintf("w%d", i/10), "pod", fmt.Sprintf("w%d-%d", i/10, i%10), "container", fmt.Sprintf("app%d", i/10),
			"image", fmt.Sprintf("registry/w%d:1", i/10), "id", fmt.Sprintf("/kubepods/burstable/pod%08x/%064x", i, i), "name", fmt.Sprintf("k8s_app_w%d-%d", i/10, i%10)}
		h.container(t, i, c)
		h.recorded(t, i, c.without("image", "id", "name"))
		if i%10 == 0 {
			h.workload(t, c.without("node", "pod", "container", "image", "id", "name"))
		}
		if i%100 == 0 {
			h.node(t, c[2:8])
		}
	}
	h.collector(t)
	h.flush(t)
}

// container is what an agent ships of one.
func (h *history) container(t *testing.T, i int, c labels) {
	put := func(name string, f curve, more ...string) { h.put(t, name, c.with(more...), past, scrape, f) }
	event := func(ago float64) float64 { // it happened 4 minutes ago
		if i%200 == 0 && ago < 240 {
			return 1
		}
		return 0
	}
	h.put(t, "container_oom_events_total", c, 25*time.Hour, scrape, event)
	h.put(t, "container_restarts_total", c, 25*time.Hour, scrape, event)
	h.put(t, "container_exits_total", c.with("reason", "error"), 25*time.Hour, scrape, event)
	for name, v := range map[string]float64{
		"container_start_time_seconds": float64(h.now.Unix() - 100_000), "container_last_seen": float64(h.now.Unix()), "container_health_state": float64(i%3 - 1),
		"container_spec_cpu_quota": 1e5, "container_spec_cpu_period": 1e5, "container_memory_working_set_bytes": 6e8, "container_memory_working_set_peak_bytes": 6.2e8, "container_memory_rss": 5e8,
		"container_memory_unreclaimable_bytes": 5e8 + float64(i), "container_memory_cache": 2e8, "container_memory_swap": 0, "container_memory_usage_bytes": 7e8, "container_memory_max_usage_bytes": 9e8,
		"container_memory_mapped_file": 1e7, "container_spec_memory_limit_bytes": 1e9, "container_threads": 20, "container_threads_max": 100, "container_cpu_peak_cores": 0.9,
		"container_process_file_descriptors_ratio": 0.1, "container_request_cpu_cores": 0.5, "container_request_memory_bytes": 8e8,
	} {
		put(name, steady(v))
	}
	for name, v := range map[string]float64{
		"container_cpu_usage_seconds_total": 0.3 + float64(i%100)/1000, "container_cpu_user_seconds_total": 0.2, "container_cpu_system_seconds_total": 0.1, "container_cpu_cfs_periods_total": 10,
		"container_cpu_cfs_throttled_periods_total": float64(i%50) / 10, "container_cpu_cfs_throttled_seconds_total": float64(i%50) / 100, "container_memory_failcnt": 0,
		"container_pressure_cpu_waiting_seconds_total": 0.1, "container_pressure_cpu_stalled_seconds_total": 0.01, "container_pressure_memory_waiting_seconds_total": 0.01,
		"container_pressure_memory_stalled_seconds_total": 0.001, "container_pressure_io_waiting_seconds_total": 0.01, "container_pressure_io_stalled_seconds_total": 0.01,
	} {
		put(name, grows(v))
	}
	put("container_memory_failures_total", grows(0.1), "failure_type", "pgmajfault", "scope", "container")
	for _, status := range []string{"starting", "healthy", "unhealthy"} {
		put("container_health_status", steady(0), "status", status)
	}
	for _, direction := range []string{"receive", "transmit"} {
		put("container_network_"+direction+"_bytes_total", grows(2000), "interface", "eth0")
		put("container_network_"+direction+"_packets_total", grows(20), "interface", "eth0")
		put("container_network_"+direction+"_errors_total", steady(0), "interface", "eth0")
		put("container_network_"+direction+"_packets_dropped_total", grows(0.01), "interface", "eth0")
	}
	for _, direction := range []string{"reads", "writes"} {
		put("container_fs_"+direction+"_bytes_total", grows(1000), "device", "/dev/vda")
	}
}

// recorded is what the rules of the pack record of a container, a workload, a project and so on, each label set once.
func (h *history) recorded(t *testing.T, i int, c labels) {
	for _, r := range h.rules(t) {
		level, _, _ := strings.Cut(r.Record, ":")
		var l labels
		switch {
		case level == "container":
			l = c
		case level == "slot": // only what had an event, and the series that says that the rule was evaluated
			if i == 1 {
				h.put(t, r.Record, nil, past, time.Minute, steady(0))
			}
			if i%200 != 0 {
				continue
			}
			l = c
		case strings.HasPrefix(level, "workload") && i%10 == 0:
			l = c.without("node", "pod")
			if level == "workload" {
				l = l.without("container")
			}
		case level == "project_cluster" && i%10 == 0 && i%1000 < 1000:
			l = c[:6]
		case level == "project_node" && i%10 == 0:
			l = c[:8]
		case level == "project" && i < 1000 && i%10 == 0:
			l = c[:2]
		case level == "node" && i%100 == 0:
			l = c[2:8]
		case level == "cluster" && i%1000 == 0, level == "collector" && i%1000 == 0:
			l = c[2:6]
		case level == "idc" && i%4000 == 0:
			l = c[2:4]
		default:
			continue
		}
		if level != "slot" && (strings.Contains(r.Expr, "1d]") || strings.Contains(r.Expr, "7d]")) || level == "cluster" || level == "idc" || strings.HasPrefix(level, "project_cluster") {
			h.put(t, r.Record, l, 8*24*time.Hour, 4*time.Minute, steady(0.4))
			continue
		}
		h.put(t, r.Record, l, past, 30*time.Second, steady(0.4+float64(i%10)/100))
	}
}

type recording struct{ Record, Expr string }

// rules are read once.
func (h *history) rules(t *testing.T) []recording {
	if h.known == nil {
		h.known = recordings(t)
	}
	return h.known
}

func recordings(t *testing.T) []recording {
	t.Helper()
	names, err := fs.Glob(alerts.FS(), "recording*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []recording
	for _, name := range names {
		text, err := fs.ReadFile(alerts.FS(), name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Groups []struct{ Rules []recording } }
		if err := yaml.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		for _, g := range file.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

func (h *history) workload(t *testing.T, w labels) {
	for _, kind := range []string{"desired", "ready", "updated"} {
		h.put(t, "workload_"+kind+"_replicas", w, past, scrape, steady(10))
	}
}

func (h *history) node(t *testing.T, n labels) {
	put := func(name string, f curve, more ...string) { h.put(t, name, n.with(more...), 25*time.Hour, scrape, f) }
	put("plimsoll_collector_agent_last_received_timestamp_seconds", func(ago float64) float64 { return float64(h.now.Unix()) - ago }, "collector", "c")
	put("plimsoll_collector_agent_clock_skew_seconds", steady(0.1), "collector", "c")
	put("machine_cpu_cores", steady(32))
	put("machine_memory_bytes", steady(1<<37))
	root := func(name string, f curve) { put(name, f, "id", "/") }
	root("container_cpu_usage_seconds_total", grows(20))
	root("container_memory_working_set_bytes", steady(1<<36))
	for _, kind := range []string{"cpu_waiting", "cpu_stalled", "memory_waiting", "memory_stalled", "io_waiting", "io_stalled"} {
		root("container_pressure_"+kind+"_seconds_total", grows(0.01))
	}
	put("container_fs_usage_bytes", steady(5e10), "id", "/", "device", "/dev/vda")
	put("container_fs_limit_bytes", steady(1e11), "id", "/", "device", "/dev/vda")
	for _, name := range []string{"process_cpu_seconds_total", "plimsoll_agent_samples_dropped_total", "plimsoll_agent_samples_shipped_total", "plimsoll_agent_read_errors_total"} {
		put(name, grows(0.01))
	}
	for _, name := range []string{"plimsoll_agent_spool_limit_bytes", "plimsoll_agent_spool_bytes", "plimsoll_agent_remote_write_lag_seconds", "plimsoll_agent_containers", "process_resident_memory_bytes"} {
		put(name, steady(1e6))
	}
	put("plimsoll_agent_build_info", steady(1), "version", "1.0")
	put("plimsoll_agent_source_up", steady(1), "source", "docker")
}

func (h *history) collector(t *testing.T) {
	own := labels{"collector", "c"}
	h.put(t, "plimsoll_collector_samples_ingested_total", own, 25*time.Hour, scrape, grows(24000))
	h.put(t, "plimsoll_collector_samples_rejected_total", own.with("reason", "bad_label"), 25*time.Hour, scrape, grows(0))
	for g := range 40 {
		group := own.with("group", fmt.Sprintf("g%d", g))
		h.put(t, "plimsoll_collector_rule_group_last_duration_seconds", group, 25*time.Hour, scrape, steady(1))
		h.put(t, "plimsoll_collector_rule_group_interval_seconds", group, 25*time.Hour, scrape, steady(30))
	}
	for a := range 200 {
		h.put(t, "ALERTS", labels{"alertname", fmt.Sprintf("A%d", a%20), "alertstate", "firing", "severity", []string{"critical", "warning"}[a%2],
			"project", fmt.Sprintf("p%d", a%100), "idc", "i0", "cluster", "c0", "node", fmt.Sprintf("n%d", a%10), "workload", fmt.Sprintf("w%d", a), "container", "app"}, past, 30*time.Second, steady(1))
	}
}
