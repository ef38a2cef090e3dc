package sampler_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
	"github.com/plimsoll/plimsoll/agent/wire"
)

// told are figures that the test decides.
type told struct {
	usage  time.Duration
	fresh  bool
	gone   bool
	closed bool
}

func (f *told) Last(st *cgroup.Stats) bool {
	*st = cgroup.Stats{Has: cgroup.HasCPUUsage, CPUUsage: f.usage}
	return f.usage > 0
}

func (f *told) Read(st *cgroup.Stats, _ []byte) error {
	f.Last(st)
	if !f.fresh {
		st.Has = 0
	}
	if f.gone {
		return cgroup.ErrGone
	}
	return nil
}

func (f *told) Fresh() bool                                 { return f.fresh && !f.gone }
func (f *told) ReadCPU([]byte) (time.Duration, bool, error) { return 0, false, nil }
func (f *told) ReadMemory([]byte) (uint64, bool, error)     { return 0, false, nil }
func (f *told) Close()                                      { f.closed = true }

// asking is a sampler of a container that is asked of an engine.
func asking(t *testing.T, edit func(*sampler.Config)) (kernel, *scripted, *collected, *sampler.Sampler, *told) {
	k, in, out, f := newKernel(t), &scripted{}, &collected{t: t, values: map[string][]float64{}}, &told{}
	s := with(t, k, in, out, "", "", func(c *sampler.Config) {
		c.Ask = func(cgroup.ContainerID, func(cgroup.ContainerID)) sampler.Figures { return f }
		c.Vanished = func(cgroup.ContainerID) {}
		if edit != nil {
			edit(c)
		}
	})
	return k, in, out, s, f
}

func TestTheEngineIsAskedWhereTheCgroupIsNotHere(t *testing.T) {
	reg := prometheus.NewRegistry()
	k, in, out, s, f := asking(t, func(c *sampler.Config) { c.Metrics = reg })
	k.remove(t)
	in.events = []inventory.Event{born("web", 1)}
	s.Full()
	wantValues(t, out.take(), usageA)
	f.usage, f.fresh = 3*time.Second, true
	s.Answered(idA)
	s.Events()
	wantValues(t, out.take(), usageA, 3)
	s.Full() // no round waits, or repeats
	s.Peaks()
	wantValues(t, out.take(), usageA)
	if n, err := testutil.GatherAndCount(reg, "plimsoll_agent_containers_by_source"); err != nil || n != 2 {
		t.Errorf("%d sources, %v", n, err)
	}

	f.fresh = false // the engine is down
	s.Full()
	if v := out.take()[usageA]; len(v) != 1 || !wire.IsStale(v[0]) {
		t.Errorf("figures that are old: %v, want the end", v)
	}
	f.usage, f.fresh = 5*time.Second, true
	s.Answered(idA)
	s.Events()
	wantValues(t, out.take(), usageA, 5)

	in.events = []inventory.Event{died("web", 1, inventory.Exit{Known: true, Reason: inventory.Completed})}
	s.Events()
	got := out.take()
	wantValues(t, got, "container_exit_cpu_seconds id=/docker/A workload=web", 5)
	if v := got[usageA]; len(v) != 2 || v[0] != 5 || !wire.IsStale(v[1]) || !f.closed {
		t.Errorf("the end is %v, closed %v", v, f.closed)
	}
}

func TestWhatTheEngineHasNoMoreHasEndedAndKeepsItsLastFigures(t *testing.T) {
	k, in, out, s, f := asking(t, nil)
	k.remove(t)
	f.usage, f.fresh = 2*time.Second, true
	in.events = []inventory.Event{born("web", 1)}
	s.Full()
	s.Answered(idA)
	s.Events()
	out.take()
	f.gone = true
	s.Answered(idA)
	s.Events()
	if v := out.take()[usageA]; len(v) == 0 || !wire.IsStale(v[len(v)-1]) {
		t.Errorf("the end is %v", v)
	}
	in.events = []inventory.Event{died("web", 1, inventory.Exit{Known: true, Reason: inventory.Completed})}
	s.Events()
	wantValues(t, out.take(), "container_exit_cpu_seconds id=/docker/A workload=web", 2)
}

func TestARemoteEnginesContainerIsNotReadHereThoughACgroupHasItsName(t *testing.T) {
	_, in, out, s, f := asking(t, func(c *sampler.Config) { c.AskFirst = true })
	s.Appeared(idA, pathA)
	f.usage, f.fresh = 7*time.Second, true
	in.events = []inventory.Event{born("web", 1)}
	s.Full()
	s.Answered(idA)
	s.Full()
	wantValues(t, out.take(), usageA, 7)
}

func TestTheEngineIsNotAskedWhereTheCgroupIsHere(t *testing.T) {
	_, in, out, s, f := asking(t, nil)
	f.usage, f.fresh = 7*time.Second, true
	in.events = []inventory.Event{born("web", 1)}
	s.Full()
	wantValues(t, out.take(), usageA, 1) // the cgroup is here
}
