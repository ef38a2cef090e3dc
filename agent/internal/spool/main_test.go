package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// TestMain lets the test binary be the child process of the kill -9 tests.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SPOOL_TEST_CHILD_DIR"); dir != "" {
		runChild(dir)
		return
	}
	os.Exit(m.Run())
}

// need skips a test whose condition this machine does not meet; in CI that is a
// failure.
func need(t *testing.T, met bool, what string) {
	t.Helper()
	if met {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI must provide: %s", what)
	}
	t.Skipf("needs %s", what)
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// goClock is the time that synctest makes up.
func goClock() Moment {
	now := time.Now().UnixMilli()
	return Moment{now, now - 1_000_000}
}

// openSpool opens a spool that is closed at the end of the test.
func openSpool(t *testing.T, cfg Config) *Spool {
	t.Helper()
	s, err := Open(cfg, quiet(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func openReader(t *testing.T, s *Spool, name string) *Reader {
	t.Helper()
	r, err := s.Reader(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// numbered is a payload that says which one it is and can be checked whole.
func numbered(n uint64, bytes int) []byte {
	p := make([]byte, max(bytes, 8))
	binary.LittleEndian.PutUint64(p, n)
	for i := 8; i < len(p); i++ {
		p[i] = byte(n*31 + uint64(i))
	}
	return p
}

// number is the inverse of numbered.
func number(t *testing.T, payload []byte) uint64 {
	t.Helper()
	n := binary.LittleEndian.Uint64(payload)
	want := numbered(n, len(payload))
	if string(want) != string(payload) {
		t.Fatalf("payload %d arrived changed", n)
	}
	return n
}

func mustAppend(t *testing.T, s *Spool, n uint64, bytes, samples int) uint64 {
	t.Helper()
	seq, err := s.Append(numbered(n, bytes), samples)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// ended is a context that asks Next without waiting.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// drain takes and acknowledges everything that waits and returns the numbers of
// the payloads.
func drain(t *testing.T, r *Reader) []uint64 {
	t.Helper()
	var got []uint64
	var buf []byte
	for {
		rec, err := r.Next(ended(), buf)
		if errors.Is(err, context.Canceled) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		buf = rec.Payload
		got = append(got, number(t, rec.Payload))
		r.Ack(rec.Seq)
	}
}

// take returns one record without acknowledging it.
func take(t *testing.T, r *Reader) Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	rec, err := r.Next(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func fromTo(lo, hi uint64) []uint64 {
	var list []uint64
	for n := lo; n <= hi; n++ {
		list = append(list, n)
	}
	return list
}

// droppedSamples is the receiver's counter for a reason.
func droppedSamples(s *Spool, receiver, reason string) float64 {
	return counterValue(s.metrics.dropped.WithLabelValues(receiver, reason))
}

func faults(s *Spool, reason string) float64 {
	return counterValue(s.metrics.errors.WithLabelValues(reason))
}

func segmentPaths(s *Spool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var paths []string
	for _, g := range s.segments {
		paths = append(paths, g.path)
	}
	return paths
}

func counterValue(c prometheus.Counter) float64 {
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		panic(err)
	}
	return m.GetCounter().GetValue()
}
