package ship

import (
	"fmt"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/plimsoll/plimsoll/agent/internal/spool"
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

// encoders turn one record at a time into what goes over the wire, in buffers
// that are kept. Most receivers take zstd, as the spool stores it: then nothing
// is left to do, and no encoder is made.
type encoders struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
	plain   []byte
	wire    []byte
	of      struct {
		seq   uint64
		using Compression
	}
}

// maxPlainBytes bounds a decompressed payload; the spool takes none that is
// larger.
const maxPlainBytes = 32 << 20

// encode returns the compressed payload of a record; it is valid until the next
// call. A batch that is sent again is not compressed again.
func (e *encoders) encode(rec spool.Record, using Compression) ([]byte, error) {
	if using == Zstd && rec.Encoding == spool.Zstd {
		return rec.Payload, nil
	}
	if e.of.seq == rec.Seq && e.of.using == using && len(e.wire) > 0 {
		return e.wire, nil
	}
	plain, err := e.decode(rec)
	if err != nil {
		return nil, err
	}
	if using == Zstd {
		if e.encoder == nil {
			if e.encoder, err = spool.NewZstd(); err != nil {
				return nil, err
			}
		}
		e.wire = e.encoder.EncodeAll(plain, e.wire[:0])
	} else {
		e.wire = snappy.Encode(e.wire[:cap(e.wire)], plain)
	}
	e.of.seq, e.of.using = rec.Seq, using
	return e.wire, nil
}

func (e *encoders) decode(rec spool.Record) ([]byte, error) {
	if rec.Encoding == spool.Plain {
		return rec.Payload, nil
	}
	if e.decoder == nil {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxPlainBytes))
		if err != nil {
			return nil, fmt.Errorf("make zstd decoder: %w", err)
		}
		e.decoder = d
	}
	var err error
	if e.plain, err = e.decoder.DecodeAll(rec.Payload, e.plain[:0]); err != nil {
		return nil, fmt.Errorf("decompress batch %d of the spool: %w", rec.Seq, err)
	}
	return e.plain, nil
}
