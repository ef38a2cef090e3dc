package sampler

import (
	"time"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/series"
)

// slot is the counters of one place in a workload, whichever container fills it.
type slot struct {
	set    *series.Set
	labels identity.Labels
	seen   bool // in the newest listing
}

// sampleSlots adds every slot's counters to the batch and ends those of slots that are forgotten.
func (s *Sampler) sampleSlots() {
	now := time.Now().UnixMilli()
	s.counted = s.cfg.Containers.Slots(s.counted[:0])
	for _, known := range s.slots {
		known.seen = false
	}
	for i := range s.counted {
		c := &s.counted[i]
		k := s.slots[c.Key]
		switch {
		case k == nil:
			k = &slot{set: series.New(containerLabels(c.Labels)), labels: c.Labels}
			s.slots[c.Key] = k
		case k.labels != c.Labels:
			s.batch.relabel(k.set, containerLabels(c.Labels), now-1)
			k.labels = c.Labels
		}
		k.seen = true
		k.set.Begin()
		k.set.Put(catalog.OOMEvents, float64(c.OOMKills))
		k.set.Put(catalog.Restarts, float64(c.Restarts))
		s.batch.add(k.set, now)
	}
	for key, k := range s.slots {
		if !k.seen {
			s.batch.end(k.set, now)
			delete(s.slots, key)
		}
	}
}

// slotZeros writes a new slot's counters as 0 at the moment it was first filled, so that its first event is an increase. A slot
// that was listed before its birth was drained is shown already, and a zero of an earlier time would be out of order.
func (s *Sampler) slotZeros(c inventory.Container, at time.Time) {
	if s.slots[c.Slot] != nil {
		return
	}
	labels := c.Labels
	labels.Image, labels.ID, labels.Name = "", "", ""
	k := &slot{set: series.New(containerLabels(labels)), labels: labels}
	s.slots[c.Slot] = k
	k.set.Begin()
	k.set.Put(catalog.OOMEvents, 0)
	k.set.Put(catalog.Restarts, 0)
	s.batch.add(k.set, min(at.UnixMilli(), time.Now().UnixMilli()-1))
}
