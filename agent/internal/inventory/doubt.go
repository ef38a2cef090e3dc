package inventory

import (
	"slices"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// The word of an exit by SIGKILL can come before the word of the out-of-memory kill that was its cause: the engine sends both as they come,
// and the kernel's count is known when somebody has read it. Such an exit is in doubt, and not shown among its slot's, until its life's last
// count was reported or the doubt is old.

// doubtLasts is how long the count of a kill may come after the exit.
const doubtLasts = 2 * time.Second

// doubt is an exit that may yet turn out to be an out-of-memory kill.
type doubt struct {
	life uint64
	at   time.Time
}

// mayBeOOM tells whether a kill that is counted late would be the exit's reason.
func (e Exit) mayBeOOM() bool { return e.Reason == Signalled && e.Code == killed }

// dispel ends the doubt about a life, and tells whether there was one.
func (s *slot) dispel(life uint64) bool {
	for i, d := range s.doubted {
		if d.life == life {
			s.doubted = slices.Delete(s.doubted, i, i+1)
			return time.Since(d.at) < doubtLasts
		}
	}
	return false
}

// shown is the slot without the exits that are in doubt.
func (s *slot) shown() Slot {
	s.doubted = slices.DeleteFunc(s.doubted, func(d doubt) bool { return time.Since(d.at) >= doubtLasts })
	shown := s.Slot
	shown.Exits.n[Signalled] -= uint64(len(s.doubted))
	return shown
}

// Settle gives the reason of an exit whose kills were reported as far as they were read. counted tells that the kernel's last count was among
// them, so that no more come.
func (t *Table) Settle(id cgroup.ContainerID, life uint64, counted bool) (Reason, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.lifeOf(id, life)
	if e == nil || e.live {
		return Unknown, false
	}
	if counted && e.slot != nil {
		e.slot.dispel(life)
	}
	return e.exit.Reason, true
}
