// Package series holds the series of one target, its labels encoded once, and appends a round's samples without allocating.
//
// A round is Begin, any number of Put and PutFor, then AppendWire: a series put this round gets a sample, one that was put in
// the last round and not in this one gets a staleness marker. A Set is used by one goroutine at a time.
package series

import (
	"bytes"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/agent/wire"
)

// Set is the series of one target: a container, a cgroup or the node.
type Set struct {
	target  *shared
	entries []entry
	first   []int16 // by metric: 1 + index of its first entry, 0 for none; nil while there are few
	slow    *Set    // companion; nil until asked for
	newest  int64   // timestamp of the newest round, Unix milliseconds
}

type entry struct {
	series merged
	value  float64
	id     catalog.ID
	next   int16 // 1 + index of the metric's next entry: one more interface or device
	now    bool  // put in this round
	shown  bool  // the last appended sample was a value, so a staleness marker is owed when it goes
}

// few is the most entries that are looked through instead of being found by their metric: those of the counters of a slot.
const few = 8

// crowdedMillis is how far behind the round before one may be without the clock having been set back.
const crowdedMillis = 1000

// maxEntries bounds a Set: beyond it PutFor drops new series (interfaces, devices) and reports false.
const maxEntries = 2048

// New returns the empty set of the target with these labels. Empty values are left out, order does not matter.
func New(target []wire.Label) *Set { return &Set{target: share(target)} }

// Slow is the companion of s for series that are read less often: it has the same labels and is ended, relabelled and shown as text with s,
// but its rounds are its own.
func (s *Set) Slow() *Set {
	if s.slow == nil {
		s.slow = &Set{target: s.target}
	}
	return s.slow
}

// EndSlow ends the series of the companion and forgets them.
func (s *Set) EndSlow(dst []byte, timestampMillis int64) ([]byte, int) {
	if s.slow == nil {
		return dst, 0
	}
	dst, n := s.slow.AppendStale(dst, timestampMillis)
	s.slow = nil
	return dst, n
}

func clean(labels []wire.Label) []wire.Label {
	kept := make([]wire.Label, 0, len(labels))
	for _, l := range labels {
		if l.Value != "" {
			kept = append(kept, l)
		}
	}
	return kept
}

// Begin starts a round.
func (s *Set) Begin() {
	for i := range s.entries {
		s.entries[i].now = false
	}
}

// Put sets the round's value of a metric without a varying label.
func (s *Set) Put(id catalog.ID, value float64) { s.PutFor(id, "", value) }

// Add adds to the round's value of a metric without a varying label: what two sources tell of one target is one figure.
func (s *Set) Add(id catalog.ID, value float64) {
	if e, _ := s.find(id, ""); e != nil && e.now {
		e.value += value
		return
	}
	s.Put(id, value)
}

// PutFor sets the round's value of the series whose varying label (interface, device) has the value varying. It reports
// false when the set is full.
func (s *Set) PutFor(id catalog.ID, varying string, value float64) bool {
	e, last := s.find(id, varying)
	if e != nil {
		e.value, e.now = value, true
		return true
	}
	if len(s.entries) >= maxEntries {
		return false
	}
	s.entries = append(s.entries, entry{id: id, series: s.encode(id, varying), value: value, now: true})
	switch at := int16(len(s.entries)); {
	case at == few+1:
		s.index()
	case last != 0:
		s.entries[last-1].next = at
	case s.first != nil:
		s.first[id] = at
	}
	return true
}

// find looks for an entry; if there is none, last is 1 + index of the metric's last, as far as that is known.
func (s *Set) find(id catalog.ID, varying string) (found *entry, last int16) {
	if s.first == nil {
		for i := range s.entries {
			if e := &s.entries[i]; e.id == id && e.varying() == varying {
				return e, 0
			}
		}
		return nil, 0
	}
	for at := s.first[id]; at != 0; at = s.entries[at-1].next {
		last = at
		if e := &s.entries[at-1]; e.varying() == varying {
			return e, 0
		}
	}
	return nil, last
}

func (e *entry) varying() string { return e.series.Value().varying }

// index begins to find entries by their metric.
func (s *Set) index() {
	s.first = make([]int16, catalog.Count)
	for i := len(s.entries) - 1; i >= 0; i-- {
		e := &s.entries[i]
		e.next, s.first[e.id] = s.first[e.id], int16(i+1)
	}
}

// labels returns the series' full label set, sorted by name.
func (s *Set) labels(id catalog.ID, varying string) []wire.Label {
	labels := s.target.append(ownLabels(id, varying))
	slices.SortFunc(labels, byName)
	return labels
}

// ownLabels returns the labels that a series has beside its target's.
func ownLabels(id catalog.ID, varying string) []wire.Label {
	m := catalog.Lookup(id)
	labels := append(make([]wire.Label, 0, len(m.Fixed)+2), wire.Label{Name: "__name__", Value: m.Name})
	labels = append(labels, m.Fixed...)
	switch {
	case m.Varying == "" || varying == "":
	case strings.Contains(m.Varying, ","):
		names := strings.Split(m.Varying, ",")
		for i, value := range strings.SplitN(varying, ",", len(names)) {
			labels = append(labels, wire.Label{Name: names[i], Value: value})
		}
	default:
		labels = append(labels, wire.Label{Name: m.Varying, Value: varying})
	}
	return labels
}

func (s *Set) encode(id catalog.ID, varying string) merged {
	return s.target.merge(varying, ownLabels(id, varying))
}

// AppendWire appends the round to the WriteRequest in dst and returns it with the number of samples appended. A round in the millisecond of the
// one before, as when an event follows a reading, gets the next one: of two values of one time Prometheus refuses the batch.
func (s *Set) AppendWire(dst []byte, timestampMillis int64) ([]byte, int) {
	if behind := s.newest - timestampMillis; behind >= 0 && behind < crowdedMillis {
		timestampMillis = s.newest + 1
	}
	s.newest = timestampMillis
	n := 0
	for i := range s.entries {
		e := &s.entries[i]
		switch {
		case e.now:
			dst = s.target.appendSeries(dst, e.series, e.value, timestampMillis)
		case e.shown:
			dst = s.target.appendSeries(dst, e.series, wire.Stale(), timestampMillis)
		default:
			continue
		}
		e.shown = e.now
		n++
	}
	return dst, n
}

// AppendStale ends every series that is shown: the target is gone.
func (s *Set) AppendStale(dst []byte, timestampMillis int64) ([]byte, int) {
	s.Begin()
	dst, n := s.AppendWire(dst, timestampMillis)
	if s.slow != nil {
		var more int
		dst, more = s.slow.AppendStale(dst, timestampMillis)
		n += more
	}
	return dst, n
}

// Relabel ends every series under the old labels and lets the next round show it under the new ones. Labels that are the same end nothing: a
// marker and a value of one series at one time would be two answers, of which Prometheus refuses the batch.
func (s *Set) Relabel(dst []byte, target []wire.Label, timestampMillis int64) ([]byte, int) {
	renamed := share(target)
	if bytes.Equal(renamed.encoded, s.target.encoded) {
		return dst, 0
	}
	dst, n := s.AppendStale(dst, timestampMillis)
	s.rename(renamed)
	return dst, n
}

func (s *Set) rename(target *shared) {
	s.target = target
	if s.slow != nil {
		s.slow.rename(target)
	}
	for i := range s.entries {
		e := &s.entries[i]
		e.series = s.encode(e.id, e.varying())
	}
}

// Each calls f for every series of the metric that the last round put, with its full label set.
func (s *Set) Each(id catalog.ID, f func(labels []wire.Label, value float64)) {
	each := func(e *entry) {
		if e.now {
			f(s.labels(id, e.varying()), e.value)
		}
	}
	if s.first == nil {
		for i := range s.entries {
			if s.entries[i].id == id {
				each(&s.entries[i])
			}
		}
	} else {
		for at := s.first[id]; at != 0; at = s.entries[at-1].next {
			each(&s.entries[at-1])
		}
	}
	if s.slow != nil {
		s.slow.Each(id, f)
	}
}
