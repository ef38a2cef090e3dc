package ship

import (
	"fmt"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/plimsoll/plimsoll/agent/internal/spool"
	"github.com/plimsoll/plimsoll/agent/internal/squeeze"
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
}

// choose returns Zstd or Snappy for the next request. refused is whether the
// receiver has refused the batch in zstd.
func (n *negotiation) choose(refused bool, now time.Time) Compression {
	switch {
	case n.wanted != Auto:
		return n.wanted
	case refused, now.Before(n.snappyUntil):
		return Snappy
	}
	return Zstd
}

// worthSnappy reports whether a batch that was refused is worth another try in
// snappy.
func (n *negotiation) worthSnappy(used Compression) bool { return n.wanted == Auto && used == Zstd }

// tookSnappy takes note that the receiver has taken in snappy what it refused
// in zstd.
func (n *negotiation) tookSnappy(now time.Time) { n.snappyUntil = now.Add(snappyFor) }

// encoders turn one record at a time into what goes over the wire, in buffers
// that are kept. Most receivers take zstd, as the spool stores it: then nothing
// is left to do, and no encoder is made.
type encoders struct {
	encoder *squeeze.Encoder
	decoder *zstd.Decoder
	plain   []byte
	wire    []byte
	of      struct {
		seq   uint64
		part  part
		using Compression
	}
	plainOf uint64 // the record whose payload is in plain
}

// maxPlainBytes bounds a decompressed payload; the spool takes none that is
// larger.
const maxPlainBytes = 32 << 20

// encode returns the compressed payload of a part of a record; it is valid until
// the next call. What is sent again is not compressed again.
func (e *encoders) encode(rec spool.Record, p part, using Compression) ([]byte, error) {
	if using == Zstd && rec.Encoding == spool.Zstd && p == (part{}) {
		return rec.Payload, nil
	}
	if e.of.seq == rec.Seq && e.of.part == p && e.of.using == using && len(e.wire) > 0 {
		return e.wire, nil
	}
	plain, err := e.decode(rec)
	if err != nil {
		return nil, err
	}
	plain = p.of(plain)
	if using == Zstd {
		if e.encoder == nil {
			if e.encoder, err = squeeze.NewEncoder(); err != nil {
				return nil, err
			}
		}
		e.wire = e.encoder.EncodeAll(plain, e.wire[:0])
	} else {
		e.wire = snappy.Encode(e.wire[:cap(e.wire)], plain)
	}
	e.of.seq, e.of.part, e.of.using = rec.Seq, p, using
	return e.wire, nil
}

// decode returns the plain payload of a record; it is valid until the next
// record is decoded.
func (e *encoders) decode(rec spool.Record) ([]byte, error) {
	if rec.Encoding == spool.Plain {
		return rec.Payload, nil
	}
	if e.plainOf == rec.Seq {
		return e.plain, nil
	}
	if e.decoder == nil {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxPlainBytes))
		if err != nil {
			return nil, fmt.Errorf("make zstd decoder: %w", err)
		}
		e.decoder = d
	}
	var err error
	e.plainOf = 0
	if e.plain, err = e.decoder.DecodeAll(rec.Payload, e.plain[:0]); err != nil {
		return nil, fmt.Errorf("decompress batch %d of the spool: %w", rec.Seq, err)
	}
	e.plainOf = rec.Seq
	return e.plain, nil
}
