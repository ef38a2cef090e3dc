// Package bench measures what the collector costs beside the program its engine comes from.
package bench_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"

	"github.com/plimsoll/plimsoll/agent/wire"
)

// The stream: nodes of 100 containers with 60 series of 12 labels each, one batch a node and round.
const (
	nodes         = 5
	containers    = 100
	perContainer  = 60
	rounds        = 40
	clockTicks    = 100 // USER_HZ, in which /proc counts CPU time
	roundSeconds  = 15
	samplesInAll  = nodes * containers * perContainer * rounds
	settleSeconds = 8 // until what is in memory has been written
)

// receiver is a program that takes remote write.
type receiver struct {
	name    string
	url     string
	process *os.Process
}

func start(b *testing.B, name, health string, command func(address, dir string) *exec.Cmd) *receiver {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cmd := command(address, b.TempDir())
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	b.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	r := &receiver{name: name, url: "http://" + address + "/api/v1/write", process: cmd.Process}
	for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(50 * time.Millisecond) {
		if resp, err := http.Get("http://" + address + health); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return r
			}
		}
	}
	b.Fatalf("%s does not start", name)
	return nil
}

// cpuSeconds is the CPU time of the program so far, proc(5) stat fields utime and stime.
func (r *receiver) cpuSeconds(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	total := 0.0
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseFloat(field, 64)
		if err != nil {
			b.Fatal(err)
		}
		total += ticks / clockTicks
	}
	return total
}

func (r *receiver) send(b *testing.B, body []byte) {
	b.Helper()
	req, err := http.NewRequest(http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		b.Fatalf("%s: %s: %s", r.name, resp.Status, text)
	}
}

// batches are the labels of each node's series, encoded.
func batches() [][][]byte {
	all := make([][][]byte, nodes)
	for n := range all {
		for c := range containers {
			for m := range perContainer {
				all[n] = append(all[n], wire.AppendLabels(nil, []wire.Label{{Name: "__name__", Value: fmt.Sprintf("container_metric_%d_total", m)}, {Name: "cluster", Value: "east-1"},
					{Name: "container", Value: fmt.Sprint("c", c)}, {Name: "id", Value: fmt.Sprintf("/docker/%064d", n*containers+c)}, {Name: "idc", Value: "east"}, {Name: "image", Value: "registry.example/shop/web:1.2.3"},
					{Name: "name", Value: fmt.Sprint("c", c)}, {Name: "namespace", Value: "shop"}, {Name: "node", Value: fmt.Sprint("node-", n)}, {Name: "pod", Value: "web.1"}, {Name: "project", Value: "shop"}, {Name: "workload", Value: "web"}}))
			}
		}
	}
	return all
}

// BenchmarkIngestBesideVictoriaMetrics feeds one stream to both, batch by batch in turn, and compares their CPU time.
func BenchmarkIngestBesideVictoriaMetrics(b *testing.B) {
	peer, err := exec.LookPath("victoria-metrics")
	if err != nil {
		b.Skip("needs victoria-metrics (apt install victoria-metrics)")
	}
	own := filepath.Join("..", "..", "bin", "plimsoll-collector")
	if binary := os.Getenv("PLIMSOLL_BENCH_COLLECTOR"); binary != "" {
		own = binary
	}
	labels := batches()
	for b.Loop() {
		both := []*receiver{
			start(b, "plimsoll-collector", "/-/ready", func(address, dir string) *exec.Cmd {
				return exec.Command(own, "run", "--listen="+address, "--data-dir="+dir, "--rules.builtin=false")
			}),
			start(b, "victoria-metrics", "/health", func(address, dir string) *exec.Cmd {
				return exec.Command(peer, "-httpListenAddr="+address, "-storageDataPath="+dir, "-retentionPeriod=3")
			}),
		}
		before := []float64{both[0].cpuSeconds(b), both[1].cpuSeconds(b)}
		zero := time.Now().Add(-rounds * roundSeconds * time.Second)
		var raw, wireBytes []byte
		for round := range rounds {
			at := zero.Add(time.Duration(round) * roundSeconds * time.Second).UnixMilli()
			for n := range labels {
				raw = raw[:0]
				for i, l := range labels[n] {
					raw = wire.AppendSeries(raw, l, float64(round*(i%97)+i), at)
				}
				wireBytes = snappy.Encode(wireBytes[:cap(wireBytes)], raw)
				for turn := range both {
					both[(turn+round)%2].send(b, wireBytes)
				}
			}
		}
		time.Sleep(settleSeconds * time.Second)
		var perSample [2]float64
		for i, r := range both {
			perSample[i] = (r.cpuSeconds(b) - before[i]) / samplesInAll * 1e6
			b.Logf("%-20s %.3f µs CPU a sample", r.name, perSample[i])
		}
		b.ReportMetric(perSample[0], "collector-µs/sample")
		b.ReportMetric(perSample[1], "peer-µs/sample")
		b.ReportMetric(perSample[0]/perSample[1], "ratio")
	}
}
