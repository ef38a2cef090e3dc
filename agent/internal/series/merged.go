package series

import (
	"encoding/binary"
	"slices"
	"strings"
	"unique"

	"github.com/plimsoll/plimsoll/agent/wire"
)

// shared is a target's labels, sorted and encoded once for all its series: they are most of each series' bytes.
type shared struct {
	ends    []uint32 // of each label in encoded
	encoded []byte
}

func share(labels []wire.Label) *shared {
	labels = clean(labels)
	slices.SortFunc(labels, byName)
	s := &shared{encoded: wire.AppendLabels(nil, labels), ends: make([]uint32, 0, len(labels))}
	at := 0
	for i := range labels {
		at += wire.LabelBytes(labels[i])
		s.ends = append(s.ends, uint32(at))
	}
	s.encoded = slices.Clip(s.encoded)
	return s
}

func byName(a, b wire.Label) int { return strings.Compare(a.Name, b.Name) }

// append appends the labels to dst.
func (s *shared) append(dst []wire.Label) []wire.Label { return wire.ReadLabels(dst, s.encoded) }

// merged is what a series has beside its target's labels. It is the same for all targets with labels of the same names, so it is kept once for all
// of them: a host with 300 containers has 20,000 series.
type merged = unique.Handle[own]

type own struct {
	varying string // value of the metric's varying label
	encoded string // labels
	cuts    string // where they stand among the shared ones
}

// A cut says how many of the shared labels come first and where in own.encoded the own ones end that follow.
const cutBytes = 6

func appendCut(dst []byte, passed, end int) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint16(dst, uint16(passed)), uint32(end))
}

func (o *own) cut(i int) (passed, end int) {
	b := o.cuts[i*cutBytes:]
	return int(b[0]) | int(b[1])<<8, int(b[2]) | int(b[3])<<8 | int(b[4])<<16 | int(b[5])<<24
}

// merge encodes a series' own labels, which it sorts.
func (s *shared) merge(varying string, labels []wire.Label) merged {
	slices.SortFunc(labels, byName)
	names := s.append(nil)
	var encoded, cuts []byte
	passed := 0
	for i := range labels {
		for passed < len(names) && names[passed].Name < labels[i].Name {
			passed++
		}
		encoded = wire.AppendLabels(encoded, labels[i:i+1])
		cuts = appendCut(cuts, passed, len(encoded))
	}
	return unique.Make(own{varying: varying, encoded: string(encoded), cuts: string(cuts)})
}

// appendSeries appends the series with one sample to the WriteRequest in dst.
func (s *shared) appendSeries(dst []byte, m merged, value float64, timestampMillis int64) []byte {
	o := m.Value()
	dst = wire.BeginSeries(dst, len(s.encoded)+len(o.encoded), timestampMillis)
	from, at := 0, 0
	for i := range len(o.cuts) / cutBytes {
		passed, end := o.cut(i)
		to := 0
		if passed > 0 {
			to = int(s.ends[passed-1])
		}
		dst = append(dst, s.encoded[from:to]...)
		dst = append(dst, o.encoded[at:end]...)
		from, at = to, end
	}
	dst = append(dst, s.encoded[from:]...)
	return wire.EndSeries(dst, value, timestampMillis)
}
