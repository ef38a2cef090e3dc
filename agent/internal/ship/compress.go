package ship

import (
	"fmt"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// Compression is how requests are compressed.
type Compression string

const (
	Auto   Compression = "auto" // zstd where the receiver takes it, else snappy
	Zstd   Compression = "zstd"
	Snappy Compression = "snappy" // what every remote-write 1.0 receiver takes
)

// ParseCompression reads a compression as --remote-write.compression takes it.
func ParseCompression(text string) (Compression, error) {
	switch c := Compression(text); c {
	case Auto, Zstd, Snappy:
		return c, nil
	}
	return "", fmt.Errorf("%q is not a compression: want %s, %s or %s", text, Auto, Zstd, Snappy)
}

// snappyFor is how long a receiver that refused zstd gets snappy before zstd is
// tried again: it may have been upgraded.
const snappyFor = time.Hour

// negotiation finds out which compression a receiver takes. A receiver that
// refuses zstd and then takes the same batch with snappy does not know zstd;
// one that refuses both has something against the batch.
type negotiation struct {
	wanted      Compression
	snappyUntil time.Time // use snappy till then
	trying      bool      // zstd was refused for this batch, snappy is being tried
}

// choose returns Zstd or Snappy for the next request.
func (n *negotiation) choose(now time.Time) Compression {
	switch {
	case n.wanted != Auto:
		return n.wanted
	case n.trying, now.Before(n.snappyUntil):
		return Snappy
	}
	return Zstd
}

// refused takes note of an answer that refusesEncoding and reports whether the
// batch is worth another try.
func (n *negotiation) refused(used Compression) bool {
	if n.wanted != Auto || used != Zstd {
		n.trying = false
		return false
	}
	n.trying = true
	return true
}

// took takes note that the receiver has taken a batch.
func (n *negotiation) took(used Compression, now time.Time) (switched bool) {
	if n.trying && used == Snappy {
		n.snappyUntil = now.Add(snappyFor)
		switched = true
	}
	n.trying = false
	return switched
}

// zstdWindowBytes is how far back zstd looks for repetitions. Series of one
// batch resemble their neighbours: of 100 containers with 45 series each, 473
// bytes a sample as protobuf, 128 KiB made 11.4 and 4 MiB 12.0 bytes a sample
// (snappy 35.4).
const zstdWindowBytes = 128 << 10

// encoders compress one payload at a time into a buffer that is kept.
type encoders struct {
	zstd *zstd.Encoder
	wire []byte
	of   struct {
		seq   uint64
		using Compression
	}
}

func (e *encoders) init() error {
	encoder, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(zstdWindowBytes),
		zstd.WithLowerEncoderMem(true))
	if err != nil {
		return fmt.Errorf("make zstd encoder: %w", err)
	}
	e.zstd = encoder
	return nil
}

// encode returns the compressed payload of record seq; it is valid until the
// next call. A batch that is sent again is not compressed again.
func (e *encoders) encode(seq uint64, payload []byte, using Compression) []byte {
	if e.of.seq == seq && e.of.using == using && len(e.wire) > 0 {
		return e.wire
	}
	if using == Zstd {
		e.wire = e.zstd.EncodeAll(payload, e.wire[:0])
	} else {
		e.wire = snappy.Encode(e.wire[:cap(e.wire)], payload)
	}
	e.of.seq, e.of.using = seq, using
	return e.wire
}
