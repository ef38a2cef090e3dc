package sampler

import (
	"time"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/series"
	"github.com/plimsoll/plimsoll/agent/internal/shed"
)

// stallSource is a cgroup's figures of waiting; the node has none of its own.
type stallSource interface {
	ReadBandwidth(st *cgroup.Stats, buf []byte) error
	ReadPressure(st *cgroup.Stats, buf []byte) error
}

// stalls are the worst peak intervals since the last full reading: shares of throttled periods and of time stalled.
type stalls struct {
	periods, throttled uint64 // at the last look
	periodsKnown       bool
	throttledPeak      float64
	throttledShown     bool

	waited     [3]time.Duration // cpu, memory, io
	waitedAt   time.Time        // zero: not looked at yet
	waitPeak   [3]float64
	waitHas    cgroup.Has // which pressures the kernel gave
	waitedShow bool
}

// stallBits are the pressures in the order of waited.
var stallBits = [3]cgroup.Has{cgroup.HasCPUPressure, cgroup.HasMemoryPressure, cgroup.HasIOPressure}

// peak looks at a cgroup whose CPU moved; nothing waits where nothing runs. st is its newest full reading, now is written over.
func (s *stalls) peak(from stallSource, st, now *cgroup.Stats, at time.Time, groups catalog.Groups, buf []byte) {
	now.Has = 0
	if st.Has&cgroup.HasCPUQuota != 0 && groups.Has(catalog.GroupCPU) && from.ReadBandwidth(now, buf) == nil {
		s.sawPeriods(now)
	}
	if groups.Has(catalog.GroupPressurePeaks) && from.ReadPressure(now, buf) == nil {
		s.sawPressure(now, at)
	}
}

// full takes what a full reading says and puts the peaks into the set.
func (s *stalls) full(set *series.Set, st *cgroup.Stats, at time.Time, v view) {
	known := !v.left.Has(shed.StallPeaks) // what a whole interval shows is no peak
	if st.Has&cgroup.HasCPUQuota != 0 && v.groups.Has(catalog.GroupCPU) {
		s.sawPeriods(st)
		if s.throttledShown && known {
			set.Put(catalog.CPUThrottledPeak, s.throttledPeak)
		}
	}
	if v.groups.Has(catalog.GroupPressurePeaks) {
		s.sawPressure(st, at)
		for i, id := range [3]catalog.ID{catalog.PressureCPUPeak, catalog.PressureMemoryPeak, catalog.PressureIOPeak} {
			if s.waitedShow && known && s.waitHas&stallBits[i] != 0 {
				set.Put(id, s.waitPeak[i])
			}
		}
	}
	s.throttledPeak, s.throttledShown = 0, false
	s.waitPeak, s.waitedShow = [3]float64{}, false
}

func (s *stalls) sawPeriods(st *cgroup.Stats) {
	if !st.Has.All(cgroup.HasCPUPeriods | cgroup.HasCPUThrottledPeriods) {
		return
	}
	if s.periodsKnown && st.CPUPeriods >= s.periods && st.CPUThrottledPeriods >= s.throttled {
		s.throttledShown = true
		if passed := st.CPUPeriods - s.periods; passed > 0 {
			s.throttledPeak = max(s.throttledPeak, min(1, float64(st.CPUThrottledPeriods-s.throttled)/float64(passed)))
		}
	}
	s.periods, s.throttled, s.periodsKnown = st.CPUPeriods, st.CPUThrottledPeriods, true
}

func (s *stalls) sawPressure(st *cgroup.Stats, at time.Time) {
	now := [3]time.Duration{st.CPUPressure.Some, st.MemoryPressure.Some, st.IOPressure.Some}
	elapsed := at.Sub(s.waitedAt)
	if !s.waitedAt.IsZero() && elapsed < shortest {
		return
	}
	if !s.waitedAt.IsZero() {
		s.waitedShow = true
		for i := range now {
			if st.Has&s.waitHas&stallBits[i] != 0 && now[i] >= s.waited[i] {
				s.waitPeak[i] = max(s.waitPeak[i], min(1, float64(now[i]-s.waited[i])/float64(elapsed)))
			}
		}
	}
	s.waited, s.waitedAt, s.waitHas = now, at, st.Has
}
