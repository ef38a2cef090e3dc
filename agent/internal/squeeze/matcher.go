package squeeze

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// The layout of a series, of which https://prometheus.io/docs/specs/prw/remote_write_spec/ has the message: a tag and a length, labels, and one
// sample of a value and a timestamp.
const (
	tagSeries = 1<<3 | 2 // and of a label in it
	tagSample = 2<<3 | 2
	tagValue  = 1<<3 | 1
	tagTime   = 2 << 3

	valueBytes = 8
)

// shortest is the shortest repetition worth telling: one takes some three bytes.
const shortest = 5

// series is where the parts of one are in the request.
type series struct {
	start, value, end int32
	labels            int32 // index of its first label's start among all; after its last one follows where the sample starts
	n                 int32 // of labels
	twin              int32 // the series of another target that it resembles, the same metric; -1 for none
}

// matcher finds repetitions where series have them.
type matcher struct {
	sum     *crc32.Table // of the hashes
	request []byte
	series  []series
	starts  []int32
	newest  [1 << 12]int32 // 1 + the newest series, by a hash of its first label, and by one of that and its size
	labels  [1 << 12]int32 // 1 + where a label stands that had not been there before, by a hash of it
	at      int            // the series that is being looked at
	in      int32          // and the label in it
	asked   int32          // the label that was looked up last, and what came of it
	found   int32
	recent  [3]uint32 // offsets; RFC 8878 section 3.1.1.5
}

// begin finds the series of a request. It reports false when there is anything else in it.
func (m *matcher) begin(request []byte) bool {
	if m.sum == nil {
		m.sum = crc32.MakeTable(crc32.Castagnoli)
	}
	m.request, m.series, m.starts, m.at, m.recent = request, m.series[:0], m.starts[:0], 0, [3]uint32{1, 4, 8}
	m.asked, m.in = -1, 0
	clear(m.newest[:])
	clear(m.labels[:])
	for at := 0; at < len(request); {
		s, ok := m.parse(at)
		if !ok {
			return false
		}
		m.pair(&s)
		m.series = append(m.series, s)
		at = int(s.end)
	}
	return len(m.series) > 0
}

// parse reads the layout of the series at an offset.
func (m *matcher) parse(at int) (s series, ok bool) {
	b := m.request
	length, n := binary.Uvarint(b[at+1:])
	if b[at] != tagSeries || n <= 0 || length > uint64(len(b)-at-1-n) {
		return s, false
	}
	p := at + 1 + n
	s = series{start: int32(at), end: int32(p + int(length)), labels: int32(len(m.starts))}
	end := int(s.end)
	for p+1 < end && b[p] == tagSeries {
		length, n := uint64(b[p+1]), 1
		if length >= 0x80 {
			length, n = binary.Uvarint(b[p+1 : end])
		}
		if n <= 0 || length > uint64(end-p-1-n) {
			return s, false
		}
		m.starts = append(m.starts, int32(p))
		s.n++
		p += 1 + n + int(length)
	}
	// A sample of another shape is not one of ours.
	if s.n == 0 || end-p < 3+valueBytes+2 || b[p] != tagSample || int(b[p+1]) != end-p-2 || b[p+2] != tagValue || b[p+3+valueBytes] != tagTime {
		return s, false
	}
	m.starts = append(m.starts, int32(p))
	s.value = int32(p + 3)
	return s, true
}

// label is where the i-th label of a series starts, or the sample after the last.
func (m *matcher) label(s *series, i int32) int32 { return m.starts[s.labels+i] }

// pair finds the twin of a series, of the same metric: the one after the twin of the series before if it has the same size too, so that one is
// as far away as the other; else the newest of the size, else the newest.
func (m *matcher) pair(s *series) {
	b, n := m.request, len(m.series)
	name := b[m.label(s, 0):m.label(s, 1)]
	hash := crc32.Update(0, m.sum, name)
	size := s.end - s.start
	any, same := &m.newest[hash%uint32(len(m.newest))], &m.newest[(hash+uint32(size)*0x9E3779B1)>>8%uint32(len(m.newest))]
	s.twin = -1
	fits := func(i int32) bool {
		if i < 0 || int(i) >= n {
			return false
		}
		t := &m.series[i]
		return t.end-t.start == size && bytes.Equal(name, b[m.label(t, 0):m.label(t, 1)])
	}
	switch {
	case n == 0:
	case m.series[n-1].twin >= 0 && fits(m.series[n-1].twin+1):
		s.twin = m.series[n-1].twin + 1
	case fits(*same - 1):
		s.twin = *same - 1
	default:
		s.twin = *any - 1
	}
	*any, *same = int32(n)+1, int32(n)+1
}

// block appends the repetitions of a part of the request and the literals between them.
func (m *matcher) block(sequences []sequence, literals []byte, from, to int) ([]sequence, []byte) {
	b := m.request
	pending := from // literals that are not appended yet
	for p := from; p < to; {
		for int(m.series[m.at].end) <= p {
			m.at++
			m.in = 0
		}
		s := &m.series[m.at]
		length, offset := m.longest(s, p, to)
		inValue := p >= int(s.value) && p < int(s.value)+valueBytes
		least := shortest
		if inValue {
			least = max(shortest, int(s.value)+valueBytes-p+1)
		}
		if length < least {
			if inValue {
				p = min(to, int(s.value)+valueBytes)
			} else {
				p++
			}
			continue
		}
		for p > pending && p > offset && b[p-1] == b[p-1-offset] {
			p--
			length++
		}
		literals = append(literals, b[pending:p]...)
		n := uint32(p - pending)
		sequences = append(sequences, sequence{literals: n, match: uint32(length), offset: m.code(uint32(offset), n)})
		p += length
		pending = p
	}
	return sequences, append(literals, b[pending:to]...)
}

// enough is a repetition after which no longer one is looked for.
const enough = 48

// longest is the longest repetition at an offset of a series: of the twin's same label, of the same label of the series before, counted from
// its first and from its last, or of the same label anywhere.
func (m *matcher) longest(s *series, p, to int) (length, offset int) {
	look := func(source int) bool {
		if source >= 0 && source < p {
			if n := common(m.request, source, p, to); n > length {
				length, offset = n, p-source
			}
		}
		return length >= enough
	}
	var twin, before *series
	if s.twin >= 0 {
		twin = &m.series[s.twin]
	}
	if m.at > 0 {
		before = &m.series[m.at-1]
	}
	if p < int(m.label(s, 0)) {
		if twin == nil || !look(p-int(s.start-twin.start)) {
			if before != nil {
				look(p - int(s.start-before.start))
			}
		}
		return length, offset
	}
	for m.in < s.n && int(m.label(s, m.in+1)) <= p {
		m.in++
	}
	i := m.in
	here := p - int(m.label(s, i))
	if i > 0 && before != nil && i <= before.n && look(int(m.label(before, i))+here) {
		return length, offset
	}
	if twin != nil && twin.n == s.n && look(int(m.label(twin, i))+here) {
		return length, offset
	}
	if before != nil {
		if j := before.n - (s.n - i); j >= 0 && j != i && look(int(m.label(before, j))+here) {
			return length, offset
		}
		if i == 0 {
			look(int(m.label(before, 0)) + here)
		}
	}
	if i < s.n && p+length < int(m.label(s, i+1)) {
		if known := m.known(s, i); known >= 0 {
			look(int(known) + here)
		}
	}
	return length, offset
}

// known is where the label stands that is the i-th of a series, anywhere before, or less than 0. From then on it is known.
func (m *matcher) known(s *series, i int32) int32 {
	if m.asked == s.labels+i {
		return m.found
	}
	from, to := m.label(s, i), m.label(s, i+1)
	slot := &m.labels[crc32.Update(0, m.sum, m.request[from:to])%uint32(len(m.labels))]
	m.asked, m.found = s.labels+i, *slot-1
	*slot = from + 1
	return m.found
}

// common is how many bytes at source and at p are the same, up to to.
func common(b []byte, source, p, to int) int {
	start := p
	for to-p >= 8 {
		if x := binary.LittleEndian.Uint64(b[source:]) ^ binary.LittleEndian.Uint64(b[p:]); x != 0 {
			return p - start + bits.TrailingZeros64(x)/8
		}
		source, p = source+8, p+8
	}
	for p < to && b[source] == b[p] {
		source, p = source+1, p+1
	}
	return p - start
}

// code is how an offset is told: as one of the recent ones if it is one, else as itself. literals is how many precede the repetition; RFC
// 8878 section 3.1.1.5.
func (m *matcher) code(offset, literals uint32) uint32 {
	r := &m.recent
	if literals > 0 {
		switch offset {
		case r[0]:
			return 1
		case r[1]:
			r[0], r[1] = offset, r[0]
			return 2
		case r[2]:
			r[0], r[1], r[2] = offset, r[0], r[1]
			return 3
		}
	} else {
		switch offset {
		case r[1]:
			r[0], r[1] = offset, r[0]
			return 1
		case r[2]:
			r[0], r[1], r[2] = offset, r[0], r[1]
			return 2
		case r[0] - 1:
			r[0], r[1], r[2] = offset, r[0], r[1]
			return 3
		}
	}
	r[0], r[1], r[2] = offset, r[0], r[1]
	return offset + 3
}
