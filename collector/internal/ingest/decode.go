package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// snappyMostRatio is more than snappy can compress: its shortest element is 2 bytes for at most 64. A header that claims
// more lies, and is not worth the memory.
const snappyMostRatio = 64

// smallBytes is the largest message that is decompressed beside others; an agent's batch of 100 containers has 1 MiB. Larger ones
// go one at a time: so what is made to be large waits for its like, and the memory of all together is bounded by one of the
// largest. One that does not say how large it is is taken for small until it has proved not to be.
const smallBytes = 8 << 20

// turnTimeout is how long a message waits for others to be decompressed and stored.
const turnTimeout = 20 * time.Second

// decoders decompress, as many at once as there is memory and time for.
type decoders struct {
	limit  int64
	stated *zstd.Decoder // into memory of the size that the header states
	brief  *zstd.Decoder // up to smallBytes
	open   *zstd.Decoder // up to the limit
	small  chan struct{}
	large  chan struct{}

	returned time.Time // when memory was last given back; of who has the turn of the large
}

func newDecoders(limit int64) (*decoders, error) {
	n := max(2, runtime.GOMAXPROCS(0))
	d := &decoders{limit: limit, small: make(chan struct{}, n), large: make(chan struct{}, 1)}
	var err error
	if d.stated, err = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(uint64(limit)), zstd.WithDecoderConcurrency(n+1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true)); err != nil {
		return nil, fmt.Errorf("zstd decoder: %w", err)
	}
	if d.brief, err = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(uint64(min(limit, smallBytes))), zstd.WithDecoderConcurrency(n), zstd.WithDecoderLowmem(true)); err != nil {
		return nil, fmt.Errorf("zstd decoder: %w", err)
	}
	if d.open, err = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(uint64(limit)), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true)); err != nil {
		return nil, fmt.Errorf("zstd decoder: %w", err)
	}
	return d, nil
}

// Sizes of a message whose header does not say: at first, and when it is more than smallBytes.
const (
	unstated = -1
	large    = -2
)

// sizeOf is what the header of a body states, looked at before memory is taken.
func (d *decoders) sizeOf(encoding string, body []byte) (int64, *refusal) {
	if encoding == "zstd" {
		var header zstd.Header
		if err := header.Decode(body); err != nil {
			return 0, refuse(http.StatusBadRequest, "the body is not zstd: %v", err)
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
		return 0, refuse(http.StatusBadRequest, "the body is not a snappy block: %v", err)
	case int64(size) > d.limit:
		return 0, d.tooLarge()
	case size > snappyMostRatio*len(body):
		return 0, refuse(http.StatusBadRequest, "the body is not a snappy block: %d bytes can not hold %d", len(body), size)
	}
	return int64(size), nil
}

func (d *decoders) tooLarge() *refusal {
	return refuse(http.StatusRequestEntityTooLarge, "the decompressed body is larger than %d bytes (--limit.write-decoded)", d.limit)
}

// turn is where a message of that size waits.
func (d *decoders) turn(size int64) chan struct{} {
	if size == large || size > smallBytes {
		return d.large
	}
	return d.small
}

// done ends a turn. The memory of a large message is given back to the system, which costs a collection and so is not done
// each time.
func (d *decoders) done(turn chan struct{}) {
	const every = 10 * time.Second
	if turn == d.large && time.Since(d.returned) > every {
		d.returned = time.Now()
		debug.FreeOSMemory()
	}
	<-turn
}

// decompress returns the message in body, in dst's memory when that is large enough. size is what sizeOf said, or large. A
// message whose size is not stated and that is not small is errLarge.
func (d *decoders) decompress(encoding string, body, dst []byte, size int64) ([]byte, *refusal, error) {
	if encoding != "zstd" {
		out, err := snappy.Decode(dst[:cap(dst)], body)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "the body is not a snappy block: %v", err), nil
		}
		return out, nil, nil
	}
	var from *zstd.Decoder
	into := dst[:0]
	switch size {
	case unstated:
		from = d.brief
	case large:
		from = d.open
	default:
		if int64(cap(dst)) < size {
			dst = make([]byte, 0, size)
		}
		from, into = d.stated, dst[:0:size]
	}
	out, err := from.DecodeAll(body, into)
	exceeded := errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded)
	switch {
	case exceeded && size == unstated && d.limit > smallBytes:
		return nil, nil, errLarge
	case exceeded && size >= 0:
		return nil, refuse(http.StatusBadRequest, "the body is not zstd: it holds more than the %d bytes that its header states", size), nil
	case exceeded:
		return nil, d.tooLarge(), nil
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "the body is not zstd: %v", err), nil
	}
	return out, nil, nil
}

var errLarge = errors.New("the message is larger than smallBytes and does not say so")

// unpack decompresses for who waits for nobody.
func (d *decoders) unpack(encoding string, body, dst []byte) ([]byte, *refusal) {
	size, answer := d.sizeOf(encoding, body)
	if answer != nil {
		return nil, answer
	}
	out, answer, err := d.decompress(encoding, body, dst, size)
	if errors.Is(err, errLarge) {
		out, answer, _ = d.decompress(encoding, body, dst, large)
	}
	return out, answer
}

// inTurn decompresses when it is the message's turn, and has use do the rest before the turn ends.
func (d *decoders) inTurn(ctx context.Context, encoding string, body, dst []byte, use func(message []byte) *refusal) *refusal {
	size, answer := d.sizeOf(encoding, body)
	if answer != nil {
		return answer
	}
	for {
		turn := d.turn(size)
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
			return later(http.StatusServiceUnavailable, time.Second, "the sender left before its turn")
		case <-time.After(turnTimeout):
			return later(http.StatusServiceUnavailable, 5*time.Second, fmt.Sprintf("the message did not get its turn within %s; smaller ones get theirs sooner", turnTimeout))
		}
		answer, err := func() (*refusal, error) {
			defer d.done(turn)
			message, answer, err := d.decompress(encoding, body, dst, size)
			if err == nil && answer == nil {
				answer = use(message)
			}
			return answer, err
		}()
		if !errors.Is(err, errLarge) {
			return answer
		}
		size = large
	}
}
