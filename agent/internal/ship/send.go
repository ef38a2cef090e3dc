package ship

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxAnswerBytes bounds what is read of an answer; of its text maxReasonBytes
// are kept.
const (
	maxAnswerBytes = 4 << 10
	maxReasonBytes = 300
)

// answer is what came of one request.
type answer struct {
	verdict    verdict
	status     int    // 0 when there was no answer
	reason     string // what went wrong, "" when accepted
	retryAfter time.Duration
	anyOrder   bool
}

// post sends one part of a batch once. The last part says where the batch has
// its place among the others: then the receiver has all of it.
func (s *Shipper) post(ctx context.Context, d *delivery, wire []byte, using Compression) answer {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	// The transport may read the body for a moment after it has answered; the
	// buffer is not ours before that.
	defer d.body.wait()
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url.String(), d.body.reader(wire))
	if err != nil {
		d.body.forget()
		return answer{verdict: retry, reason: err.Error()}
	}
	req.ContentLength = int64(len(wire))
	req.GetBody = func() (io.ReadCloser, error) { return d.body.reader(wire), nil }
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Content-Encoding", string(using))
	req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	req.Header.Set("User-Agent", "plimsoll-agent/"+s.cfg.Version)
	if len(d.parts) == 1 {
		req.Header.Set(AgentHeader, d.rec.Spool)
		req.Header.Set(RunHeader, s.run)
		req.Header.Set(SequenceHeader, strconv.FormatUint(d.rec.Seq, 10))
		req.Header.Set(FirstSequenceHeader, strconv.FormatUint(d.rec.First, 10))
	}
	req.Header.Set(SentHeader, strconv.FormatInt(time.Now().UnixMilli(), 10))

	resp, err, faults := s.auth.do(req)
	s.noteFaults(faults)
	if err != nil {
		a := answer{verdict: retry, reason: plain(err, s.cfg.Timeout)}
		code := "error"
		if errors.Is(err, context.DeadlineExceeded) {
			code = "timeout"
		}
		s.metrics.requests.WithLabelValues(code).Inc()
		return a
	}
	defer resp.Body.Close()
	s.metrics.requests.WithLabelValues(strconv.Itoa(resp.StatusCode)).Inc()
	a := answer{verdict: judge(resp.StatusCode), status: resp.StatusCode, anyOrder: resp.Header.Get(AnyOrderHeader) == "1"}
	// The status line is the acknowledgement: a body that breaks off takes
	// nothing back. It is read so that the connection can be used again.
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if a.verdict == accepted {
		return a
	}
	a.retryAfter = parseRetryAfter(resp.Header.Get("Retry-After"), receiversNow(resp.Header, time.Now()))
	a.reason = resp.Status
	if location := resp.Header.Get("Location"); location != "" && resp.StatusCode < 400 {
		a.reason += " to " + clean(location)
	}
	if said := clean(string(text)); said != "" {
		a.reason += ": " + said
	}
	return a
}

// plain is the text of a request error without what the log line says anyway.
func plain(err error, timeout time.Duration) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %s", timeout)
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil || !strings.HasPrefix(err.Error(), `Post "`) {
			return clean(err.Error())
		}
		err = inner
	}
}

// clean makes a receiver's text fit for one log line.
func clean(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\uFFFD' }), " ")
	if len(text) > maxReasonBytes {
		text = strings.ToValidUTF8(text[:maxReasonBytes], "") + "…"
	}
	return text
}

// body hands a buffer to HTTP requests and knows when they have let go of it.
type body struct{ open sync.WaitGroup }

func (b *body) reader(wire []byte) io.ReadCloser {
	b.open.Add(1)
	return &bodyReader{Reader: *bytes.NewReader(wire), of: b}
}

func (b *body) wait() { b.open.Wait() }

// forget takes back a reader that no request has got.
func (b *body) forget() { b.open.Done() }

type bodyReader struct {
	bytes.Reader
	of   *body
	once sync.Once
}

func (r *bodyReader) Close() error {
	r.once.Do(r.of.open.Done)
	return nil
}
