package sampler

import (
	"time"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/series"
)

// mostRecords bounds the exit records whose staleness markers are still to come; past it the oldest ends at once.
const mostRecords = 4096

// exitRecord is shown from the exit until the second round after it, so that every query of an interval or more finds it, and ends then.
type exitRecord struct {
	set   *series.Set
	round uint64 // at the exit
}

// record writes the exit record of a container: one sample each of container_exit_*, at the exit's time, with the container's labels
// and the reason. As samples they are spooled, shipped and kept like everything else, by any receiver. final is nil where the container was
// never read while it ran: the record has neither CPU time nor memory then.
func (s *Sampler) record(e *inventory.Event, final *cgroup.Stats) {
	set, reason := series.New(containerLabels(e.Container.Labels)), e.Exit.Reason.String()
	set.Begin()
	if e.Exit.Known {
		set.PutFor(catalog.ExitCode, reason, float64(e.Exit.Code))
	}
	if began := e.Container.StartedAt; !began.IsZero() {
		set.PutFor(catalog.ExitRuntime, reason, max(0, e.At.Sub(began).Seconds()))
	}
	if final != nil && final.Has&cgroup.HasCPUUsage != 0 {
		set.PutFor(catalog.ExitCPU, reason, final.CPUUsage.Seconds())
	}
	if final != nil && final.Has&cgroup.HasMemoryMax != 0 {
		set.PutFor(catalog.ExitMemoryPeak, reason, float64(final.MemoryMaxBytes))
	}
	s.batch.add(set, e.At.UnixMilli())
	if len(s.records) >= mostRecords {
		s.batch.end(s.records[0].set, time.Now().UnixMilli())
		s.records = s.records[1:]
	}
	s.records = append(s.records, exitRecord{set, s.round})
}

// newest is what was read last of a container whose final reading came too late: what it used is at least that. nil where it was read at
// its birth alone, which says nothing of its life.
func (t *target) newest() *cgroup.Stats {
	st := t.stats
	if st.CPUUsage = max(st.CPUUsage, t.newestCPU); st.CPUUsage <= t.life.first.stats.CPUUsage {
		return nil
	}
	st.Has |= cgroup.HasCPUUsage
	return &st
}

// endRecords ends the records that have been shown long enough.
func (s *Sampler) endRecords() {
	n := 0
	for n < len(s.records) && s.records[n].round+2 <= s.round {
		s.batch.end(s.records[n].set, time.Now().UnixMilli())
		n++
	}
	s.records = append(s.records[:0], s.records[n:]...)
}
