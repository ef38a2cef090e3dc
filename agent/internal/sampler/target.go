package sampler

import (
	"time"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/process"
	"github.com/plimsoll/plimsoll/agent/internal/series"
	"github.com/plimsoll/plimsoll/agent/internal/shed"
)

// source is what is read: a held cgroup or the node.
type source interface {
	Read(st *cgroup.Stats, buf []byte) error
	ReadCPU(buf []byte) (time.Duration, bool, error)
	ReadMemory(buf []byte) (uint64, bool, error)
	Close()
}

// under is the source without the lock of a life, for what else it can tell.
func (t *target) under() source {
	if t.life != nil {
		return t.life.reader
	}
	return t.source
}

// target is a container, the node or another cgroup, with its newest figures.
type target struct {
	// What the one-second pass looks at comes first and is short: with hundreds of targets little of it is in the processor's cache a second later.
	source    source
	family    *family       // nil: it has no one-second pass, or is the node
	place     int           // among the family's members
	pass      uint64        // of the family, in which it was read last
	ran       uint64        // the pass in which it was last seen to have run
	warm      bool          // it is among those that ran lately
	exited    time.Time     // when its processes were seen to end; zero while it runs
	newestCPU time.Duration // usage at the newest reading, which may be too close to cpuAt to count
	cpu       time.Duration // usage at cpuAt
	cpuAt     time.Time     // zero before the first reading
	seenAt    time.Time     // of the newest reading
	peakCores float64       // highest since the last full reading
	peakKnown bool          // a stretch was measured since then
	ended     bool          // its series have ended, a runtime's word of its end is awaited

	peakWorking  uint64 // bytes, highest since the last full reading
	inactiveFile uint64 // bytes of inactive file pages at that reading
	stalls       stalls

	life      *life               // the source of a container
	container inventory.Container // zero unless it is one
	set       *series.Set
	stats     cgroup.Stats
	had       cgroup.Has // figures of any full reading, and at the end those of the files
	at        time.Time  // of the newest full reading
	refused   int        // series the newest reading had no room for
	round     uint64     // the round of the newest full reading

	turn      uint64 // spreads what is not done of all targets in each round
	slowDue   uint64 // the round from which it is to be read slowly; 0: not decided yet
	schedules process.Schedules
}

// read takes a full reading and puts it into the set.
func (t *target) read(buf []byte, v view) error {
	err := t.source.Read(&t.stats, buf)
	at := time.Now()
	if t.stats.Has == 0 && err != nil {
		t.at = at
		return err
	}
	t.put(at, v)
	return err
}

// put puts the figures of stats, which were read at that time, into the set.
func (t *target) put(at time.Time, v view) {
	if t.at.IsZero() {
		t.inactiveFile = t.stats.MemoryInactiveFileBytes
	}
	t.at = at
	t.had |= t.stats.Has
	if t.stats.Has&cgroup.HasCPUUsage != 0 {
		t.sawCPU(t.stats.CPUUsage, t.at)
	}
	if t.stats.Has&cgroup.HasMemoryPeak != 0 {
		t.sawMemory(t.stats.MemoryPeakBytes)
	}
	t.inactiveFile = t.stats.MemoryInactiveFileBytes
	t.peakWorking = max(t.peakWorking, t.stats.MemoryWorkingSetBytes)
	t.set.Begin()
	r := reading{set: t.set, st: &t.stats, view: v}
	r.put()
	t.refused = r.refused
	t.stalls.full(t.set, &t.stats, t.at, v)
	if t.peakKnown && v.groups.Has(catalog.GroupCPU) && !v.left.Has(shed.CPUPeaks) {
		t.set.Put(catalog.CPUPeak, t.peakCores)
	}
	if t.stats.Has&cgroup.HasMemoryWorkingSet != 0 && v.groups.Has(catalog.GroupMemory) && (!v.left.Has(shed.MemoryPeaks) || t.stats.Has&cgroup.HasMemoryPeak != 0) {
		t.set.Put(catalog.MemoryWorkingSetPeak, float64(t.peakWorking))
	}
	t.peakKnown, t.peakCores, t.peakWorking = false, 0, 0
	if t.stats.Has != 0 {
		t.set.Put(catalog.LastSeen, float64(t.at.Unix()))
	}
	if t.container.ID != "" {
		t.putContainer()
	}
}

func (t *target) putContainer() {
	if !t.container.StartedAt.IsZero() {
		t.set.Put(catalog.StartTime, float64(t.container.StartedAt.UnixMilli())/1000)
	}
	if !t.container.Created.IsZero() {
		t.set.Put(catalog.CreationTime, float64(t.container.Created.UnixMilli())/1000)
	}
	health := t.container.Health
	putResources(t.set, t.container.Resources)
	t.set.Put(catalog.Health, health.Value())
	for _, state := range inventory.HealthStates() {
		if state == health || health != inventory.NoHealthCheck {
			t.set.PutFor(catalog.HealthStatus, state.String(), truth(state == health))
		}
	}
}

// peak takes the one-second reading, with now as its paper. What can not be read, false, is left to the full reading to report.
func (t *target) peak(buf []byte, now *cgroup.Stats, v view) bool {
	usage, ok, err := t.source.ReadCPU(buf)
	if err != nil || !ok {
		return false
	}
	moved, at := usage != t.newestCPU, time.Now()
	t.sawCPU(usage, at)
	if !moved {
		return true // nothing ran, so nothing was allocated and nothing waited
	}
	if from, ok := t.under().(stallSource); ok && !v.left.Has(shed.StallPeaks) {
		t.stalls.peak(from, &t.stats, now, at, v.groups, buf)
	}
	if !v.groups.Has(catalog.GroupMemory) || v.left.Has(shed.MemoryPeaks) || t.stats.Has&cgroup.HasMemoryPeak != 0 {
		return true // the last: the full reading will tell the exact peak
	}
	if bytes, ok, err := t.source.ReadMemory(buf); err == nil && ok && t.stats.Has&cgroup.HasMemoryInactiveFile != 0 {
		t.sawMemory(bytes)
	}
	return true
}

// sawMemory moves the peak of the working set: memory in use less the inactive file pages of the newest full reading.
func (t *target) sawMemory(usageBytes uint64) {
	t.peakWorking = max(t.peakWorking, usageBytes-min(usageBytes, t.inactiveFile))
}

// shortest is the stretch below which the clock's and the counter's grain show as false peaks.
const shortest = 50 * time.Millisecond

// sawCPU takes a usage that was read at that time.
func (t *target) sawCPU(usage time.Duration, at time.Time) {
	f := t.family
	if f != nil && !t.seenAt.IsZero() {
		if f.rested.After(t.seenAt) { // nobody read it meanwhile
			t.stretch(t.newestCPU, f.rested)
		}
		if usage != t.newestCPU {
			f.seen += usage - t.newestCPU
			f.ran(t)
		}
	}
	t.newestCPU, t.seenAt = usage, at
	if !t.stretch(usage, at) && f != nil && usage != t.cpu {
		f.pending = true
		f.ran(t)
	}
}

// stretch moves the peak: the usage between two readings over the time between them. One that is too short is left to the next reading, false.
func (t *target) stretch(usage time.Duration, at time.Time) bool {
	elapsed := at.Sub(t.cpuAt)
	if !t.cpuAt.IsZero() && elapsed < shortest {
		return false
	}
	if !t.cpuAt.IsZero() && usage >= t.cpu {
		t.peakKnown, t.peakCores = true, max(t.peakCores, float64(usage-t.cpu)/float64(elapsed))
	}
	t.cpu, t.cpuAt = usage, at
	return true
}
