package sampler_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/host"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
	"github.com/plimsoll/plimsoll/agent/wire"
)

const idA = cgroup.ContainerID("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")

// kernel is a cgroup v2 tree in a directory, with one container.
type kernel struct{ root, proc string }

func newKernel(t *testing.T) kernel {
	k := kernel{root: t.TempDir(), proc: t.TempDir()}
	k.write(t, "cgroup.controllers", "cpu io memory pids\n")
	k.write(t, "cpu.stat", "usage_usec 9000000\nuser_usec 5000000\nsystem_usec 4000000\n")
	k.container(t, 1_000_000, 0)
	for name, text := range map[string]string{
		"meminfo": "MemTotal: 4096 kB\nMemFree: 1024 kB\nMemAvailable: 2048 kB\nBuffers: 0 kB\nCached: 512 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
		"stat":    "cpu  1 2 3 4 5 6 7 8 9 10\nbtime 1700000000\n",
		"cpuinfo": "processor\t: 0\nphysical id\t: 0\ncore id\t: 0\n\n",
	} {
		if err := os.WriteFile(filepath.Join(k.proc, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func (k kernel) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(k.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (k kernel) container(t *testing.T, usageMicros, oomKills int) {
	dir := "docker/" + string(idA) + "/"
	k.write(t, dir+"cgroup.controllers", "cpu io memory pids\n")
	k.write(t, dir+"cpu.stat", "usage_usec "+strconv.Itoa(usageMicros)+"\nuser_usec 1\nsystem_usec 2\nnr_periods 10\nnr_throttled 4\nthrottled_usec 500000\n")
	k.write(t, dir+"cpu.max", "50000 100000\n")
	k.write(t, dir+"memory.current", "20971520\n")
	k.write(t, dir+"memory.stat", "anon 10485760\nfile 8388608\nshmem 0\nkernel 2097152\nslab_reclaimable 1048576\ninactive_file 4194304\nactive_file 4194304\nfile_mapped 4096\npgfault 7\npgmajfault 1\n")
	k.write(t, dir+"memory.max", "max\n")
	k.write(t, dir+"memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill "+strconv.Itoa(oomKills)+"\n")
	k.write(t, dir+"pids.current", "3\n")
	k.write(t, dir+"pids.max", "max\n")
}

// scripted is an inventory whose events the test decides.
type scripted struct {
	events []inventory.Event
	lost   int
	live   []inventory.Container
	slots  []inventory.Slot
	kills  []uint64
	wake   chan struct{}
}

func (s *scripted) Wake() <-chan struct{} { return s.wake }
func (s *scripted) Drain(dst []inventory.Event) ([]inventory.Event, int) {
	dst = append(dst, s.events...)
	lost := s.lost
	s.events, s.lost = nil, 0
	return dst, lost
}
func (s *scripted) Live(dst []inventory.Container) []inventory.Container {
	return append(dst, s.live...)
}
func (s *scripted) Slots(dst []inventory.Slot) []inventory.Slot { return append(dst, s.slots...) }
func (s *scripted) Settle(cgroup.ContainerID, uint64, bool) (inventory.Reason, bool) {
	return inventory.Unknown, false
}
func (s *scripted) ReportOOMKills(_ cgroup.ContainerID, _, n uint64) { s.kills = append(s.kills, n) }

// collected is a spool that remembers every sample as "name{label=value,...}" -> values.
type collected struct {
	t       *testing.T
	mu      sync.Mutex // guards the rest: the sampler may run beside the test
	values  map[string][]float64
	batches int
}

func (c *collected) Append(payload []byte, samples int) (uint64, error) {
	u := &prompb.WriteRequestUnmarshaler{}
	wr, err := u.UnmarshalProtobuf(payload)
	if err != nil {
		c.t.Fatal(err)
	}
	if len(wr.Timeseries) != samples {
		c.t.Errorf("a batch of %d samples was announced as %d", len(wr.Timeseries), samples)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.batches++
	for _, ts := range wr.Timeseries {
		key := ""
		for _, l := range ts.Labels {
			switch l.Name {
			case "__name__":
				key = l.Value
			case "workload", "id":
				key += " " + l.Name + "=" + l.Value
			}
		}
		key = strings.ReplaceAll(key, string(idA), "A")
		c.values[key] = append(c.values[key], ts.Samples[0].Value)
	}
	return 0, nil
}

func (c *collected) take() map[string][]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.values
	c.values = map[string][]float64{}
	return got
}

func labels(workload string) identity.Labels {
	return identity.Labels{Project: "p", IDC: "i", Cluster: "c", Node: "n", Workload: workload, Container: workload, Image: "img", ID: "/docker/" + string(idA), Name: workload}
}

func born(workload string, life uint64) inventory.Event {
	return inventory.Event{Kind: inventory.Born, At: time.Now().Add(-time.Second), NewSlot: life == 1, Container: inventory.Container{
		ID: idA, Life: life, CgroupPath: "/docker/" + string(idA), Labels: labels(workload), Slot: inventory.SlotKey{Workload: workload, Container: workload},
		Health: inventory.NoHealthCheck, StartedAt: time.Unix(1700000000, 0)}}
}

func slotOf(workload string, ooms uint64) inventory.Slot {
	l := labels(workload)
	l.Image, l.ID, l.Name = "", "", ""
	return inventory.Slot{Key: inventory.SlotKey{Workload: workload, Container: workload}, Labels: l, OOMKills: ooms}
}

func setup(t *testing.T) (kernel, *scripted, *collected, *sampler.Sampler) {
	t.Helper()
	k := newKernel(t)
	fs, err := cgroup.Detect(k.root, k.proc)
	if err != nil {
		t.Fatal(err)
	}
	node, err := host.Open(fs, k.proc, t.TempDir(), cgroup.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Close)
	in, out := &scripted{wake: make(chan struct{}, 1)}, &collected{t: t, values: map[string][]float64{}}
	s, err := sampler.New(sampler.Config{NodeLabels: identity.Node{Node: "n"}, FS: fs, Node: node, Containers: in, Out: out, Own: prometheus.NewRegistry(), Metrics: prometheus.NewRegistry()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return k, in, out, s
}

func TestABirthIsSampledAtOnceAndADeathReadsOnceMoreAndEndsTheSeries(t *testing.T) {
	k, in, out, s := setup(t)
	in.events, in.slots = []inventory.Event{born("web", 1)}, []inventory.Slot{slotOf("web", 0)}
	s.Events()
	got := out.take()
	const cpu = "container_cpu_usage_seconds_total id=/docker/A workload=web"
	if v := got[cpu]; !slices.Equal(v, []float64{1}) {
		t.Fatalf("at birth %s is %v in %v", cpu, v, got)
	}
	if v := got["container_memory_working_set_bytes id=/docker/A workload=web"]; !slices.Equal(v, []float64{16777216}) {
		t.Errorf("working set %v", v)
	}
	if v := got["container_oom_events_total workload=web"]; !slices.Equal(v, []float64{0, 0}) {
		t.Errorf("the slot's counter must exist as 0 before its first event, got %v", v)
	}
	if v, has := got["container_threads_max id=/docker/A workload=web"]; has {
		t.Errorf("an unlimited container has a limit of threads: %v", v)
	}

	k.container(t, 3_500_000, 1)
	in.events = []inventory.Event{{Kind: inventory.Died, At: time.Now(), Container: born("web", 1).Container}}
	in.slots[0].OOMKills = 1
	s.Events()
	got = out.take()
	if v := got[cpu]; len(v) != 2 || v[0] != 3.5 || !wire.IsStale(v[1]) {
		t.Fatalf("at death %v, want the final 3.5 and a staleness marker", v)
	}
	if v := got["container_oom_events_total workload=web"]; !slices.Equal(v, []float64{1}) {
		t.Errorf("the slot outlives its container: %v", v)
	}
	if !slices.Equal(in.kills, []uint64{0, 1}) {
		t.Errorf("the kernel's OOM kills were reported as %v", in.kills)
	}

	in.slots = nil
	s.Full()
	if v := out.take()["container_oom_events_total workload=web"]; len(v) != 1 || !wire.IsStale(v[0]) {
		t.Errorf("a forgotten slot must end: %v", v)
	}
}

func TestASlotListedBeforeItsBirthGetsNoZeroOfAnEarlierTime(t *testing.T) {
	_, in, out, s := setup(t)
	in.slots = []inventory.Slot{slotOf("web", 0)}
	s.Full()
	out.take()
	in.events = []inventory.Event{born("web", 1)}
	s.Events()
	if v := out.take()["container_oom_events_total workload=web"]; len(v) != 0 {
		t.Fatalf("nothing was counted since, and Prometheus would refuse a zero of before as out of order: %v", v)
	}
}

func TestARelabelledContainerNeverHasTwoSeries(t *testing.T) {
	_, in, out, s := setup(t)
	in.events = []inventory.Event{born("web", 1)}
	s.Events()
	out.take()
	renamed := born("api", 1)
	renamed.Kind, renamed.NewSlot = inventory.Relabelled, false
	in.events = []inventory.Event{renamed}
	s.Events()
	got := out.take()
	if v := got["container_threads id=/docker/A workload=web"]; len(v) != 1 || !wire.IsStale(v[0]) {
		t.Errorf("old labels: %v", v)
	}
	if v := got["container_threads id=/docker/A workload=api"]; !slices.Equal(v, []float64{3}) {
		t.Errorf("new labels: %v", v)
	}
}

func TestLostEventsAreMadeGoodFromWhatIsLive(t *testing.T) {
	_, in, out, s := setup(t)
	in.live, in.lost = []inventory.Container{born("web", 1).Container}, 5
	s.Events()
	if v := out.take()["container_threads id=/docker/A workload=web"]; len(v) != 1 {
		t.Fatalf("a live container without a birth event has %v", v)
	}
	in.live, in.lost = nil, 1
	s.Events()
	if v := out.take()["container_threads id=/docker/A workload=web"]; len(v) != 2 || !wire.IsStale(v[1]) {
		t.Fatalf("a dead container without a death event has %v", v)
	}
}

func TestABurstBetweenSamplesShowsInThePeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, in, out, s := setup(t)
		in.events = []inventory.Event{born("web", 1)}
		s.Full()
		out.take()
		usage := 1_000_000
		for _, cores := range []float64{0, 0.25, 1, 0} {
			time.Sleep(time.Second)
			usage += int(cores * 1e6)
			k.container(t, usage, 0)
			s.Peaks()
		}
		time.Sleep(time.Second)
		s.Full()
		if v := out.take()["container_cpu_peak_cores id=/docker/A workload=web"]; !slices.Equal(v, []float64{1}) {
			t.Fatalf("peak %v, want 1 core, the busiest second", v)
		}
		time.Sleep(time.Second)
		s.Full()
		if v := out.take()["container_cpu_peak_cores id=/docker/A workload=web"]; !slices.Equal(v, []float64{0}) {
			t.Fatalf("the peak of an idle interval is %v", v)
		}
	})
}

func TestTheNodeAndItsCgroupsAreShownWithoutContainerLabels(t *testing.T) {
	_, _, out, s := setup(t)
	s.SetCgroups([]string{"/docker"})
	s.Full()
	got := out.take()
	for key, want := range map[string]float64{"container_cpu_usage_seconds_total id=/": 9, "machine_memory_bytes": 4 << 20, "container_start_time_seconds id=/": 1700000000, "container_scrape_error id=/": 0} {
		if v := got[key]; !slices.Equal(v, []float64{want}) {
			t.Errorf("%s is %v, want %v", key, v, want)
		}
	}
	if v := got["machine_swap_bytes"]; !slices.Equal(v, []float64{0}) {
		t.Errorf("a machine without swap has %v", v)
	}
	s.SetCgroups(nil)
	s.Full()
}

func TestANodeThatLearnsItsNameLateLeavesNoOldSeries(t *testing.T) {
	_, _, out, s := setup(t)
	s.Full()
	out.take()
	s.SetNode(identity.Node{Node: "n", IDC: "bj-a"})
	for key, v := range out.take() {
		if len(v) != 1 || !wire.IsStale(v[0]) {
			t.Errorf("%s is %v, want the end of the old series", key, v)
		}
	}
	s.Full()
	if v := out.take()["container_cpu_usage_seconds_total id=/"]; !slices.Equal(v, []float64{9}) {
		t.Errorf("under the new labels: %v", v)
	}
}

func TestIntervalsThatDoNotFitAreRefused(t *testing.T) {
	f := func(interval, peak time.Duration) {
		t.Helper()
		_, err := sampler.New(sampler.Config{Interval: interval, PeakInterval: peak}, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "--interval") || !strings.Contains(err.Error(), "--peak-interval") {
			t.Errorf("%s and %s: %v", interval, peak, err)
		}
	}
	f(15*time.Second, 2*time.Second)
	f(time.Second, 5*time.Second)
	f(time.Second, time.Millisecond)
}
