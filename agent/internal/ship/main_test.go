package ship

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/plimsoll/plimsoll/agent/internal/spool"
)

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

// logged is a logger whose output a test reads.
func logged() (*slog.Logger, func() string) {
	var mu sync.Mutex
	var buf bytes.Buffer
	log := slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return buf.Write(p)
	}), nil))
	return log, func() string {
		mu.Lock()
		defer mu.Unlock()
		return buf.String()
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// writeRequest is a batch of one series with the given samples, values counted
// from number×1000.
func writeRequest(number, samples int, at time.Time) []byte {
	var req prompb.WriteRequest
	series := prompb.TimeSeries{Labels: []prompb.Label{
		{Name: "__name__", Value: "test_metric"},
		{Name: "node", Value: "n1"},
	}}
	for i := range samples {
		series.Samples = append(series.Samples, prompb.Sample{
			Value:     float64(number*1000 + i),
			Timestamp: at.UnixMilli() + int64(number*1000+i),
		})
	}
	req.Timeseries = append(req.Timeseries, series)
	return req.MarshalProtobuf(nil)
}

// numberIn is the number of the batch that a request carries.
func numberIn(r *http.Request) (int, error) {
	wire, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, err
	}
	var raw []byte
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "snappy":
		raw, err = snappy.Decode(nil, wire)
	case "zstd":
		var decoder *zstd.Decoder
		if decoder, err = zstd.NewReader(nil); err == nil {
			raw, err = decoder.DecodeAll(wire, nil)
			decoder.Close()
		}
	default:
		err = fmt.Errorf("encoding %q", encoding)
	}
	if err != nil {
		return 0, err
	}
	unmarshaler := prompb.GetWriteRequestUnmarshaler()
	defer prompb.PutWriteRequestUnmarshaler(unmarshaler)
	req, err := unmarshaler.UnmarshalProtobuf(raw)
	if err != nil {
		return 0, err
	}
	if len(req.Timeseries) != 1 || req.Timeseries[0].Labels[0].Value != "test_metric" {
		return 0, errors.New("not a batch of ours")
	}
	return int(req.Timeseries[0].Samples[0].Value) / 1000, nil
}

// script is a receiver that answers its n-th request, from 1, with the n-th
// step and takes everything once the steps are used up. It notes what it took.
type script struct {
	t     *testing.T
	steps []http.HandlerFunc

	mu       sync.Mutex
	requests int
	taken    []int // batch numbers, in the order of their 204
	times    []time.Time
	headers  []http.Header
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests++
	n := s.requests
	s.times = append(s.times, time.Now())
	s.headers = append(s.headers, r.Header.Clone())
	s.mu.Unlock()
	if n <= len(s.steps) {
		s.steps[n-1](w, r)
		return
	}
	s.take(w, r)
}

// take is the step of a working receiver.
func (s *script) take(w http.ResponseWriter, r *http.Request) {
	n, err := numberIn(r)
	if err != nil {
		s.t.Errorf("request is unreadable: %v", err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.taken = append(s.taken, n)
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

func (s *script) tookAll() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int(nil), s.taken...)
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// says is a step that answers with a status, a text and headers.
func says(status int, text string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, text)
	}
}

// times is n times the same step.
func times(n int, step http.HandlerFunc) []http.HandlerFunc {
	steps := make([]http.HandlerFunc, n)
	for i := range steps {
		steps[i] = step
	}
	return steps
}

// rig is a spool and a shipper for tests.
type rig struct {
	t       *testing.T
	spool   *spool.Spool
	shipper *Shipper
	reg     *prometheus.Registry
	stop    func() // ends Run and waits for it
}

// goClock is the spool's time, which synctest may make up.
func goClock() spool.Moment {
	now := time.Now().UnixMilli()
	return spool.Moment{WallMillis: now, UpMillis: now}
}

// newRig makes a spool with the given number of batches of 10 samples. Half of
// them are stored compressed, as the agent does it, half plain, as one that an
// earlier version left.
func newRig(t *testing.T, cfg Receiver, log *slog.Logger, batches int) *rig {
	t.Helper()
	reg := prometheus.NewRegistry()
	dir := filepath.Join(t.TempDir(), "spool")
	plain, err := spool.Open(spool.Config{Dir: dir, Now: goClock}, quiet(), nil)
	if err != nil {
		t.Fatal(err)
	}
	first := &rig{t: t, spool: plain}
	for n := 1; n <= batches/2; n++ {
		first.append(n)
	}
	plain.Close()
	s, err := spool.Open(spool.Config{Dir: dir, Compress: true, Now: goClock}, quiet(), reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	r, err := s.Reader("r")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Name = "r"
	shipper, err := New(cfg, r, log, reg)
	if err != nil {
		t.Fatal(err)
	}
	rig := &rig{t: t, spool: s, shipper: shipper, reg: reg}
	for n := batches/2 + 1; n <= batches; n++ {
		rig.append(n)
	}
	return rig
}

func (r *rig) append(n int) {
	r.t.Helper()
	if _, err := r.spool.Append(writeRequest(n, 10, time.Now()), 10); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := r.shipper.Run(ctx); err != nil {
			r.t.Errorf("Run: %v", err)
		}
	}()
	r.stop = func() { cancel(); <-ended }
	r.t.Cleanup(r.stop)
}

// eventually waits for a condition in real time.
func (r *rig) eventually(what string, condition func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			r.t.Fatalf("never came true: %s; state %+v", what, r.shipper.State())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (r *rig) empty() bool { return r.shipper.State().BacklogSamples == 0 }

func (r *rig) metric(name string, labels ...string) float64 {
	r.t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	metrics:
		for _, m := range f.GetMetric() {
			for i := 0; i < len(labels); i += 2 {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
				}
				if !found {
					continue metrics
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

func (r *rig) shipped() float64 { return counterValue(r.shipper.metrics.shipped) }

// serve starts a server for the script and returns a receiver with short
// pauses.
func serve(t *testing.T, s *script) Receiver {
	t.Helper()
	s.t = t
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return Receiver{URL: server.URL + "/api/v1/write", MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond, Version: "1.2.3"}
}

// inProcess is a transport that calls the script directly: with it a test runs
// in synctest's time.
func inProcess(t *testing.T, s *script) Receiver {
	s.t = t
	return Receiver{URL: "http://receiver.test/api/v1/write", transport: transportFunc(func(req *http.Request) (*http.Response, error) {
		if err := req.Context().Err(); err != nil {
			req.Body.Close()
			return nil, err
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		req.Body.Close()
		return w.Result(), nil
	})}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func counterValue(c prometheus.Counter) float64 {
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		panic(err)
	}
	return m.GetCounter().GetValue()
}
