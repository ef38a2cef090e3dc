package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/plimsoll/plimsoll/collector/internal/turns"
)

// snappyMostRatio is more than snappy can compress: its shortest element is 2 bytes for at most 64. A header that claims
// more lies, and is not worth the memory.
const snappyMostRatio = 64

// smallBytes is the largest message that is decompressed beside others; an agent's batch of 100 containers has 1 MiB. Larger ones
// go one at a time, and no faster than that one CPU is a quarter busy with them: so what is made to be large waits for its like, and the
// memory of all together is bounded by one of the largest. It must not be squeezed beyond largeMostRatio, so that it costs who
// sends it something too. A message of more than unstatedBytes must state its size in its header.
const (
	smallBytes     = 8 << 20
	unstatedBytes  = keepBytes
	largeMostRatio = 200
	largeRest      = 3 // times as long as the message took
)

// turnTimeout is how long a message waits for others to be decompressed and stored.
const turnTimeout = 20 * time.Second

// decoders decompress, as many at once as there is memory and time for. Senders take turns, and of the turns for small messages
// none has all.
type decoders struct {
	limit  int64
	stated zstdDecoders // into memory of the size that the header states
	brief  zstdDecoders // into unstatedBytes, from windows up to smallBytes
	spare  sync.Pool    // *[]byte of keepBytes, for messages up to that; as many are in use as turns
	small  *turns.Turns
	large  *turns.Turns

	mu     sync.Mutex
	giving *time.Timer // gives memory back some time after the last large message
}

func newDecoders(limit int64) (*decoders, error) {
	n := max(2, runtime.GOMAXPROCS(0))
	d := &decoders{limit: limit, stated: zstdDecoders{mostBytes: uint64(limit)}, brief: zstdDecoders{mostBytes: smallBytes}, small: turns.New(n, n-1), large: turns.New(1, 1)}
	d.spare.New = func() any {
		room := make([]byte, 0, keepBytes)
		return &room
	}
	for _, z := range []*zstdDecoders{&d.stated, &d.brief} {
		first, err := z.open()
		if err != nil {
			return nil, err
		}
		z.idle.Put(first)
	}
	return d, nil
}

// zstdDecoders are used for one message at a time each.
type zstdDecoders struct {
	mostBytes uint64
	idle      sync.Pool // *zstd.Decoder
}

func (z *zstdDecoders) open() (*zstd.Decoder, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(z.mostBytes), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, fmt.Errorf("zstd decoder: %w", err)
	}
	return d, nil
}

// decode decompresses into the memory of dst, all of which it may fill.
func (z *zstdDecoders) decode(body, dst []byte) ([]byte, error) {
	d, ok := z.idle.Get().(*zstd.Decoder)
	if !ok {
		var err error
		if d, err = z.open(); err != nil {
			return nil, err
		}
	}
	out, err := d.DecodeAll(body, dst)
	if cap(out) <= keepBytes { // it holds on to where it wrote
		z.idle.Put(d)
	}
	return out, err
}

// unstated is the size of a message whose header does not say.
const unstated = -1

// sizeOf is what the header of a body states, looked at before memory is taken.
func (d *decoders) sizeOf(encoding string, body []byte) (int64, *refusal) {
	if encoding == "zstd" {
		var header zstd.Header
		if err := header.Decode(body); err != nil {
			return 0, refuse(http.StatusBadRequest, "the body is not zstd: %v", err).offends()
		}
		if !header.HasFCS {
			return unstated, nil
		}
		if header.FrameContentSize > uint64(d.limit) {
			return 0, d.tooLarge()
		}
		return int64(header.FrameContentSize), nil
	}
	size, err := snappy.DecodedLen(body)
	switch {
	case err != nil:
		return 0, refuse(http.StatusBadRequest, "the body is not a snappy block: %v", err).offends()
	case int64(size) > d.limit:
		return 0, d.tooLarge()
	case size > snappyMostRatio*len(body):
		return 0, refuse(http.StatusBadRequest, "the body is not a snappy block: %d bytes can not hold %d", len(body), size).offends()
	}
	return int64(size), nil
}

// early is what the first part of a body of that many bytes says of the whole, so that what is refused is not read first. What is not
// there yet, or makes no sense, is for later.
func (d *decoders) early(encoding string, first []byte, length int64) *refusal {
	size, ok := stated(encoding, first)
	switch {
	case !ok:
		return nil
	case size > d.limit:
		return d.tooLarge()
	case length >= 0:
		return tooCheap(size, length)
	}
	return nil
}

// stated is what the header of a body states, of which first is the start.
func stated(encoding string, first []byte) (size int64, ok bool) {
	if encoding != "zstd" {
		n, err := snappy.DecodedLen(first)
		return int64(n), err == nil
	}
	var header zstd.Header
	ok = header.Decode(first) == nil && header.HasFCS
	return int64(min(header.FrameContentSize, 1<<62)), ok
}

// tooCheap refuses what is large for no price.
func tooCheap(size, length int64) *refusal {
	if size <= smallBytes || size <= largeMostRatio*length {
		return nil
	}
	return refuse(http.StatusRequestEntityTooLarge, "%d bytes decompress to %d, which is more than %d times as many; that much is taken of messages up to %d bytes; send smaller batches", length, size, largeMostRatio, smallBytes).offends()
}

func (d *decoders) tooLarge() *refusal {
	return refuse(http.StatusRequestEntityTooLarge, "the decompressed body is larger than %d bytes (--limit.write-decoded)", d.limit).offends()
}

// rest ends a turn of the large that began at a moment. Some time after the last of them the memory is given back to the system, which
// costs a collection.
func (d *decoders) rest(began time.Time, leave func()) {
	const quiet = 5 * time.Second
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.giving == nil {
		d.giving = time.AfterFunc(quiet, debug.FreeOSMemory)
	}
	d.giving.Reset(quiet)
	time.AfterFunc(min(time.Second, largeRest*time.Since(began)), leave)
}

// room is memory for a message whose header states size, until given back.
func (d *decoders) room(size int64) (dst []byte, giveBack func()) {
	need := size
	if size == unstated {
		need = min(d.limit, unstatedBytes)
	}
	if need > keepBytes {
		return make([]byte, 0, need), func() {}
	}
	spare := d.spare.Get().(*[]byte)
	return (*spare)[:0:need], func() { d.spare.Put(spare) }
}

// decompress returns the message in body, in the memory of dst, which is room for it.
func (d *decoders) decompress(encoding string, body, dst []byte, size int64) ([]byte, *refusal) {
	if encoding != "zstd" {
		out, err := snappy.Decode(dst[:cap(dst)], body)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "the body is not a snappy block: %v", err).offends()
		}
		return out, nil
	}
	from := &d.stated
	if size == unstated {
		from = &d.brief
	}
	out, err := from.decode(body, dst)
	exceeded := errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded)
	switch {
	case exceeded && size != unstated:
		return nil, refuse(http.StatusBadRequest, "the body is not zstd: it holds more than the %d bytes that its header states", size).offends()
	case exceeded && d.limit > unstatedBytes:
		return nil, refuse(http.StatusRequestEntityTooLarge, "the zstd frame does not state its size and holds more than %d bytes; state it, or send smaller batches", unstatedBytes).offends()
	case exceeded:
		return nil, d.tooLarge()
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "the body is not zstd: %v", err).offends()
	}
	return out, nil
}

// unpack decompresses for who waits for nobody. The message is there until giveBack.
func (d *decoders) unpack(encoding string, body []byte) (message []byte, giveBack func(), answer *refusal) {
	size, answer := d.sizeOf(encoding, body)
	if answer != nil {
		return nil, func() {}, answer
	}
	dst, giveBack := d.room(size)
	message, answer = d.decompress(encoding, body, dst, size)
	return message, giveBack, answer
}

// inTurn has do take the message when it is its turn. What unpack returns to it is there until the turn ends.
func (d *decoders) inTurn(ctx context.Context, encoding string, body []byte, do func(unpack func() ([]byte, *refusal)) *refusal) *refusal {
	size, answer := d.sizeOf(encoding, body)
	if answer == nil {
		answer = tooCheap(size, int64(len(body)))
	}
	if answer != nil {
		return answer
	}
	seats := d.small
	if size > smallBytes {
		seats = d.large
	}
	waiting, cancel := context.WithTimeout(ctx, turnTimeout)
	defer cancel()
	leave, err := seats.Take(waiting, turns.Who(ctx))
	switch {
	case ctx.Err() != nil:
		return later(http.StatusServiceUnavailable, time.Second, "the sender left before its turn")
	case err != nil:
		return later(http.StatusServiceUnavailable, 5*time.Second, fmt.Sprintf("the message did not get its turn within %s; smaller ones get theirs sooner", turnTimeout))
	}
	if size > smallBytes {
		began := time.Now()
		defer func() { d.rest(began, leave) }() // next to none when it was not decompressed
	} else {
		defer leave()
	}
	giveBack := func() {}
	defer func() { giveBack() }()
	return do(func() ([]byte, *refusal) {
		var dst []byte
		dst, giveBack = d.room(size)
		return d.decompress(encoding, body, dst, size)
	})
}
