package sampler

import (
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/inventory"
)

// Opening and first reading a container cost half a millisecond: on a host with a thousand of them the agent would hold a CPU for half a
// second when it starts.
const birthRest = 50 * time.Millisecond

// takeSome takes events in their order until so many were births; the rest waits for a moment's rest.
func (s *Sampler) takeSome(all bool) {
	now, n := time.Now(), 0
	if !now.Before(s.rested) {
		s.births = s.cfg.BirthsAtOnce
	}
	for ; n < len(s.events); n++ {
		e := &s.events[n]
		if e.Kind == inventory.Born || e.Kind == inventory.Relabelled && s.targets[e.Container.ID] == nil {
			if !all && s.births <= 0 {
				break
			}
			s.births--
		}
		s.take(e)
	}
	if s.births <= 0 && !now.Before(s.rested) {
		s.rested = time.Now().Add(birthRest)
	}
	left := copy(s.events, s.events[n:])
	clear(s.events[left:])
	if s.events = s.events[:left]; left > 0 {
		time.AfterFunc(birthRest, s.poke)
	}
}

// poke wakes Run.
func (s *Sampler) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
