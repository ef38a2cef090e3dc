// Package squeeze compresses a remote write request to one zstd frame, a quarter smaller than an encoder makes it that does not know what
// it is given.
//
// A batch of an agent is series after series, container after container. A series begins as the same metric of the container
// before did, and goes on as the series before it did: squeeze looks for repetitions in these two places, and for labels that stood
// anywhere before, where a general encoder finds what its tables still hold. That makes 9.1 bytes of a sample of a real round instead of 12.3,
// for 0.39 microseconds of CPU time instead of 0.26; the general encoder's level that comes as far takes 1.9. The frame is what RFC 8878
// says, so that every decoder takes it. What is no request of that kind goes to the general encoder.
package squeeze

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/huff0"
	"github.com/klauspost/compress/zstd"
)

// maxBlockBytes is the most that a block may hold, plain; RFC 8878 section 3.1.1.2.4.
const maxBlockBytes = 128 << 10

// Encoder compresses one request at a time, in memory that is kept. It is for one goroutine.
type Encoder struct {
	general  *zstd.Encoder
	matcher  matcher
	blocks   []block
	literals []byte
	huffman  huff0.Scratch
	tables   [3]table // literal lengths, offsets, match lengths
	bits     bitWriter

	// Of the frame that is written.
	treeTold   bool // the decoder has the tree that huffman holds
	tablesTold bool
}

// block is a part of the input of at most maxBlockBytes, as literals and repetitions.
type block struct {
	sequences  []sequence
	from, to   int // of literals, those after the last sequence included
	plainBytes int
}

// sequence is a run of literals and the repetition after it.
type sequence struct {
	literals, match uint32 // bytes
	offset          uint32 // of the repetition, coded with the recent ones: RFC 8878 section 3.1.1.5
}

// windowBytes is how far back the general encoder looks.
const windowBytes = 128 << 10

// NewEncoder returns an encoder.
func NewEncoder() (*Encoder, error) {
	general, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(windowBytes), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("make zstd encoder: %w", err)
	}
	return &Encoder{general: general}, nil
}

// EncodeAll appends request, compressed, to dst.
func (e *Encoder) EncodeAll(request, dst []byte) []byte {
	start := len(dst)
	if e.split(request) {
		if out, ok := e.frame(dst, len(request)); ok && len(out)-start < len(request) {
			return out
		}
	}
	return e.general.EncodeAll(request, dst[:start])
}

// split finds the repetitions. It reports false for what is not worth it: other than series, or too short.
func (e *Encoder) split(request []byte) bool {
	e.literals, e.blocks = e.literals[:0], e.blocks[:0]
	if len(request) < 1<<10 || len(request) > 1<<30 || !e.matcher.begin(request) {
		return false
	}
	for at := 0; at < len(request); {
		n := len(e.blocks)
		if n < cap(e.blocks) {
			e.blocks = e.blocks[:n+1] // its sequences' memory is used again
		} else {
			e.blocks = append(e.blocks, block{})
		}
		b := &e.blocks[n]
		b.from = len(e.literals)
		b.sequences, e.literals = e.matcher.block(b.sequences[:0], e.literals, at, min(len(request), at+maxBlockBytes))
		b.to = len(e.literals)
		b.plainBytes = min(len(request), at+maxBlockBytes) - at
		at += b.plainBytes
	}
	return true
}

// frame writes the blocks; RFC 8878 section 3.1.1. It reports false when a part of them does not become smaller.
func (e *Encoder) frame(dst []byte, plainBytes int) ([]byte, bool) {
	dst = binary.LittleEndian.AppendUint32(dst, 0xFD2FB528)
	dst = append(dst, 0xA0) // the content's size in four bytes, one segment, no checksum
	dst = binary.LittleEndian.AppendUint32(dst, uint32(plainBytes))
	e.count()
	e.treeTold, e.tablesTold = false, false
	for i := range e.blocks {
		b := &e.blocks[i]
		head := len(dst)
		dst = append(dst, 0, 0, 0)
		dst = e.appendLiterals(dst, e.literals[b.from:b.to])
		dst = e.appendSequences(dst, b.sequences)
		size := len(dst) - head - 3
		if size >= b.plainBytes {
			return dst, false
		}
		header := uint32(size)<<3 | 2<<1
		if i == len(e.blocks)-1 {
			header |= 1
		}
		dst[head], dst[head+1], dst[head+2] = byte(header), byte(header>>8), byte(header>>16)
	}
	return dst, true
}

// appendLiterals writes the literals section; RFC 8878 section 3.1.1.3.1.
func (e *Encoder) appendLiterals(dst, literals []byte) []byte {
	n := len(literals)
	var packed []byte
	var reused bool
	err := huff0.ErrIncompressible
	streams := uint64(0) // size format: one stream, or four
	e.huffman.Reuse = huff0.ReusePolicyNone
	if e.treeTold {
		e.huffman.Reuse = huff0.ReusePolicyAllow
	}
	switch {
	case n >= 1<<10:
		packed, reused, err = huff0.Compress4X(literals, &e.huffman)
		streams = 2
		if n >= 1<<14 {
			streams = 3
		}
	case n > 32:
		packed, reused, err = huff0.Compress1X(literals, &e.huffman)
	}
	if err != nil || len(packed) >= n {
		e.treeTold = e.treeTold && err != nil
		return append(appendRawHeader(dst, n), literals...)
	}
	e.treeTold = true
	kind := uint64(2)
	if reused {
		kind = 3 // the tree of the block before
	}
	width := map[uint64]int{0: 10, 2: 14, 3: 18}[streams]
	header := kind | streams<<2 | uint64(n)<<4 | uint64(len(packed))<<(4+width)
	for range (4 + 2*width + 7) / 8 {
		dst = append(dst, byte(header))
		header >>= 8
	}
	return append(dst, packed...)
}

// appendRawHeader writes the header of n literals that are not compressed.
func appendRawHeader(dst []byte, n int) []byte {
	switch {
	case n < 1<<5:
		return append(dst, byte(n<<3))
	case n < 1<<12:
		return append(dst, byte(1<<2|n<<4), byte(n>>4))
	}
	return append(dst, byte(3<<2|n<<4), byte(n>>4), byte(n>>12))
}
