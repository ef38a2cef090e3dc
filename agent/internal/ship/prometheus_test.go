package ship

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// prometheusServer is a real Prometheus that takes remote write.
type prometheusServer struct {
	t       *testing.T
	address string
	dir     string
	process *exec.Cmd
}

func newPrometheus(t *testing.T) *prometheusServer {
	t.Helper()
	binary, err := exec.LookPath("prometheus")
	need(t, err == nil, "prometheus (apt-get install prometheus)")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &prometheusServer{t: t, address: listener.Addr().String(), dir: t.TempDir()}
	listener.Close()
	config := filepath.Join(p.dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte("global: {scrape_interval: 1h}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.process = exec.Command(binary, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(p.dir, "data"),
		"--web.listen-address="+p.address, "--web.enable-remote-write-receiver", "--log.level=error")
	return p
}

func (p *prometheusServer) start() {
	p.t.Helper()
	again := exec.Command(p.process.Path, p.process.Args[1:]...)
	again.Stderr = os.Stderr
	if err := again.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.process = again
	p.t.Cleanup(func() { again.Process.Kill(); again.Wait() })
}

func (p *prometheusServer) kill() {
	p.process.Process.Kill()
	p.process.Wait()
}

// values are the samples of test_metric, by timestamp.
func (p *prometheusServer) values(at time.Time) (map[int64]string, error) {
	query := url.Values{"query": {`test_metric{node="n1"}[1h]`}, "time": {fmt.Sprint(at.Unix())}}
	resp, err := http.Get("http://" + p.address + "/api/v1/query?" + query.Encode())
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Result []struct {
				Values [][2]any
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	values := map[int64]string{}
	for _, series := range answer.Data.Result {
		for _, v := range series.Values {
			values[int64(v[0].(float64)*1000+0.5)] = v[1].(string)
		}
	}
	return values, nil
}

// A real Prometheus of before zstd, killed with -9 in between: the agent finds
// out about snappy, and every sample is there once with its value.
func TestARealPrometheusGetsEverySample(t *testing.T) {
	p := newPrometheus(t)
	r := newRig(t, Receiver{
		URL: "http://" + p.address + "/api/v1/write", MinBackoff: 5 * time.Millisecond, MaxBackoff: 50 * time.Millisecond,
	}, quiet(), 0)
	base := time.Now().Add(-10 * time.Minute)
	next := 0
	batches := func(n int) {
		for range n {
			next++
			if _, err := r.spool.Append(writeRequest(next, 10, base), 10); err != nil {
				t.Fatal(err)
			}
		}
	}
	batches(20)
	r.run() // before the receiver is up
	r.eventually("retrying", func() bool { return r.shipper.State().Phase == Retrying })
	p.start()
	r.eventually("first part delivered", r.empty)
	if got := r.shipper.State().Compression; got != Snappy {
		t.Errorf("compression %s", got)
	}
	p.kill()
	batches(20)
	p.start()
	batches(20)
	r.eventually("the rest delivered", r.empty)

	values, err := p.values(base.Add(10 * time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	missing := 0
	for n := 1; n <= next; n++ {
		for i := range 10 {
			if values[base.UnixMilli()+int64(n*1000+i)] != fmt.Sprint(n*1000+i) {
				missing++
			}
		}
	}
	if missing != 0 || len(values) != 10*next {
		t.Fatalf("%d of %d samples missing, %d there", missing, 10*next, len(values))
	}
	if got := r.shipped(); got != float64(10*next) {
		t.Fatalf("%v samples counted as shipped, %d were", got, 10*next)
	}
	if got := r.metric("plimsoll_agent_samples_dropped_total"); got != 0 {
		t.Fatalf("%v samples counted as dropped", got)
	}
}

// Why order is kept by default: Prometheus refuses what is older than the
// newest sample of a series.
func TestARealPrometheusDoesNotTakeFreshFirst(t *testing.T) {
	p := newPrometheus(t)
	p.start()
	r := newRig(t, Receiver{
		URL: "http://" + p.address + "/api/v1/write", Order: FreshFirst, Concurrency: 1, MinBackoff: 5 * time.Millisecond, MaxBackoff: 50 * time.Millisecond,
	}, quiet(), 0)
	base := time.Now().Add(-10 * time.Minute)
	for n := 1; n <= 20; n++ {
		if _, err := r.spool.Append(writeRequest(n, 10, base), 10); err != nil {
			t.Fatal(err)
		}
	}
	r.run()
	r.eventually("backlog gone", r.empty)
	shipped, rejected := r.shipped(), r.metric("plimsoll_agent_samples_dropped_total", "reason", "rejected")
	if shipped != 10 || rejected != 190 {
		t.Fatalf("shipped %v, rejected %v; if Prometheus takes any order now, auto may do so too", shipped, rejected)
	}
}
