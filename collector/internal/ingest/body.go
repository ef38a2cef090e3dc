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

// incoming is a body being read.
type incoming struct {
	from    io.Reader
	into    *buffers
	connect *http.ResponseController
	limit   int64
}

func (h *Handler) incoming(w http.ResponseWriter, r *http.Request, buf *buffers) (incoming, *refusal) {
	in := incoming{from: http.MaxBytesReader(w, r.Body, h.limits.BodyBytes), into: buf, connect: http.NewResponseController(w), limit: h.limits.BodyBytes}
	if r.ContentLength > h.limits.BodyBytes {
		return in, in.tooLarge()
	}
	return in, nil
}

func (in incoming) tooLarge() *refusal {
	return refuse(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes (--limit.write-body)", in.limit)
}

// start reads the first part; more tells that there is another.
func (in incoming) start() (more bool, answer *refusal) {
	return in.read(startBytes, startTimeout)
}

// rest reads the others.
func (in incoming) rest() *refusal {
	for {
		if more, answer := in.read(paceBytes, paceTimeout); answer != nil || !more {
			return answer
		}
	}
}

// read reads up to n bytes.
func (in incoming) read(n int64, within time.Duration) (more bool, answer *refusal) {
	// Without effect where the writer has no connection, as in tests.
	_ = in.connect.SetReadDeadline(time.Now().Add(within))
	got, err := in.into.body.ReadFrom(io.LimitReader(in.from, n))
	var exceeded *http.MaxBytesError
	switch {
	case errors.As(err, &exceeded):
		return false, in.tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, later(http.StatusServiceUnavailable, time.Second, fmt.Sprintf("the next %d bytes of the body did not come within %s", n, within))
	case err != nil:
		return false, refuse(http.StatusBadRequest, "read the body: %v", err)
	}
	return got == n, nil
}
