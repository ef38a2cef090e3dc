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

// recorded are the figures of a cgroup that an exit record has.
const recorded = cgroup.HasCPUUsage | cgroup.HasMemoryMax

// exitRecord is shown from the exit until the second round after it, so that every query of an interval or more finds it, and ends then.
type exitRecord struct {
	set   *series.Set
	round uint64 // at the exit
}

// record writes the exit record of a container: one sample each of container_exit_*, at the exit's time, with the container's labels
// and the reason. As samples they are spooled, shipped and kept like everything else, by any receiver. What last does not have the record has
// not.
func (s *Sampler) record(e *inventory.Event, last *cgroup.Stats) {
	set, reason := series.New(containerLabels(e.Container.Labels)), e.Exit.Reason.String()
	set.Begin()
	if e.Exit.Known {
		set.PutFor(catalog.ExitCode, reason, float64(e.Exit.Code))
	}
	if began := e.Container.StartedAt; !began.IsZero() {
		set.PutFor(catalog.ExitRuntime, reason, max(0, e.At.Sub(began).Seconds()))
	}
	if last.Has&cgroup.HasCPUUsage != 0 {
		set.PutFor(catalog.ExitCPU, reason, last.CPUUsage.Seconds())
	}
	if last.Has&cgroup.HasMemoryMax != 0 {
		set.PutFor(catalog.ExitMemoryPeak, reason, float64(last.MemoryMaxBytes))
	}
	s.batch.add(set, e.At.UnixMilli())
	if len(s.records) >= mostRecords {
		s.batch.end(s.records[0].set, time.Now().UnixMilli())
		s.records = s.records[1:]
	}
	s.records = append(s.records, exitRecord{set, s.round})
}

// atExit is what is known of a container that has ended: its final reading. Where that came too late for some of it or all, which of v1's
// hierarchies go one by one, it is not whole, and what the container used is at least what was read before. A reading made at the birth alone
// says nothing of a life.
func (t *target) atExit() (last cgroup.Stats, whole bool) {
	_, final := t.life.last()
	last = t.stats
	if final && last.Has&cgroup.HasCPUUsage != 0 && t.had&recorded&^last.Has == 0 {
		return last, true
	}
	switch used := max(last.CPUUsage, t.newestCPU); {
	case used > t.life.first.stats.CPUUsage:
		last.CPUUsage = used
		last.Has |= cgroup.HasCPUUsage
	case !final:
		last.Has &^= recorded
	}
	return last, false
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
