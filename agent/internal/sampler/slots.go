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
	set     *series.Set
	labels  identity.Labels
	shown   counts
	seen    bool  // in the newest listing
	written bool  // shown holds something
	at      int64 // Unix milliseconds of the newest sample
}

// counts are a slot's counters as last shown.
type counts struct {
	oomKills, restarts uint64
	exits              inventory.ExitCounts
}

func countsOf(c *inventory.Slot) counts { return counts{c.OOMKills, c.Restarts, c.Exits} }

// which slots to add.
type which uint8

const (
	allSlots     which = iota
	changedSlots       // since they were last added
)

// sampleSlots adds slots' counters to the batch and ends those of slots that are forgotten.
func (s *Sampler) sampleSlots(w which) {
	now := time.Now()
	s.counted = s.cfg.Containers.Slots(s.counted[:0])
	for _, known := range s.slots {
		known.seen = false
	}
	for i := range s.counted {
		c := &s.counted[i]
		k := s.slots[c.Key]
		switch {
		case k == nil:
			k = &slot{set: series.New(containerLabels(c.Labels)), labels: c.Labels, shown: counts{exits: c.ExitsBefore}}
			s.slots[c.Key] = k
			if !c.Kept && c.OOMKills+c.Restarts > 0 { // counted before it was shown once
				s.putZeros(k, s.zerosAt(c, now))
			}
		case k.labels != c.Labels:
			s.batch.relabel(k.set, containerLabels(c.Labels), max(now.UnixMilli()-1, k.at+1))
			k.labels, k.written = c.Labels, false
		}
		k.seen = true
		if w == changedSlots && k.written && k.shown == countsOf(c) {
			continue
		}
		s.firstExits(k, c, now)
		k.put(c)
		k.at = now.UnixMilli()
		s.batch.add(k.set, k.at)
	}
	for key, k := range s.slots {
		if !k.seen {
			s.batch.end(k.set, max(now.UnixMilli(), k.at+1))
			delete(s.slots, key)
		}
	}
}

func (k *slot) put(c *inventory.Slot) {
	k.set.Begin()
	k.set.Put(catalog.OOMEvents, float64(c.OOMKills))
	k.set.Put(catalog.Restarts, float64(c.Restarts))
	for r := range inventory.Reasons() {
		if n := c.Exits.Of(r); n > 0 {
			k.set.PutFor(catalog.Exits, r.String(), float64(n))
		}
	}
	k.shown, k.written = countsOf(c), true
}

// firstExits writes the 0 before the first exit of each reason, an interval back but not before the slot was discovered, so that the
// first exit is an increase. Five constant zeros for each slot from its discovery on would say no more.
func (s *Sampler) firstExits(k *slot, c *inventory.Slot, now time.Time) {
	for r := range inventory.Reasons() {
		if c.Exits.Of(r) == 0 || k.shown.exits.Of(r) > 0 {
			continue
		}
		zero := series.New(containerLabels(k.labels))
		zero.Begin()
		zero.PutFor(catalog.Exits, r.String(), 0)
		s.batch.add(zero, s.zerosAt(c, now))
	}
}

// zerosAt is the time, in Unix milliseconds, of zeros that are written with the first count.
func (s *Sampler) zerosAt(c *inventory.Slot, now time.Time) int64 {
	at := now.Add(-s.cfg.Interval)
	if at.Before(c.Discovered) {
		at = c.Discovered
	}
	return min(at.UnixMilli(), now.UnixMilli()-1)
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
	s.putZeros(k, min(at.UnixMilli(), time.Now().UnixMilli()-1))
}

func (s *Sampler) putZeros(k *slot, at int64) {
	k.set.Begin()
	k.set.Put(catalog.OOMEvents, 0)
	k.set.Put(catalog.Restarts, 0)
	k.at = at
	s.batch.add(k.set, at)
}
