package inventory

import (
	"slices"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/identity"
)

// SlotKey is a container's place in its workload, which the next container takes over.
type SlotKey struct{ Namespace, Workload, Pod, Container string }

// Slot is a place and what was counted there.
type Slot struct {
	Key SlotKey
	// Labels are its latest container's, without what belongs to that container alone: image, id, name.
	Labels     identity.Labels
	Discovered time.Time
	Live       int // containers in it now: 1, or 0 between two, or 2 while one replaces the other
	// OOMKills, Restarts and Exits never go down.
	OOMKills, Restarts uint64
	Exits              ExitCounts
	// ExitsBefore are those of Exits that an earlier run of the agent counted, and showed.
	ExitsBefore ExitCounts
	// Kept tells that an earlier run of the agent has shown it.
	Kept bool
}

// ExitCounts are exits by reason.
type ExitCounts struct{ n [reasonCount]uint64 }

// CountExits are n exits for one reason.
func CountExits(r Reason, n uint64) (e ExitCounts) {
	e.n[min(r, reasonCount-1)] = n
	return e
}

// Of is the number of exits for reason r.
func (e ExitCounts) Of(r Reason) uint64 { return e.n[min(r, reasonCount-1)] }

type slot struct {
	Slot
	image     string         // of its latest container
	facts     identity.Facts // of its latest container
	idleSince time.Time      // when Expire first found it empty; zero while it is not
	doubted   []doubt        // exits
}

func keyOf(l identity.Labels) SlotKey {
	return SlotKey{Namespace: l.Namespace, Workload: l.Workload, Pod: l.Pod, Container: l.Container}
}

// enter puts a container into its slot. fresh: the slot is new. The entry's slot stays nil if there is no room.
func (t *Table) enter(e *entry, at time.Time) (fresh bool) {
	key := keyOf(e.Labels)
	e.Slot = key
	s := t.slots[key]
	if s == nil {
		if len(t.slots) >= t.cfg.MaxSlots && !t.dropIdleSlot() {
			t.metrics.slotsRefused.Inc()
			return false
		}
		s = &slot{Slot: Slot{Key: key, Discovered: at}}
		t.slots[key] = s
		fresh = true
	}
	s.Live++
	s.idleSince = time.Time{}
	s.facts = e.facts
	s.show(e.Labels)
	s.image = e.Labels.Image
	e.slot = s
	return fresh
}

// show gives the slot the labels of a container, without what belongs to that container alone.
func (s *slot) show(l identity.Labels) {
	l.Image, l.ID, l.Name = "", "", ""
	s.Labels = l
}

// leave takes a container out of its slot. e.slot stays: late news of the life still counts there.
func (e *entry) leave() {
	if e.slot != nil {
		e.slot.Live--
	}
}

// dropIdleSlot makes room by forgetting the slot that has been empty longest.
func (t *Table) dropIdleSlot() bool {
	var oldest *slot
	for _, s := range t.slots {
		if s.Live == 0 && !s.idleSince.IsZero() && (oldest == nil || s.idleSince.Before(oldest.idleSince)) {
			oldest = s
		}
	}
	if oldest == nil {
		return false
	}
	t.forgetSlot(oldest.Key)
	return true
}

// thinEmptySlots forgets empty slots past their limit: first those nothing ever happened in, of these and of the others first who was left
// empty longest. Their last counts are samples already.
func (t *Table) thinEmptySlots() {
	var empty []*slot
	for _, s := range t.slots {
		if s.Live == 0 {
			empty = append(empty, s)
		}
	}
	if len(empty) <= t.cfg.MaxEmptySlots {
		return
	}
	slices.SortFunc(empty, func(a, b *slot) int {
		switch {
		case a.isQuiet() == b.isQuiet():
			return a.idleSince.Compare(b.idleSince)
		case a.isQuiet():
			return -1
		default:
			return 1
		}
	})
	for _, s := range empty[:len(empty)-t.cfg.MaxEmptySlots] {
		t.forgetSlot(s.Key)
		t.metrics.slotsThinned.Inc()
	}
}

// isQuiet tells that no container was killed for memory or restarted there.
func (s *slot) isQuiet() bool { return s.OOMKills+s.Restarts == 0 }

// oomTally counts the out-of-memory kills of one life from three witnesses that see the same kills: the kernel's counter,
// the engine's events, and the engine's flag. The one that saw most is right; none sees a kill that did not happen.
type oomTally struct {
	history bool   // the life began before the agent: what the kernel counted until the first report is not ours
	read    bool   // the kernel's counter has been reported
	base    uint64 // the kernel's count that is history
	kernel  uint64
	events  uint64
	flag    uint64
	counted uint64
}

func (o *oomTally) reported(kernel uint64) (grown uint64) {
	if !o.read && o.history {
		o.base = kernel - min(kernel, o.events)
	}
	o.read = true
	o.kernel = max(o.kernel, kernel)
	return o.settle()
}

func (o *oomTally) event() (grown uint64) {
	o.events++
	return o.settle()
}

func (o *oomTally) flagged() (grown uint64) {
	o.flag = 1
	return o.settle()
}

func (o *oomTally) settle() (grown uint64) {
	total := max(o.kernel-min(o.kernel, o.base), o.events, o.flag)
	grown = total - min(total, o.counted)
	o.counted += grown
	return grown
}

// restartTally counts the restarts of one container ID from two witnesses: starts seen, and the engine's own count, which
// also knows restarts whose events were missed and begins anew when the container is started by hand.
type restartTally struct {
	starts  int // seen since base
	base    int // the engine's count that is history
	last    int // the engine's latest count
	counted int // since base
}

// restarted takes a start of a known ID, with the engine's count.
func (r *restartTally) restarted(count int) (grown uint64) {
	if count < r.last {
		r.starts, r.base, r.counted = 0, 0, 0
	}
	r.starts++
	return r.settle(count)
}

// settle takes the engine's count.
func (r *restartTally) settle(count int) (grown uint64) {
	r.last = count
	total := max(r.starts, count-r.base)
	more := max(0, total-r.counted)
	r.counted += more
	return uint64(more)
}
