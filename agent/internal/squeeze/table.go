package squeeze

import "math/bits"

// How a block brings the table of a kind of codes; RFC 8878 section 3.1.1.3.2.1.
const (
	modeSingle = 1 // one code only: it takes no bits
	modeTable  = 2
	modeRepeat = 3 // that of the block before
)

// maxSymbols is more than the codes of any kind.
const maxSymbols = 64

// table encodes the codes of one kind by finite state entropy, RFC 8878 section 4.1: each state stands for a code, codes have states by
// their frequency, and going from one state to the next costs as many bits as the code tells of news.
type table struct {
	mode        uint8
	description []byte // as a block brings it
	log         uint8  // of the number of states
	states      []uint16
	steps       [maxSymbols]step
	state       uint32
}

// step is how to get to a state of a code.
type step struct {
	bits uint32 // in the upper half, less a threshold in the lower one
	find int32  // where its states begin, less how many there are
}

// build makes the table for codes that are so frequent.
func (t *table) build(counts *[maxSymbols]uint32, mostLog uint8) {
	total, used, last := uint32(0), 0, 0
	for code, n := range counts {
		if n > 0 {
			total, used, last = total+n, used+1, code
		}
	}
	t.description = t.description[:0]
	if used <= 1 {
		t.mode, t.log = modeSingle, 0
		t.description = append(t.description, byte(last))
		return
	}
	t.mode = modeTable
	t.log = min(mostLog, max(5, uint8(bits.Len32(total)-2), uint8(bits.Len(uint(used)))))
	shares := share(counts, total, t.log)
	t.describe(&shares, last)
	t.spread(&shares)
}

// share gives each code a part of the states by its frequency, at least one.
func share(counts *[maxSymbols]uint32, total uint32, log uint8) (shares [maxSymbols]int32) {
	size := int32(1) << log
	left, largest := size, 0
	for code, n := range counts {
		if n == 0 {
			continue
		}
		shares[code] = max(1, int32((uint64(n)<<log+uint64(total)/2)/uint64(total)))
		left -= shares[code]
		if shares[code] > shares[largest] {
			largest = code
		}
	}
	for left < 0 { // the rounding gave too many: the most frequent ones can do with less
		for code := range shares {
			if shares[code] > shares[largest] {
				largest = code
			}
		}
		cut := min(-left, max(1, shares[largest]/8))
		shares[largest] -= cut
		left += cut
	}
	shares[largest] += left
	return shares
}

// describe writes the shares; RFC 8878 section 4.1.1.
func (t *table) describe(shares *[maxSymbols]int32, last int) {
	var w bitWriter
	w.begin(t.description)
	w.add(uint64(t.log-5), 4)
	remaining, threshold, width := int32(1)<<t.log+1, int32(1)<<t.log, t.log+1
	for code := 0; code <= last && remaining > 1; {
		share := shares[code]
		code++
		highest := 2*threshold - 1 - remaining
		remaining -= share
		value := share + 1
		if value >= threshold {
			value += highest
		}
		if value < highest {
			w.add(uint64(value), width-1)
		} else {
			w.add(uint64(value), width)
		}
		if share == 0 { // how many more of them follow, two bits at a time
			zeros := 0
			for code+zeros <= last && shares[code+zeros] == 0 {
				zeros++
			}
			code += zeros
			for ; zeros >= 3; zeros -= 3 {
				w.add(3, 2)
			}
			w.add(uint64(zeros), 2)
		}
		for remaining < threshold {
			width--
			threshold >>= 1
		}
	}
	t.description = w.flush()
}

// spread assigns the states to the codes as a decoder does.
func (t *table) spread(shares *[maxSymbols]int32) {
	size := 1 << t.log
	var symbols [512]uint8
	position := 0
	for code, n := range shares {
		for range n {
			symbols[position] = uint8(code)
			position = (position + size>>1 + size>>3 + 3) & (size - 1)
		}
	}
	var next [maxSymbols]int32
	total := int32(0)
	for code, n := range shares {
		next[code] = total
		switch {
		case n == 1:
			t.steps[code] = step{bits: uint32(t.log)<<16 - uint32(size), find: total - 1}
		case n > 1:
			most := uint32(t.log) - uint32(bits.Len32(uint32(n-1))-1)
			t.steps[code] = step{bits: most<<16 - uint32(n)<<most, find: total - n}
		}
		total += n
	}
	if cap(t.states) < size {
		t.states = make([]uint16, 512)
	}
	t.states = t.states[:size]
	for i := range size {
		code := symbols[i]
		t.states[next[code]] = uint16(size + i)
		next[code]++
	}
}

// start takes the code that is decoded last.
func (t *table) start(code uint8) {
	if t.mode == modeSingle {
		return
	}
	s := &t.steps[code]
	n := (s.bits + 1<<15) >> 16
	t.state = uint32(t.states[int32((n<<16-s.bits)>>n)+s.find])
}

// encode takes the code that is decoded before.
func (t *table) encode(w *bitWriter, code uint8) {
	if t.mode == modeSingle {
		return
	}
	s := &t.steps[code]
	n := (t.state + s.bits) >> 16
	w.add(uint64(t.state), uint8(n))
	t.state = uint32(t.states[int32(t.state>>n)+s.find])
}

// finish writes the state that a decoder begins with.
func (t *table) finish(w *bitWriter) {
	if t.mode != modeSingle {
		w.add(uint64(t.state), t.log)
	}
}

// bitWriter appends bits, the lowest first.
type bitWriter struct {
	dst  []byte
	held uint64
	n    uint8
}

func (w *bitWriter) begin(dst []byte) { w.dst, w.held, w.n = dst, 0, 0 }

// add appends the low n bits of value; n is at most 32.
func (w *bitWriter) add(value uint64, n uint8) {
	w.held |= value & (1<<n - 1) << w.n
	w.n += n
	for w.n >= 8 {
		w.dst = append(w.dst, byte(w.held))
		w.held >>= 8
		w.n -= 8
	}
}

// flush fills up the last byte with zeros.
func (w *bitWriter) flush() []byte {
	if w.n > 0 {
		w.dst = append(w.dst, byte(w.held))
	}
	return w.dst
}

// end marks where the bits end, for those who read them from there.
func (w *bitWriter) end() []byte {
	w.add(1, 1)
	return w.flush()
}
