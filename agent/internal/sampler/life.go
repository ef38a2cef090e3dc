package sampler

import (
	"sync"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// life is a container's cgroup from the moment its directory appears until its series end. The notices of the kernel come in other
// goroutines than the rounds: the final reading can not wait for a round that is under way, the cgroup is gone in some milliseconds.
type life struct {
	reader // ReadCPU and its like are for the rounds' goroutine

	mu       sync.Mutex // guards the reader's files and what follows
	openedAt time.Time
	named    uint64 // inventory life, once the container's identity is known
	first    snapshot
	spare    snapshot // taken at the end of a process that may have been its last
	final    snapshot // zero time: it was not seen to end
	removed  bool
	partial  bool // the reader lacks hierarchies in which the cgroup was not there yet
}

// reader is where the figures of a container come from: its cgroup, or the engine.
type reader interface {
	source
	ID() string       // of the cgroup
	CPUAbove() string // the file with the CPU usage of its parent
	SetNetPID(pid int)
	ReadLast(st *cgroup.Stats, buf []byte) error // what is left at its end
	Gives() cgroup.Has                           // what a reading has as long as nothing is gone
}

// snapshot is one reading.
type snapshot struct {
	at    time.Time
	stats cgroup.Stats
}

// Read shadows the reader's.
func (l *life) Read(st *cgroup.Stats, buf []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reader.Read(st, buf)
}

// Close shadows the reader's.
func (l *life) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reader.Close()
}

// SetNetPID shadows the reader's.
func (l *life) SetNetPID(pid int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reader.SetNetPID(pid)
}

// complete opens a cgroup anew that was not in every hierarchy when it appeared, so that it is not read in part for all its life. It is for
// lives that no round reads. It tells whether there is more to read now.
func (l *life) complete(open func(path string) (*cgroup.Group, error)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.partial || l.removed {
		return false
	}
	group, err := open(l.reader.ID())
	if err != nil {
		return false // gone
	}
	if group.Partial() {
		group.Close()
		return false
	}
	l.reader.Close()
	l.reader, l.partial = group, false
	return true
}

// note takes a reading that will do as the final one if the cgroup is gone when that is taken.
func (l *life) note(buf []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var st cgroup.Stats
	if l.reader.ReadLast(&st, buf) == nil && st.Has&cgroup.HasCPUUsage != 0 && st.CPUUsage > 0 {
		l.spare = snapshot{time.Now(), st}
	}
}

// finish takes the final reading. A later one is better, unless some of the cgroup is gone by then; one of a cgroup in which nothing ever
// ran is none.
func (l *life) finish(buf []byte) (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.final.at.IsZero() {
		l.final, l.spare = l.spare, snapshot{}
		defer func() { ok = ok || !l.final.at.IsZero() }()
	}
	var st cgroup.Stats
	if l.reader.ReadLast(&st, buf) != nil || st.Has&cgroup.HasCPUUsage != 0 && st.CPUUsage == 0 || l.final.stats.Has&^st.Has&^cgroup.HasNet != 0 {
		return false
	}
	if l.final.stats.Has&st.Has&cgroup.HasMemoryPeak != 0 { // each reading begins a new peak
		st.MemoryPeakBytes = max(st.MemoryPeakBytes, l.final.stats.MemoryPeakBytes)
	}
	l.final = snapshot{time.Now(), st}
	return true
}

// gives are the figures that its reading at that time should have: those of its files, and while a first round could have come too early for
// all hierarchies, those of an exit record.
func (l *life) gives(at time.Time, interval time.Duration) cgroup.Has {
	l.mu.Lock()
	defer l.mu.Unlock()
	had := l.reader.Gives()
	if l.partial && at.Sub(l.openedAt) < interval {
		had |= recorded
	}
	return had
}

// isOver tells that it has ended; the caller holds the lock of lives.
func (l *life) isOver() bool {
	_, ok := l.last()
	return ok || l.removed
}

// last is the final reading.
func (l *life) last() (snapshot, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.final, !l.final.at.IsZero()
}
