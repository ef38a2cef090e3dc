package ingest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// A body comes in two parts. Its start is waited for without a seat, as it costs little memory and most senders are done with
// it; who sends more has a seat and must keep up a pace.
const (
	startBytes   = 64 << 10
	startTimeout = 20 * time.Second
	paceBytes    = 256 << 10
	paceTimeout  = 5 * time.Second // for each of these: some 50 KiB/s
)

// bodiesFactor is how much memory all bodies may take beyond their starts, in multiples of Limits.BodyBytes: one caller has room for one of the
// largest.
const bodiesFactor = 4

// incoming is a body being read.
type incoming struct {
	from    io.Reader
	into    *[]byte
	connect *http.ResponseController
	limit   int64
	length  int64 // that the header states, negative when it does not
}

func (h *Handler) incoming(w http.ResponseWriter, r *http.Request, into *[]byte) (incoming, *refusal) {
	in := incoming{from: http.MaxBytesReader(w, r.Body, h.limits.BodyBytes), into: into, connect: http.NewResponseController(w), limit: h.limits.BodyBytes, length: r.ContentLength}
	if in.length > h.limits.BodyBytes {
		return in, in.tooLarge()
	}
	return in, nil
}

func (in incoming) tooLarge() *refusal {
	return refuse(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes (--limit.write-body)", in.limit).offends()
}

// start reads the first part; more tells that there is another.
func (in incoming) start() (more bool, answer *refusal) {
	in.grow(startBytes)
	return in.read(startBytes, startTimeout)
}

// rest reads the others into memory that hold grants.
func (in incoming) rest(hold func(bytes int64) bool) *refusal {
	for {
		before := cap(*in.into)
		in.grow(paceBytes)
		if !hold(int64(cap(*in.into) - before)) {
			return later(http.StatusTooManyRequests, time.Second, fmt.Sprintf("the bodies of other writes, or of this sender's, take all memory there is for them, %d times --limit.write-body; a sender has three eighths of it", bodiesFactor))
		}
		if more, answer := in.read(paceBytes, paceTimeout); answer != nil || !more {
			return answer
		}
	}
}

// grow makes room for n bytes more, and for as much again as came already, but not for more than will come.
func (in incoming) grow(n int) {
	have := *in.into
	most := in.length
	if most < 0 {
		most = in.limit + paceBytes
	}
	need := min(len(have)+n, max(len(have), int(most)))
	if need <= cap(have) {
		return
	}
	*in.into = append(make([]byte, 0, min(max(need, 2*cap(have)), int(most))), have...)
}

// read reads up to n bytes, for which there is room unless they end before.
func (in incoming) read(n int, within time.Duration) (more bool, answer *refusal) {
	// Without effect where the writer has no connection, as in tests.
	_ = in.connect.SetReadDeadline(time.Now().Add(within))
	have := *in.into
	end := min(len(have)+n, cap(have))
	for len(have) < end {
		got, err := in.from.Read(have[len(have):end])
		have = have[:len(have)+got]
		*in.into = have
		var exceeded *http.MaxBytesError
		switch {
		case errors.Is(err, io.EOF):
			return false, nil
		case errors.As(err, &exceeded):
			return false, in.tooLarge()
		case errors.Is(err, os.ErrDeadlineExceeded):
			return false, later(http.StatusServiceUnavailable, time.Second, fmt.Sprintf("the next %d bytes of the body did not come within %s", n, within))
		case err != nil:
			return false, refuse(http.StatusBadRequest, "read the body: %v", err)
		}
	}
	return int64(len(have)) != in.length, nil
}
