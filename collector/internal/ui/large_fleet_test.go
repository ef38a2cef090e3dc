package ui

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/alerts"
)

// largeFleet sends what the agents of a fleet would: 100 containers a node, 10 nodes a cluster, 4 clusters an IDC, 10 replicas a workload,
// 100 projects. One container of 200 was OOM-killed and restarted ten minutes before the end.
type largeFleet struct {
	t       *testing.T
	url     string // of the collector
	end     time.Time
	series  []fleetSeries
	samples int
}

// fleetSeries is start + growth a second, and step from ten minutes before the end on.
type fleetSeries struct {
	labels              []prompb.Label
	start, growth, step float64
}

// coarse is the distance of the samples.
const coarse = time.Minute

func newLargeFleet(t *testing.T, url string, containers int) *largeFleet {
	f := &largeFleet{t: t, url: url, end: time.Now().Truncate(coarse)}
	for i := range containers {
		place := []string{"idc", fmt.Sprintf("idc%d", i/4000), "cluster", fmt.Sprintf("cluster%02d", i/1000), "node", fmt.Sprintf("node%03d", i/100)}
		if i%100 == 0 {
			f.node(place)
		}
		work := append([]string{"project", fmt.Sprintf("project%02d", i/10%100), "namespace", fmt.Sprintf("ns%02d", i/10%100), "workload", fmt.Sprintf("app%d", i/10)}, place[:4]...)
		if i%10 == 0 {
			for _, kind := range []string{"desired", "ready", "updated"} {
				f.add("workload_"+kind+"_replicas", 10, 0, 0, work)
			}
		}
		f.container(i, append(work, "node", place[5], "pod", fmt.Sprintf("app%d-%d", i/10, i%10), "container", fmt.Sprintf("app%d", i/10),
			"image", fmt.Sprintf("registry/app%d:1.%d", i/10, i%3), "id", fmt.Sprintf("/kubepods/burstable/pod%08x/%064x", i, i), "name", fmt.Sprintf("k8s_app%d-%d", i/10, i%10)))
	}
	return f
}

func (f *largeFleet) add(name string, start, growth, step float64, labels []string, more ...string) {
	s := fleetSeries{labels: []prompb.Label{{Name: "__name__", Value: name}}, start: start, growth: growth, step: step}
	for _, pairs := range [][]string{labels, more} {
		for i := 0; i+1 < len(pairs); i += 2 {
			s.labels = append(s.labels, prompb.Label{Name: pairs[i], Value: pairs[i+1]})
		}
	}
	f.series = append(f.series, s)
}

func (f *largeFleet) container(i int, c []string) {
	gauge := func(name string, v float64, more ...string) { f.add("container_"+name, v, 0, 0, c, more...) }
	counter := func(name string, perSecond float64, more ...string) {
		f.add("container_"+name+"_total", 1000, perSecond, 0, c, more...)
	}
	killed := 0.0
	if i%200 == 0 {
		killed = 1
	}
	f.add("container_oom_events_total", 0, 0, killed, c)
	f.add("container_restarts_total", 0, 0, killed, c)
	f.add("container_exits_total", 0, 0, killed, c, "reason", "oom_killed")
	f.add("container_exits_total", 0, 0, 0, c, "reason", "error")
	gauge("start_time_seconds", float64(f.end.Unix()-100_000))
	gauge("health_state", 1)
	gauge("spec_cpu_quota", 100_000)
	gauge("spec_cpu_period", 100_000)
	gauge("request_cpu_cores", 0.5)
	gauge("request_memory_bytes", 512<<20)
	gauge("spec_memory_limit_bytes", 1<<30)
	share := 0.2 + float64(i%70)/100
	gauge("memory_working_set_bytes", (share+0.05)*(1<<30))
	gauge("memory_working_set_peak_bytes", (share+0.08)*(1<<30))
	for _, kind := range []string{"memory_rss", "memory_unreclaimable_bytes", "memory_usage_bytes", "memory_max_usage_bytes"} {
		gauge(kind, share*(1<<30))
	}
	for _, kind := range []string{"memory_cache", "memory_swap", "memory_mapped_file"} {
		gauge(kind, 1<<20)
	}
	gauge("threads", 20)
	gauge("threads_max", 100)
	gauge("process_file_descriptors_ratio", 0.1)
	gauge("cpu_peak_cores", 0.9)
	counter("cpu_usage_seconds", 0.1+float64(i%50)/100)
	counter("cpu_user_seconds", 0.1)
	counter("cpu_system_seconds", 0.05)
	counter("cpu_cfs_periods", 10)
	counter("cpu_cfs_throttled_periods", float64(i%50)/20)
	counter("cpu_cfs_throttled_seconds", float64(i%50)/200)
	for _, kind := range []string{"cpu_waiting", "cpu_stalled", "memory_waiting", "memory_stalled", "io_waiting", "io_stalled"} {
		counter("pressure_"+kind+"_seconds", 0.01)
	}
	counter("memory_failures", 1, "failure_type", "pgmajfault", "scope", "container")
	for _, direction := range []string{"receive", "transmit"} {
		for kind, rate := range map[string]float64{"bytes": 20_000, "packets": 50, "errors": 0, "packets_dropped": 0.01} {
			counter("network_"+direction+"_"+kind, rate, "interface", "eth0")
		}
	}
	for _, direction := range []string{"reads", "writes"} {
		counter("fs_"+direction+"_bytes", 5000, "device", "/dev/vda")
	}
}

func (f *largeFleet) node(n []string) {
	gauge := func(name string, v float64, more ...string) { f.add(name, v, 0, 0, n, more...) }
	gauge("machine_cpu_cores", 64)
	gauge("machine_memory_bytes", 256<<30)
	gauge("container_memory_working_set_bytes", 80<<30, "id", "/")
	f.add("container_cpu_usage_seconds_total", 0, 30, 0, n, "id", "/")
	for _, kind := range []string{"cpu_waiting", "cpu_stalled", "memory_waiting", "memory_stalled", "io_waiting", "io_stalled"} {
		f.add("container_pressure_"+kind+"_seconds_total", 0, 0.01, 0, n, "id", "/")
	}
	gauge("container_fs_usage_bytes", 50e9, "id", "/", "device", "/dev/vda")
	gauge("container_fs_limit_bytes", 100e9, "id", "/", "device", "/dev/vda")
	gauge("plimsoll_agent_build_info", 1, "version", "1.0")
	for _, source := range []string{"docker", "cgroup"} {
		gauge("plimsoll_agent_source_up", 1, "source", source)
	}
	for name, v := range map[string]float64{"containers": 100, "spool_bytes": 1e6, "spool_limit_bytes": 1e9, "remote_write_lag_seconds": 0.1, "containers_unassigned": 0, "project_map_valid": 1} {
		gauge("plimsoll_agent_"+name, v)
	}
	f.add("plimsoll_agent_samples_shipped_total", 0, 400, 0, n, "receiver", "c")
	f.add("plimsoll_agent_samples_dropped_total", 0, 0, 0, n, "receiver", "c", "reason", "spool_full")
	f.add("process_cpu_seconds_total", 0, 0.02, 0, n, "job", "plimsoll-agent")
	gauge("process_resident_memory_bytes", 30e6, "job", "plimsoll-agent")
}

// send writes the samples after from, up to and with to.
func (f *largeFleet) send(from, to time.Time) {
	f.t.Helper()
	const most = 5000
	var batch prompb.WriteRequest
	for i, s := range f.series {
		ts := prompb.TimeSeries{Labels: s.labels}
		for at := from.Add(coarse); !at.After(to); at = at.Add(coarse) {
			v := s.start + s.growth*(at.Sub(f.end).Seconds()+1e6)
			if at.After(f.end.Add(-10 * time.Minute)) {
				v += s.step
			}
			ts.Samples = append(ts.Samples, prompb.Sample{Value: v, Timestamp: at.UnixMilli()})
		}
		f.samples += len(ts.Samples)
		if batch.Timeseries = append(batch.Timeseries, ts); len(batch.Timeseries) == most || i == len(f.series)-1 {
			write(f.t, f.url, "", &batch)
			batch.Timeseries = batch.Timeseries[:0]
		}
	}
}

// rule is a recording rule of the pack.
type rule struct {
	Record, Expr string
	Labels       map[string]string
	every        time.Duration
}

// record gives the recording rules of the pack the past that they would have had: each is evaluated over the hour and its result written. What
// one writes is seen by the next after some seconds, so those that gave nothing are tried again. The collector itself goes on from there.
func (f *largeFleet) record() (rules, series int) {
	f.t.Helper()
	left := f.recordingRules()
	for range 5 {
		before := len(left)
		left = slices.DeleteFunc(left, func(r rule) bool {
			n := f.recordOne(r)
			series += n
			return n > 0
		})
		if rules += before - len(left); len(left) == before {
			break
		}
		time.Sleep(12 * time.Second)
	}
	for _, r := range left {
		f.t.Logf("gives nothing: %s", r.Record)
	}
	return rules, series
}

func (f *largeFleet) recordingRules() []rule {
	f.t.Helper()
	names, err := fs.Glob(alerts.FS(), "recording*.yaml")
	if err != nil {
		f.t.Fatal(err)
	}
	var all []rule
	for _, name := range names {
		text, err := fs.ReadFile(alerts.FS(), name)
		if err != nil {
			f.t.Fatal(err)
		}
		var file struct {
			Groups []struct {
				Interval string
				Rules    []rule
			}
		}
		if err := yaml.Unmarshal(text, &file); err != nil {
			f.t.Fatal(err)
		}
		for _, g := range file.Groups {
			interval, err := time.ParseDuration(g.Interval)
			if err != nil {
				f.t.Fatal(err)
			}
			for _, r := range g.Rules {
				r.every = max(interval, coarse)
				all = append(all, r)
			}
		}
	}
	return all
}

func (f *largeFleet) recordOne(r rule) int {
	f.t.Helper()
	form := url.Values{"query": {r.Expr}, "start": {fmt.Sprint(f.end.Add(-time.Hour).Unix())}, "end": {fmt.Sprint(f.end.Unix())}, "step": {fmt.Sprint(r.every.Seconds())}, "nocache": {"1"}}
	answer, err := http.PostForm(f.url+"/api/v1/query_range", form)
	if err != nil {
		f.t.Fatal(err)
	}
	defer answer.Body.Close()
	var body struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil || body.Error != "" {
		f.t.Fatalf("%s: %v %s", r.Record, err, body.Error)
	}
	var batch prompb.WriteRequest
	for i, s := range body.Data.Result {
		ts := prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: r.Record}}}
		delete(s.Metric, "__name__")
		for name, value := range r.Labels {
			s.Metric[name] = value
		}
		for name, value := range s.Metric {
			ts.Labels = append(ts.Labels, prompb.Label{Name: name, Value: value})
		}
		for _, p := range s.Values {
			v, err := strconv.ParseFloat(strings.TrimSpace(fmt.Sprint(p[1])), 64)
			if err != nil {
				f.t.Fatal(err)
			}
			ts.Samples = append(ts.Samples, prompb.Sample{Value: v, Timestamp: int64(p[0].(float64) * 1000)})
		}
		if batch.Timeseries = append(batch.Timeseries, ts); len(batch.Timeseries) == 5000 || i == len(body.Data.Result)-1 {
			write(f.t, f.url, "", &batch)
			batch.Timeseries = batch.Timeseries[:0]
		}
	}
	return len(body.Data.Result)
}
