// Package paneltest holds what different hosts send, so that every panel can be asked over each of them.
package paneltest

import (
	"io/fs"
	"regexp"
	"testing"
	"testing/fstest"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"

	"github.com/plimsoll/plimsoll/alerts"
)

// Recording gives the recording rules of the pack, each evaluated every second instead of every few minutes.
func Recording(t testing.TB) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	names, err := fs.Glob(alerts.FS(), "recording*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(alerts.FS(), name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: regexp.MustCompile(`(?m)^  interval: \S+$`).ReplaceAll(text, []byte("  interval: 1s"))}
	}
	return files
}

// World is what the nodes of one runtime send, and what else is in a collector that hears no others.
type World struct {
	Name       string
	Containers []string // values of the label container
	born       time.Time
	seeds      []seed
}

// seed is one series: where it stands when the world is born, and what it grows by in a second.
type seed struct {
	labels        []prompb.Label
	start, growth float64
}

// Series gives the samples from the birth of the world up to an end.
func (w *World) Series(end time.Time, every time.Duration) []prompb.TimeSeries {
	all := make([]prompb.TimeSeries, 0, len(w.seeds))
	for _, s := range w.seeds {
		ts := prompb.TimeSeries{Labels: s.labels}
		for at := w.born; !at.After(end); at = at.Add(every) {
			ts.Samples = append(ts.Samples, prompb.Sample{Value: s.start + s.growth*at.Sub(w.born).Seconds(), Timestamp: at.UnixMilli()})
		}
		all = append(all, ts)
	}
	return all
}

func (w *World) add(growth, start float64, metric string, labels ...string) {
	s := seed{labels: []prompb.Label{{Name: "__name__", Value: metric}}, start: start, growth: growth}
	for i := 0; i+1 < len(labels); i += 2 {
		if labels[i+1] != "" {
			s.labels = append(s.labels, prompb.Label{Name: labels[i], Value: labels[i+1]})
		}
	}
	w.seeds = append(w.seeds, s)
}

// node adds what every agent sends of its node and of itself.
func (w *World) node(site ...string) {
	gauge := func(metric string, v float64, more ...string) { w.add(0, v, metric, append(more, site...)...) }
	counter := func(metric string, perSecond float64, more ...string) {
		w.add(perSecond, 100, metric, append(more, site...)...)
	}
	gauge("machine_cpu_cores", 8)
	gauge("machine_memory_bytes", 16<<30)
	counter("container_cpu_usage_seconds_total", 1.5, "id", "/")
	gauge("container_memory_working_set_bytes", 4<<30, "id", "/")
	gauge("plimsoll_agent_build_info", 1, "version", "1")
	gauge("plimsoll_agent_remote_write_lag_seconds", 15, "receiver", "c")
	gauge("plimsoll_agent_spool_bytes", 4096)
	gauge("plimsoll_agent_source_up", 1, "source", "cgroup")
	gauge("plimsoll_agent_containers_without", 0, "label", "project")
	gauge("plimsoll_agent_containers_unassigned", 0)
	counter("plimsoll_agent_samples_dropped_total", 0, "receiver", "c", "reason", "spool_age")
	counter("process_cpu_seconds_total", 0.01)
	gauge("process_resident_memory_bytes", 30<<20)
	gauge("process_start_time_seconds", float64(w.born.Unix()))
}

// container adds what every kernel and engine gives for a container.
func (w *World) container(labels ...string) {
	gauge := func(metric string, v float64, more ...string) { w.add(0, v, metric, append(more, labels...)...) }
	counter := func(metric string, perSecond float64, more ...string) {
		w.add(perSecond, 0, metric, append(more, labels...)...)
	}
	counter("container_cpu_usage_seconds_total", 0.5, "cpu", "total")
	counter("container_cpu_user_seconds_total", 0.4)
	counter("container_cpu_system_seconds_total", 0.1)
	gauge("container_memory_working_set_bytes", 64<<20)
	gauge("container_memory_rss", 32<<20)
	gauge("container_memory_cache", 40<<20)
	gauge("container_memory_mapped_file", 1<<20)
	gauge("container_memory_unreclaimable_bytes", 36<<20)
	gauge("container_spec_cpu_period", 100000)
	gauge("container_threads", 7)
	gauge("container_start_time_seconds", float64(w.born.Add(-time.Hour).Unix()))
	gauge("container_last_seen", float64(w.born.Unix()))
	gauge("container_health_state", -1)
	counter("container_oom_events_total", 0)
	counter("container_restarts_total", 0)
	counter("container_memory_failures_total", 0.1, "failure_type", "pgmajfault", "scope", "container")
	for i := 0; i+1 < len(labels); i += 2 {
		if labels[i] == "container" {
			w.Containers = append(w.Containers, labels[i+1])
		}
	}
}

func (w *World) limits(labels ...string) {
	w.add(0, 100000, "container_spec_cpu_quota", labels...)
	w.add(0, 128<<20, "container_spec_memory_limit_bytes", labels...)
	w.add(0, 100, "container_threads_max", labels...)
	w.add(10, 0, "container_cpu_cfs_periods_total", labels...)
	w.add(1, 0, "container_cpu_cfs_throttled_periods_total", labels...)
}

func (w *World) network(labels ...string) {
	for _, direction := range []string{"receive", "transmit"} {
		for _, what := range []string{"bytes", "packets", "errors", "packets_dropped"} {
			w.add(100, 0, "container_network_"+direction+"_"+what+"_total", append([]string{"interface", "eth0"}, labels...)...)
		}
	}
}

func (w *World) pressure(labels ...string) {
	for _, what := range []string{"cpu", "memory", "io"} {
		w.add(0.05, 0, "container_pressure_"+what+"_waiting_seconds_total", labels...)
		w.add(0.01, 0, "container_pressure_"+what+"_stalled_seconds_total", labels...)
	}
}

func (w *World) blockIO(labels ...string) {
	w.add(1000, 0, "container_fs_reads_bytes_total", append([]string{"device", "/dev/vda"}, labels...)...)
	w.add(2000, 0, "container_fs_writes_bytes_total", append([]string{"device", "/dev/vda"}, labels...)...)
}

func (w *World) replicas(desired, ready float64, labels ...string) {
	w.add(0, desired, "workload_desired_replicas", labels...)
	w.add(0, ready, "workload_ready_replicas", labels...)
}

// Docker is the poorest host there is: no site, no limits, no pressure, no block I/O, the host's network.
func Docker(born time.Time) *World {
	w := &World{Name: "plain Docker, cgroup v1", born: born}
	w.node("node", "host1")
	for _, name := range []string{"adminer", "cron"} {
		labels := []string{"project", "unassigned", "node", "host1", "workload", name, "container", name, "id", "/docker/" + name, "name", name, "image", "img"}
		w.container(labels...)
		w.add(0, 0, "container_spec_memory_limit_bytes", labels...)
		w.add(0, 0, "container_memory_failcnt", labels...)
	}
	return w
}

// Swarm is a service of four tasks on two nodes, with limits, pressure and a network, without block I/O.
func Swarm(born time.Time) *World {
	w := &World{Name: "Swarm, hybrid", born: born}
	for _, node := range []string{"m1", "w1"} {
		w.node("node", node, "idc", "east", "cluster", "swarm1")
		for _, slot := range []string{"1", "2"} {
			labels := []string{"project", "shop", "idc", "east", "cluster", "swarm1", "node", node, "namespace", "shop", "workload", "api",
				"pod", "api." + slot, "container", "api", "id", "/docker/" + node + slot, "name", "shop_api." + slot + ".0123456789abcdefghijklmno", "image", "img"}
			w.container(labels...)
			w.limits(labels...)
			w.network(labels...)
			w.pressure(labels...)
		}
		w.pressure("id", "/", "node", node, "idc", "east", "cluster", "swarm1")
	}
	w.replicas(4, 4, "project", "shop", "idc", "east", "cluster", "swarm1", "namespace", "shop", "workload", "api")
	return w
}

// Kubernetes is a pod with all that there is: requests, limits, a quota, a disk that is read.
func Kubernetes(born time.Time) *World {
	w := &World{Name: "Kubernetes, cgroup v2", born: born}
	site := []string{"node", "n1", "idc", "west", "cluster", "k1"}
	w.node(site...)
	labels := []string{"project", "pay", "idc", "west", "cluster", "k1", "node", "n1", "namespace", "pay", "workload", "ledger",
		"pod", "ledger-1", "container", "ledger", "id", "/kubepods/1", "name", "k8s_ledger", "image", "img"}
	w.container(labels...)
	w.limits(labels...)
	w.network(labels...)
	w.pressure(labels...)
	w.pressure(append([]string{"id", "/"}, site...)...)
	w.blockIO(labels...)
	w.add(0, 0, "container_memory_swap", labels...)
	w.add(0, 64<<20, "container_memory_max_usage_bytes", labels...)
	w.add(0, 0.25, "container_request_cpu_cores", labels...)
	w.add(0, 96<<20, "container_request_memory_bytes", labels...)
	w.add(0, 50e9, "container_fs_usage_bytes", append([]string{"id", "/", "device", "/dev/vda"}, site...)...)
	w.add(0, 100e9, "container_fs_limit_bytes", append([]string{"id", "/", "device", "/dev/vda"}, site...)...)
	w.replicas(2, 1, "project", "pay", "idc", "west", "cluster", "k1", "namespace", "pay", "workload", "ledger")
	for kind, v := range map[string]float64{"used": 3, "hard": 4} {
		w.add(0, v, "kube_resourcequota", "type", kind, "resource", "requests.cpu", "project", "pay", "idc", "west", "cluster", "k1", "namespace", "pay")
	}
	return w
}

// Firing adds an alert that fires.
func (w *World) Firing(alertname string, labels ...string) {
	labels = append([]string{"alertname", alertname}, labels...)
	w.add(0, 1, "ALERTS", append([]string{"alertstate", "firing"}, labels...)...)
	w.add(0, float64(w.born.Unix()), "ALERTS_FOR_STATE", labels...)
}

// Collector adds what a collector tells of itself and of the nodes it heard; a real one does that by itself.
func (w *World) Collector() {
	own := func(metric string, v, growth float64, labels ...string) {
		w.add(growth, v, metric, append([]string{"collector", "c1"}, labels...)...)
	}
	own("plimsoll_collector_samples_ingested_total", 0, 1000)
	own("plimsoll_collector_samples_rejected_total", 0, 0, "reason", "bad_label")
	own("plimsoll_collector_rule_group_last_duration_seconds", 0.1, 0, "group", "g")
	own("plimsoll_collector_rule_group_interval_seconds", 30, 0, "group", "g")
	own("plimsoll_collector_active_series", 1000, 0)
	own("plimsoll_collector_storage_bytes", 1e9, 0)
	own("plimsoll_collector_storage_free_bytes", 1e10, 0)
	own("plimsoll_collector_build_info", 1, 0, "version", "1")
	own("process_cpu_seconds_total", 0, 0.1)
	own("process_resident_memory_bytes", 1e8, 0)
	for _, s := range w.seeds {
		if s.labels[0].Value != "machine_cpu_cores" {
			continue
		}
		node := []string{"collector", "c1"}
		for _, l := range s.labels[1:] {
			node = append(node, l.Name, l.Value)
		}
		w.add(1, float64(w.born.Unix()), "plimsoll_collector_agent_last_received_timestamp_seconds", node...)
		w.add(0, 0.1, "plimsoll_collector_agent_clock_skew_seconds", node...)
	}
}
