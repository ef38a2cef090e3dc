package sampler_test

import (
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
)

// keeping is a cgroup whose kernel keeps the peak of memory between two readings. What is in use in between would be false.
type keeping struct {
	told
	peak, usage, inactive uint64
}

func (f *keeping) Read(st *cgroup.Stats, _ []byte) error {
	*st = cgroup.Stats{
		Has:             cgroup.HasCPUUsage | cgroup.HasMemoryUsage | cgroup.HasMemoryPeak | cgroup.HasMemoryInactiveFile | cgroup.HasMemoryWorkingSet,
		CPUUsage:        time.Second,
		MemoryPeakBytes: f.peak, MemoryUsageBytes: f.usage, MemoryInactiveFileBytes: f.inactive, MemoryWorkingSetBytes: f.usage - f.inactive,
	}
	f.peak = f.usage
	return nil
}

func (f *keeping) ReadCPU([]byte) (time.Duration, bool, error) { return 2 * time.Second, true, nil }
func (f *keeping) ReadMemory([]byte) (uint64, bool, error)     { return 999 << 20, true, nil }

func TestAPeakThatTheKernelKeepsIsShownAndNotLookedFor(t *testing.T) {
	k, in, out, f := newKernel(t), &scripted{}, &collected{t: t, values: map[string][]float64{}}, &keeping{peak: 20 << 20, usage: 20 << 20, inactive: 4 << 20}
	k.remove(t)
	f.fresh, f.told.usage = true, time.Second
	s := with(t, k, in, out, "", "", func(c *sampler.Config) {
		c.Ask = func(cgroup.ContainerID, func(cgroup.ContainerID)) sampler.Figures { return f }
	})
	in.events = []inventory.Event{born("web", 1)}
	s.Events()
	sample := func(want float64) {
		t.Helper()
		s.Peaks()
		s.Answered(idA)
		s.Events()
		wantValues(t, out.take(), "container_memory_working_set_peak_bytes id=/docker/A workload=web", want)
	}
	sample(16 << 20) // the file pages that were there before anyone looked are no peak
	f.peak = 70 << 20
	sample(66 << 20)
	sample(16 << 20) // the next reading begins anew
	f.peak, f.usage, f.inactive = 30<<20, 30<<20, 14<<20
	sample(26 << 20) // less the inactive pages of the reading before
}
