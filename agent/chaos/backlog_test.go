package chaos_test

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/ship"
	"github.com/plimsoll/plimsoll/agent/internal/spool"
	"github.com/plimsoll/plimsoll/agent/wire"
)

// fillSpool writes a backlog of so many bytes as the agent does: rounds of 100 containers with 45 series each.
func fillSpool(t *testing.T, dir string, bytes int64) (batches, samples int) {
	t.Helper()
	s, err := spool.Open(spool.Config{Dir: dir, Compress: true, MaxBytes: bytes + bytes/4}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var labels [][]byte
	for c := range 100 {
		for m := range 45 {
			labels = append(labels, wire.AppendLabels(nil, []wire.Label{{Name: "__name__", Value: fmt.Sprintf("container_metric_%d_total", m)}, {Name: "cluster", Value: "east-1"},
				{Name: "container", Value: fmt.Sprint("c", c)}, {Name: "id", Value: fmt.Sprintf("/docker/%064x", c*7919)}, {Name: "idc", Value: "east"}, {Name: "image", Value: "registry.example/shop/web:1.2.3"},
				{Name: "namespace", Value: "shop"}, {Name: "node", Value: "node-1"}, {Name: "pod", Value: fmt.Sprintf("web-5d9c-%05d", c)}, {Name: "project", Value: "shop"}, {Name: "workload", Value: "web"}}))
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	zero := time.Now().Add(-12 * time.Hour).UnixMilli()
	var batch []byte
	for ; s.Status().Bytes < bytes; batches++ {
		batch = batch[:0]
		for i, l := range labels {
			batch = wire.AppendSeries(batch, l, float64(batches*i)+rnd.Float64(), zero+int64(batches)*1000)
		}
		if _, err := s.Append(batch, len(labels)); err != nil {
			t.Fatal(err)
		}
		samples += len(labels)
	}
	return batches, samples
}

// statusKB is a figure of /proc/PID/status, kB.
func statusKB(t *testing.T, pid int, name string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			n, err := strconv.Atoi(strings.Fields(value)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("/proc/%d/status has no %s", pid, name)
	return 0
}

// The real agent with a gigabyte of backlog: how long it takes to start, and what it takes of memory while its receiver is away and
// while the backlog goes, to a receiver of zstd in any order and to one of snappy in order.
func TestMemoryWithAGigabyteOfBacklog(t *testing.T) {
	show(t, "backlog")
	const backlog, mostKB = 1 << 30, 60_000
	binary := filepath.Join(t.TempDir(), "plimsoll-agent")
	build := exec.Command("go", "build", "-o", binary, "./agent")
	build.Dir = "../.."
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build ./agent: %v\n%s", err, text)
	}
	for _, c := range []struct{ name, encoding, anyOrder string }{{"zstd, any order", "zstd", "1"}, {"snappy, in order", "snappy", ""}} {
		t.Run(c.name, func(t *testing.T) {
			data := t.TempDir()
			batches, samples := fillSpool(t, filepath.Join(data, "spool"), backlog)

			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			address := l.Addr().String()
			l.Close() // away for now
			free, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			web := free.Addr().String()
			free.Close()
			cmd := exec.Command(binary, "run", "--remote-write.url=http://"+address+"/api/v1/write", "--data-dir="+data, "--listen="+web, "--spool.max-bytes=1300MiB", "--remote-write.backlog-bytes-per-second=0")
			cmd.Stderr = os.Stderr
			began := time.Now()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				cmd.Process.Kill()
				cmd.Wait()
			}()
			for {
				if resp, err := http.Get("http://" + web + "/-/ready"); err == nil {
					resp.Body.Close()
					break
				}
				if time.Since(began) > time.Minute {
					t.Fatal("not ready after a minute")
				}
				time.Sleep(5 * time.Millisecond)
			}
			ready := time.Since(began)
			time.Sleep(20 * time.Second)
			pid := cmd.Process.Pid
			away := statusKB(t, pid, "VmHWM")

			var requests, bytes atomic.Int64
			sink := http.NewServeMux()
			sink.HandleFunc("/api/v1/write", func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Content-Encoding") != c.encoding {
					w.WriteHeader(http.StatusUnsupportedMediaType)
					return
				}
				n, _ := io.Copy(io.Discard, r.Body)
				bytes.Add(n)
				requests.Add(1)
				w.Header().Set(ship.AnyOrderHeader, c.anyOrder)
				w.WriteHeader(http.StatusNoContent)
			})
			if l, err = net.Listen("tcp", address); err != nil {
				t.Fatal(err)
			}
			server := &http.Server{Handler: sink}
			go server.Serve(l)
			defer server.Close()
			began = time.Now()
			for requests.Load() < int64(batches) && time.Since(began) < 4*time.Minute {
				time.Sleep(200 * time.Millisecond)
			}
			took, most := time.Since(began), statusKB(t, pid, "VmHWM")
			told.tell("1 GiB of backlog, "+c.name, "RSS at most %.1f MB in all (want %d at most), %.1f while the receiver was away; ready after %.2f s; %d samples in %d batches, %d MB on the wire, gone in %.0f s",
				float64(most)/1000, mostKB/1000, float64(away)/1000, ready.Seconds(), samples, requests.Load(), bytes.Load()/1e6, took.Seconds())
			if requests.Load() < int64(batches) {
				t.Errorf("%d of %d batches came", requests.Load(), batches)
			}
			if most > mostKB {
				t.Errorf("at most %d kB, want %d", most, mostKB)
			}
		})
	}
}
