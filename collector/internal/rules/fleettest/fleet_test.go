// Package fleettest drives the built-in rules over synthetic fleets on the real engine; one process opens one engine, hence a
// package of its own. The clock is the test's: an hour of a fleet takes seconds.
package fleettest

import (
	"fmt"
	"math"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
)

// fleet makes the samples of one moment after the other.
type fleet struct {
	batch []prompb.TimeSeries
	at    time.Time
}

type labels []string // name, value, name, value…

func (l labels) with(more ...string) labels { return append(append(labels{}, l...), more...) }

func (f *fleet) put(name string, value float64, l labels) {
	ts := prompb.TimeSeries{
		Labels:  []prompb.Label{{Name: "__name__", Value: name}},
		Samples: []prompb.Sample{{Value: value, Timestamp: f.at.UnixMilli()}},
	}
	for i := 0; i+1 < len(l); i += 2 {
		if l[i+1] != "" {
			ts.Labels = append(ts.Labels, prompb.Label{Name: l[i], Value: l[i+1]})
		}
	}
	f.batch = append(f.batch, ts)
}

// stale is the marker that ends a series.
var stale = math.Float64frombits(0x7ff0000000000002)

func node(cluster, name string) labels { return labels{"idc", "bj", "cluster", cluster, "node", name} }

func container(cluster, node, workload, pod string) labels {
	return labels{"project", "shop", "idc", "bj", "cluster", cluster, "node", node, "namespace", "web", "workload", workload, "pod", pod, "container", "app"}
}

// load is what a container does; the zero value idles well below its limits.
type load struct {
	age                   time.Duration // since its start; negative: not started
	over                  bool          // it ends now: stale markers
	cores, throttledShare float64
	throttledSeconds      float64 // a second
	memoryShare           float64
	ioStalled, cpuWaiting float64 // a second
	starting              bool
	restarts, oomKills    float64
}

// container puts all that an agent ships of a container that the rules look at, after it has run for l.age.
func (f *fleet) container(c labels, l load) {
	seconds := l.age.Seconds()
	const limit = 1 << 30
	value := func(v float64) float64 {
		if l.over {
			return stale
		}
		return v
	}
	put := func(name string, v float64, more ...string) { f.put(name, value(v), c.with(more...)) }
	put("container_cpu_usage_seconds_total", l.cores*seconds, "cpu", "total")
	put("container_spec_cpu_quota", 100_000)
	put("container_spec_cpu_period", 100_000)
	put("container_cpu_cfs_periods_total", 10*seconds)
	put("container_cpu_cfs_throttled_periods_total", 10*seconds*l.throttledShare)
	put("container_cpu_cfs_throttled_seconds_total", seconds*l.throttledSeconds)
	put("container_memory_working_set_bytes", limit*min(l.memoryShare+0.05, 1))
	put("container_memory_rss", limit*l.memoryShare)
	put("container_memory_unreclaimable_bytes", limit*l.memoryShare)
	put("container_spec_memory_limit_bytes", limit)
	put("container_threads", 20)
	put("container_threads_max", 100)
	put("container_process_file_descriptors_ratio", 0.1)
	for _, direction := range []string{"receive", "transmit"} {
		put("container_network_"+direction+"_packets_total", 100*seconds, "interface", "eth0")
		put("container_network_"+direction+"_errors_total", 0, "interface", "eth0")
		put("container_network_"+direction+"_packets_dropped_total", seconds/10, "interface", "eth0")
	}
	put("container_pressure_cpu_waiting_seconds_total", seconds*l.cpuWaiting)
	put("container_pressure_memory_waiting_seconds_total", seconds/1000)
	put("container_pressure_io_stalled_seconds_total", seconds*l.ioStalled)
	put("container_start_time_seconds", float64(f.at.Add(-l.age).Unix()))
	for status, is := range map[string]bool{"healthy": !l.starting, "starting": l.starting, "unhealthy": false} {
		v := 0.0
		if is {
			v = 1
		}
		put("container_health_status", v, "status", status)
	}
	// The slot's counters outlive the container.
	f.put("container_oom_events_total", l.oomKills, c)
	f.put("container_restarts_total", l.restarts, c)
}

// node puts what an agent ships of its node, and the moment the collector heard it.
func (f *fleet) node(n labels, heard time.Time, up time.Duration) {
	f.put("plimsoll_collector_agent_last_received_timestamp_seconds", float64(heard.Unix()), n)
	if heard.Before(f.at) {
		return
	}
	f.put("machine_cpu_cores", 32, n)
	f.put("machine_memory_bytes", 128<<30, n)
	f.put("container_memory_working_set_bytes", 40<<30, n.with("id", "/"))
	f.put("container_pressure_memory_waiting_seconds_total", up.Seconds()/1000, n.with("id", "/"))
	f.put("container_fs_usage_bytes", 50e9, n.with("id", "/", "device", "/dev/vda"))
	f.put("container_fs_limit_bytes", 100e9, n.with("id", "/", "device", "/dev/vda"))
	f.put("container_scrape_error", 0, n.with("id", "/"))
	for _, source := range []string{"docker", "cgroup"} {
		f.put("plimsoll_agent_source_up", 1, n.with("source", source))
	}
	f.put("plimsoll_agent_remote_write_lag_seconds", 0, n.with("receiver", "c"))
	f.put("plimsoll_agent_spool_bytes", 1e6, n)
	f.put("plimsoll_agent_spool_limit_bytes", 1e9, n)
	f.put("plimsoll_agent_spool_pending_bytes", 1e5, n.with("receiver", "c"))
	f.put("plimsoll_agent_samples_dropped_total", 0, n.with("receiver", "c", "reason", "spool_full"))
	f.put("plimsoll_agent_containers_unassigned", 0, n)
}

// workload puts what Kubernetes tells of a workload.
func (f *fleet) workload(cluster, name string, desired, ready, updated int) {
	l := labels{"project", "shop", "idc", "bj", "cluster", cluster, "namespace", "web", "workload", name}
	f.put("workload_desired_replicas", float64(desired), l)
	f.put("workload_ready_replicas", float64(ready), l)
	f.put("workload_updated_replicas", float64(updated), l)
}

func name(prefix string, i int) string { return fmt.Sprintf("%s%02d", prefix, i) }
