package series

import (
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/agent/wire"
)

// shared is a target's labels, sorted and encoded once for all its series: they are most of each series' bytes.
type shared struct {
	labels  []wire.Label
	ends    []int // of each label in encoded
	encoded []byte
}

func share(labels []wire.Label) *shared {
	s := &shared{labels: clean(labels)}
	slices.SortFunc(s.labels, byName)
	for i := range s.labels {
		s.encoded = wire.AppendLabels(s.encoded, s.labels[i:i+1])
		s.ends = append(s.ends, len(s.encoded))
	}
	return s
}

func byName(a, b wire.Label) int { return strings.Compare(a.Name, b.Name) }

// merged is the encoded labels of one series: its own ones, and where they stand among the shared ones.
type merged struct {
	own  []byte
	cuts []cut
}

// cut says: the shared bytes up to shared come first, then the own ones up to own.
type cut struct{ shared, own int32 }

// merge encodes a series' own labels, which it sorts.
func (s *shared) merge(own []wire.Label) merged {
	slices.SortFunc(own, byName)
	m := merged{cuts: make([]cut, 0, len(own))}
	passed := 0
	for i := range own {
		for passed < len(s.labels) && s.labels[passed].Name < own[i].Name {
			passed++
		}
		m.own = wire.AppendLabels(m.own, own[i:i+1])
		before := 0
		if passed > 0 {
			before = s.ends[passed-1]
		}
		m.cuts = append(m.cuts, cut{shared: int32(before), own: int32(len(m.own))})
	}
	m.own = slices.Clip(m.own)
	return m
}

// appendSeries appends the series with one sample to the WriteRequest in dst.
func (s *shared) appendSeries(dst []byte, m *merged, value float64, timestampMillis int64) []byte {
	dst = wire.BeginSeries(dst, len(s.encoded)+len(m.own), timestampMillis)
	from, at := int32(0), int32(0)
	for _, c := range m.cuts {
		dst = append(dst, s.encoded[from:c.shared]...)
		dst = append(dst, m.own[at:c.own]...)
		from, at = c.shared, c.own
	}
	dst = append(dst, s.encoded[from:]...)
	return wire.EndSeries(dst, value, timestampMillis)
}
