package squeeze

import "math/bits"

// The three kinds of codes of a sequence.
const (
	literalLengths = iota
	offsets
	matchLengths
)

// minMatch is the shortest repetition that the format knows.
const minMatch = 3

// literalCode is the code of a number of literals and how many of its low bits follow; RFC 8878 section 3.1.1.3.2.1.1.
func literalCode(n uint32) (code, extra uint8) {
	switch {
	case n < 16:
		return uint8(n), 0
	case n < 24:
		return uint8(16 + (n-16)/2), 1
	case n < 32:
		return uint8(20 + (n-24)/4), 2
	case n < 48:
		return uint8(22 + (n-32)/8), 3
	case n < 64:
		return 24, 4
	}
	high := uint8(bits.Len32(n) - 1)
	return high + 19, high
}

// matchCode is the code of the length of a repetition, less minMatch.
func matchCode(n uint32) (code, extra uint8) {
	switch {
	case n < 32:
		return uint8(n), 0
	case n < 40:
		return uint8(32 + (n-32)/2), 1
	case n < 48:
		return uint8(36 + (n-40)/4), 2
	case n < 64:
		return uint8(38 + (n-48)/8), 3
	case n < 96:
		return uint8(40 + (n-64)/16), 4
	case n < 128:
		return 42, 5
	}
	high := uint8(bits.Len32(n) - 1)
	return high + 36, high
}

// offsetCode is the code of an offset and how many of its low bits follow.
func offsetCode(offset uint32) (code, extra uint8) {
	high := uint8(bits.Len32(offset) - 1)
	return high, high
}

// count makes the tables of the codes of all blocks. The first block brings them, the others use them again.
func (e *Encoder) count() {
	var counts [3][maxSymbols]uint32
	for i := range e.blocks {
		for _, s := range e.blocks[i].sequences {
			l, _ := literalCode(s.literals)
			o, _ := offsetCode(s.offset)
			m, _ := matchCode(s.match - minMatch)
			counts[literalLengths][l]++
			counts[offsets][o]++
			counts[matchLengths][m]++
		}
	}
	for i, mostLog := range [3]uint8{9, 8, 9} {
		e.tables[i].build(&counts[i], mostLog)
	}
}

// appendSequences writes the sequences section; RFC 8878 section 3.1.1.3.2.
func (e *Encoder) appendSequences(dst []byte, sequences []sequence) []byte {
	switch n := len(sequences); {
	case n < 128:
		dst = append(dst, byte(n))
	case n < 0x7F00:
		dst = append(dst, byte(n>>8+128), byte(n))
	default:
		dst = append(dst, 255, byte(n-0x7F00), byte((n-0x7F00)>>8))
	}
	if len(sequences) == 0 {
		return dst
	}
	if !e.tablesTold {
		e.tablesTold = true
		dst = append(dst, e.tables[literalLengths].mode<<6|e.tables[offsets].mode<<4|e.tables[matchLengths].mode<<2)
		for i := range e.tables {
			dst = append(dst, e.tables[i].description...)
		}
	} else {
		dst = append(dst, modeRepeat<<6|modeRepeat<<4|modeRepeat<<2)
	}
	return e.appendCodes(dst, sequences)
}

// appendCodes writes the codes from the last sequence to the first: a decoder reads them from the end.
func (e *Encoder) appendCodes(dst []byte, sequences []sequence) []byte {
	w := &e.bits
	w.begin(dst)
	l, o, m := &e.tables[literalLengths], &e.tables[offsets], &e.tables[matchLengths]
	for i := len(sequences) - 1; i >= 0; i-- {
		s := &sequences[i]
		lc, lExtra := literalCode(s.literals)
		oc, oExtra := offsetCode(s.offset)
		mc, mExtra := matchCode(s.match - minMatch)
		if i == len(sequences)-1 {
			m.start(mc)
			o.start(oc)
			l.start(lc)
		} else {
			o.encode(w, oc)
			m.encode(w, mc)
			l.encode(w, lc)
		}
		w.add(uint64(s.literals), lExtra)
		w.add(uint64(s.match-minMatch), mExtra)
		w.add(uint64(s.offset), oExtra)
	}
	m.finish(w)
	o.finish(w)
	l.finish(w)
	return w.end()
}
