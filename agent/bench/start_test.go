package bench_test

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/plimsoll/plimsoll/agent/internal/shed"
)

// BenchmarkStart starts the agent beside a thousand containers, their cgroups real and empty, and tells how long it takes until all are read, how
// much CPU time that costs, the most of a CPU it held for a tenth of a second and for a second, and how late the machine woke another process meanwhile.
func BenchmarkStart(b *testing.B) {
	s := readSettings(b)
	ids := containerIDs(s.containers)
	tree := newBareTree(b)
	for _, id := range ids {
		tree.make(b, id)
	}
	engine := startStub(b, ids)
	late := func(lasts time.Duration, until func() bool) (worst time.Duration) {
		for began := time.Now(); time.Since(began) < lasts && !until(); {
			before := time.Now()
			time.Sleep(5 * time.Millisecond)
			worst = max(worst, time.Since(before)-5*time.Millisecond)
		}
		return worst
	}
	lateBefore := late(5*time.Second, func() bool { return false })

	told := &seen{ids: map[string]time.Time{}}
	receiver := httptest.NewServer(told)
	b.Cleanup(receiver.Close)
	began := time.Now()
	p := start(b, exec.Command(s.agent, "run", "--remote-write.url="+receiver.URL+"/api/v1/write", "--remote-write.compression=snappy", "--listen=", "--data-dir="+b.TempDir(), "--idc=bench", "--cluster=bench",
		"--root.cgroup="+tree.root, "--docker.host="+engine.address, "--docker.stats=never", "--kubernetes=off"))
	type point struct{ at, cpu time.Duration }
	var points []point
	done := make(chan struct{})
	var lateMeanwhile time.Duration
	go func() {
		defer close(done)
		lateMeanwhile = late(2*time.Minute, func() bool { return told.count() >= len(ids) })
	}()
	for waiting := true; waiting; time.Sleep(10 * time.Millisecond) {
		points = append(points, point{time.Since(began), p.cpu(b)})
		select {
		case <-done:
			waiting = false
		default:
		}
	}
	took := time.Since(began)
	if n := told.count(); n < len(ids) {
		b.Fatalf("after %s it reads %d of %d containers", took, n, len(ids))
	}
	most := func(window time.Duration) (share float64) {
		for i, from := range points {
			j := slices.IndexFunc(points[i:], func(to point) bool { return to.at-from.at >= window })
			if j > 0 {
				to := points[i+j]
				share = max(share, float64(to.cpu-from.cpu)/float64(to.at-from.at))
			}
		}
		return share
	}
	cpu := p.cpu(b)
	b.ReportMetric(took.Seconds(), "s-to-all")
	b.ReportMetric(cpu.Seconds(), "CPU-s")
	b.ReportMetric(100*most(time.Second), "%CPU-worst-1s")
	b.ReportMetric(0, "ns/op")
	b.Logf("%d containers, all read %.2f s after the start with %.2f s of CPU, %.0f MB; the most in 0.1 s was %.0f %% of a CPU, in 1 s %.0f %%; a process that sleeps 5 ms woke at most %.1f ms late, before the start %.1f ms",
		len(ids), took.Seconds(), cpu.Seconds(), float64(p.rss)/1e6, 100*most(100*time.Millisecond), 100*most(time.Second), ms(lateMeanwhile), ms(lateBefore))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// seen is a receiver that knows the containers it is told of, and what the agent leaves out.
type seen struct {
	mu   sync.Mutex
	ids  map[string]time.Time // of the newest sample of each
	left map[string]bool      // plimsoll_agent_shedding; nil: nobody asks
}

// leftOut lists what the agent leaves out, in the order of shedding.
func (s *seen) leftOut() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []string
	for w := range shed.Works {
		if s.left[w.String()] {
			left = append(left, w.String())
		}
	}
	return strings.Join(left, " ")
}

// newest tells of when the newest sample of each container is.
func (s *seen) newest() (map[string]time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.ids), nil
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ids)
}

func (s *seen) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		body, err = unpack(body, r.Header.Get("Content-Encoding"))
	}
	u := &prompb.WriteRequestUnmarshaler{}
	message, err2 := u.UnmarshalProtobuf(body)
	if err = errors.Join(err, err2); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, series := range message.Timeseries {
		shedding, what := false, ""
		for _, l := range series.Labels {
			shedding = shedding || l.Name == "__name__" && l.Value == "plimsoll_agent_shedding"
			if l.Name == "what" {
				what = strings.Clone(l.Value)
			}
			if id, ok := strings.CutPrefix(l.Value, "/docker/"); ok && l.Name == "id" {
				s.ids[strings.Clone(id)] = time.UnixMilli(series.Samples[0].Timestamp)
			}
		}
		if shedding && s.left != nil {
			s.left[what] = series.Samples[0].Value == 1
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func unpack(body []byte, encoding string) ([]byte, error) {
	if encoding != "zstd" {
		return snappy.Decode(nil, body)
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return z.DecodeAll(body, nil)
}
