package fleettest

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/klauspost/compress/snappy"

	"github.com/plimsoll/plimsoll/agent/wire"
)

// gauge is what a series is worth some time after the beginning; NaN: it is not there.
type gauge func(at time.Duration) float64

func steady(v float64) gauge { return func(time.Duration) float64 { return v } }

// grows counts up by so much a second.
func grows(perSecond float64) gauge {
	return func(at time.Duration) float64 { return perSecond * at.Seconds() }
}

// until is before, then after from the moment on.
func until(moment time.Duration, before, after gauge) gauge {
	return func(at time.Duration) float64 {
		if at < moment {
			return before(at)
		}
		return after(at)
	}
}

// counts is a counter that goes on for another unit every so often from a moment on, up to most.
func counts(from, every time.Duration, most float64) gauge {
	return func(at time.Duration) float64 {
		if at < from {
			return 0
		}
		return min(most, 1+math.Floor(float64(at-from)/float64(every)))
	}
}

func gone(time.Duration) float64 { return math.NaN() }

// world is a fleet as a set of series, each a function of time. What is set twice is what was set last.
type world struct {
	series map[string]*simulated
	order  []string
}

type simulated struct {
	name   string
	labels labels
	value  gauge
	there  bool // at the last moment
}

func (w *world) set(name string, value gauge, l labels) {
	key := name + "\xff" + strings.Join(l, "\xff")
	if w.series[key] == nil {
		w.order = append(w.order, key)
	}
	w.series[key] = &simulated{name: name, labels: l, value: value}
}

// at puts every series' value at a moment: what agents ship through the endpoint for remote write, what the collector measures
// as its own scraper stores it.
func (w *world) at(t *testing.T, begin time.Time, at time.Duration, write http.Handler, store func([]prompb.TimeSeries) error) {
	t.Helper()
	own := &fleet{at: begin.Add(at)}
	var body []byte
	send := func() {
		r := httptest.NewRequest(http.MethodPost, "/api/v1/write", bytes.NewReader(snappy.Encode(nil, body)))
		r.Header.Set("Content-Encoding", "snappy")
		rec := httptest.NewRecorder()
		write.ServeHTTP(rec, r)
		if rec.Code != http.StatusNoContent {
			t.Fatalf("the write is answered %d %s", rec.Code, rec.Body)
		}
		body = body[:0]
	}
	for _, key := range w.order {
		s := w.series[key]
		value := s.value(at)
		is := !math.IsNaN(value)
		if !is && !s.there {
			continue
		}
		if !is {
			value = stale
		}
		s.there = is
		if strings.HasPrefix(s.name, "plimsoll_collector_") {
			own.put(s.name, value, s.labels)
			continue
		}
		l := []wire.Label{{Name: "__name__", Value: s.name}}
		for i := 0; i+1 < len(s.labels); i += 2 {
			if s.labels[i+1] != "" {
				l = append(l, wire.Label{Name: s.labels[i], Value: s.labels[i+1]})
			}
		}
		slices.SortFunc(l, func(a, b wire.Label) int { return strings.Compare(a.Name, b.Name) })
		body = wire.AppendSeries(body, wire.AppendLabels(nil, l), value, own.at.UnixMilli())
		if len(body) > 1<<20 {
			send()
		}
	}
	send()
	if err := store(own.batch); err != nil {
		t.Fatal(err)
	}
}

// site is where something is.
type site struct{ idc, cluster string }

func (s site) labels() labels { return labels{"idc", s.idc, "cluster", s.cluster} }

func (s site) node(name string) labels { return append(s.labels(), "node", name) }

// one is a container of a workload, its only replica.
func (s site) one(project, node, workload string) labels {
	return labels{"project", project, "idc", s.idc, "cluster", s.cluster, "node", node, "namespace", "ns", "workload", workload, "pod", workload + "-0", "container", "app"}
}

// container is one that is well: an agent's series of it that the rules look at. It uses a third of one core and half of its gigabyte.
func (w *world) container(c labels) {
	const limit = 1 << 30
	put := func(name string, value gauge, more ...string) { w.set(name, value, c.with(more...)) }
	put("container_cpu_usage_seconds_total", grows(0.3), "cpu", "total")
	put("container_spec_cpu_quota", steady(100_000))
	put("container_spec_cpu_period", steady(100_000))
	put("container_request_cpu_cores", steady(0.4))
	put("container_request_memory_bytes", steady(limit/2))
	put("container_cpu_cfs_periods_total", grows(10))
	put("container_cpu_cfs_throttled_periods_total", grows(0.5))
	put("container_cpu_cfs_throttled_seconds_total", grows(0.01))
	put("container_memory_working_set_bytes", steady(0.55*limit))
	put("container_memory_rss", steady(0.5*limit))
	put("container_memory_unreclaimable_bytes", steady(0.5*limit))
	put("container_spec_memory_limit_bytes", steady(limit))
	put("container_threads", steady(20))
	put("container_threads_max", steady(100))
	put("container_process_file_descriptors_ratio", steady(0.1))
	put("container_fs_usage_bytes", steady(2e9))
	for _, direction := range []string{"receive", "transmit"} {
		put("container_network_"+direction+"_packets_total", grows(100), "interface", "eth0")
		put("container_network_"+direction+"_errors_total", steady(0), "interface", "eth0")
		put("container_network_"+direction+"_packets_dropped_total", grows(0.1), "interface", "eth0")
	}
	put("container_pressure_cpu_waiting_seconds_total", grows(0.05))
	put("container_pressure_memory_waiting_seconds_total", grows(0.001))
	put("container_pressure_io_stalled_seconds_total", grows(0.001))
	put("container_start_time_seconds", steady(1e9))
	for status, is := range map[string]float64{"healthy": 1, "starting": 0, "unhealthy": 0} {
		put("container_health_status", steady(is), "status", status)
	}
	put("container_oom_events_total", steady(0))
	put("container_restarts_total", steady(0))
	for _, reason := range []string{"completed", "stopped", "error", "signalled", "oom_killed"} {
		put("container_exits_total", steady(0), "reason", reason)
	}
}

// node is one that is well, and its agent, of which the named collector hears.
func (w *world) node(n labels, begin time.Time) {
	own := n.with("collector", "col")
	w.set("plimsoll_collector_agent_last_received_timestamp_seconds", func(at time.Duration) float64 { return float64(begin.Add(at).Unix()) }, own)
	for _, how := range []string{"ended", "silent"} {
		w.set("plimsoll_collector_agent_lost", steady(0), own.with("how", how))
	}
	w.set("plimsoll_collector_agent_clock_skew_seconds", steady(0.1), own)
	w.set("plimsoll_collector_agent_missing_batches_total", steady(0), own)
	w.set("plimsoll_collector_agent_series", steady(5000), own)
	put := func(name string, value gauge, more ...string) { w.set(name, value, n.with(more...)) }
	put("machine_cpu_cores", steady(32))
	put("machine_memory_bytes", steady(128<<30))
	put("container_memory_working_set_bytes", steady(40<<30), "id", "/")
	put("container_cpu_usage_seconds_total", grows(8), "id", "/")
	put("container_pressure_memory_waiting_seconds_total", grows(0.001), "id", "/")
	put("container_fs_usage_bytes", steady(50e9), "id", "/", "device", "/dev/vda")
	put("container_fs_limit_bytes", steady(100e9), "id", "/", "device", "/dev/vda")
	put("container_scrape_error", steady(0), "id", "/")
	for _, source := range []string{"docker", "cgroup"} {
		put("plimsoll_agent_source_up", steady(1), "source", source)
	}
	for _, part := range []string{"pods", "deployments"} {
		put("plimsoll_agent_kubernetes_part_up", steady(1), "part", part)
	}
	put("plimsoll_agent_build_info", steady(1), "version", "1.0")
	put("plimsoll_agent_remote_write_lag_seconds", steady(1), "receiver", "c")
	put("plimsoll_agent_spool_bytes", steady(1e6))
	put("plimsoll_agent_spool_limit_bytes", steady(1e9))
	put("plimsoll_agent_spool_pending_bytes", steady(1e5), "receiver", "c")
	put("plimsoll_agent_samples_dropped_total", steady(0), "receiver", "c", "reason", "spool_full")
	put("plimsoll_agent_containers", steady(25))
	put("plimsoll_agent_containers_unresolved", steady(0))
	put("plimsoll_agent_containers_unassigned", steady(0))
	for _, label := range []string{"project", "idc", "cluster", "workload"} {
		put("plimsoll_agent_containers_without", steady(0), "label", label)
	}
	put("plimsoll_agent_project_map_valid", steady(1))
	put("plimsoll_agent_label_values_refused_total", steady(0), "label", "workload")
}

// workload is what Kubernetes tells of one that is well.
func (w *world) workload(project string, s site, name string, replicas float64) {
	for _, kind := range []string{"desired", "ready", "updated"} {
		w.set("workload_"+kind+"_replicas", steady(replicas), workloadLabels(project, s, name))
	}
}

func workloadLabels(project string, s site, name string) labels {
	return append(labels{"project", project}, append(s.labels(), "namespace", "ns", "workload", name)...)
}

// collector is one that is well.
func (w *world) collector(name string) {
	put := func(metric string, value gauge, more ...string) {
		w.set("plimsoll_collector_"+metric, value, labels{"collector", name}.with(more...))
	}
	put("samples_ingested_total", grows(1000))
	put("samples_rejected_total", steady(0), "reason", "future")
	put("journal_up", steady(1))
	put("write_requests_total", grows(10), "code", "204")
	put("write_requests_total", steady(0), "code", "400")
	put("series", steady(1e5))
	for _, scope := range []string{"agent", "project", "total"} {
		put("series_limit", steady(1e6), "scope", scope)
	}
	put("storage_free_bytes", steady(1e12))
	put("rule_evaluation_failures_total", steady(0), "group", "g", "rule", "r")
	put("rule_group_last_duration_seconds", steady(0.1), "group", "g")
	put("rule_group_interval_seconds", steady(30), "group", "g")
	put("recording_rule_last_series", steady(10), "group", "g", "rule", "r")
	put("rules_unarmed", steady(0), "group", "g", "rule", "r")
	put("notifications_total", grows(0.1), "receiver", "r", "integration", "webhook")
	put("notifications_failed_total", steady(0), "receiver", "r", "integration", "webhook")
	put("grafana_publish_failures_total", steady(0), "target", "t")
	put("grafana_publish_success_total", grows(0.01), "target", "t")
	put("project_map_valid", steady(1))
}

// healthy is a fleet in which nothing is wrong: four sites of six nodes, 240 containers of ten projects.
func (w *world) healthy(begin time.Time) {
	w.collector("col")
	for i, s := range sites() {
		for n := range 6 {
			node := fmt.Sprintf("n%d", n)
			w.node(s.node(node), begin)
			for c := range 10 {
				w.container(s.one(fmt.Sprintf("p%d", c), node, fmt.Sprintf("w%d-%d-%d", i, n, c)))
			}
		}
		for p := range 10 {
			w.workload(fmt.Sprintf("p%d", p), s, fmt.Sprintf("w%d", p), 6)
			w.set("kube_resourcequota", steady(50), append(labels{"project", fmt.Sprintf("p%d", p)}, append(s.labels(), "namespace", "ns", "resource", "cpu", "type", "used")...))
			w.set("kube_resourcequota", steady(100), append(labels{"project", fmt.Sprintf("p%d", p)}, append(s.labels(), "namespace", "ns", "resource", "cpu", "type", "hard")...))
			w.set("plimsoll_collector_project_series", steady(1e4), labels{"collector", "col", "project", fmt.Sprintf("p%d", p)})
		}
	}
}

func sites() []site { return []site{{"bj", "c1"}, {"bj", "c2"}, {"sh", "c3"}, {"sz", "c4"}} }
