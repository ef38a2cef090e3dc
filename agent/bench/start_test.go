package bench_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/klauspost/compress/snappy"
)

// deep is where the cgroups of BenchmarkStart are: deeper than agents look for containers, so that no other one on this machine meets them.
const deep = "plimsoll-start/1/2/3/4/5/6/7/8/9"

// bareCgroups makes cgroups of so many containers in every hierarchy, and a folder that shows them as a tree of their own.
func bareCgroups(b *testing.B, n int) (root string, ids []string) {
	b.Helper()
	for i := range n {
		ids = append(ids, fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, i))))
	}
	const tree = "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(tree, "cgroup.controllers")); err == nil {
		b.Skip("the tree is cgroup v2: a cgroup nine levels down has no controllers")
	}
	root = b.TempDir()
	for _, hierarchy := range []string{"cpu", "cpuacct", "memory", "pids", "blkio", "unified"} {
		mount, err := filepath.EvalSymlinks(filepath.Join(tree, hierarchy))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			b.Fatal(err)
		}
		top := filepath.Join(mount, deep)
		b.Cleanup(func() { removeCgroups(filepath.Join(mount, strings.SplitN(deep, "/", 2)[0])) })
		for _, id := range ids {
			if err := os.MkdirAll(filepath.Join(top, "docker", id), 0o755); err != nil {
				b.Skipf("make cgroups, as root: %v", err)
			}
		}
		if err := os.Symlink(top, filepath.Join(root, hierarchy)); err != nil {
			b.Fatal(err)
		}
	}
	return root, ids
}

// removeCgroups removes a cgroup and all below it. The kernel's files in them are no obstacle, and no rmdir for them.
func removeCgroups(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			removeCgroups(filepath.Join(dir, e.Name()))
		}
	}
	os.Remove(dir)
}

// stubEngine answers like a Docker engine in which these containers run, and returns its socket.
func stubEngine(b *testing.B, ids []string) string {
	b.Helper()
	began := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339Nano)
	running := func(w http.ResponseWriter, id string) {
		json.NewEncoder(w).Encode(map[string]any{
			"Id": id, "Name": "/c-" + id[:8], "Created": began, "Image": "sha256:" + id, "State": map[string]any{"Status": "running", "Running": true, "StartedAt": began},
			"Config":     map[string]any{"Image": "app:1", "Labels": map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": "c-" + id[:8]}},
			"HostConfig": map[string]any{"NetworkMode": "none"},
		})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if strings.HasPrefix(path, "/v1.") {
			_, path, _ = strings.Cut(path[1:], "/")
			path = "/" + path
		}
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Content-Type", "application/json")
		switch {
		case path == "/_ping":
			fmt.Fprint(w, "OK")
		case path == "/version":
			fmt.Fprint(w, `{"Version":"20.10","ApiVersion":"1.41","MinAPIVersion":"1.12"}`)
		case path == "/info":
			fmt.Fprint(w, `{"ID":"stub","ServerVersion":"20.10","CgroupDriver":"cgroupfs"}`)
		case path == "/events":
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case path == "/containers/json":
			var all []map[string]any
			for _, id := range ids {
				all = append(all, map[string]any{"Id": id, "Names": []string{"/c-" + id[:8]}, "State": "running"})
			}
			json.NewEncoder(w).Encode(all)
		case strings.HasPrefix(path, "/containers/") && strings.HasSuffix(path, "/json"):
			running(w, strings.Split(path, "/")[2])
		default:
			http.NotFound(w, r)
		}
	})
	socket := filepath.Join(b.TempDir(), "docker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	go server.Serve(l)
	b.Cleanup(func() { server.Close() })
	return "unix://" + socket
}

// BenchmarkStart starts the agent beside a thousand containers, their cgroups real and empty, and tells how long it takes until all are read, how
// much CPU time that costs, the most of a CPU it held for a tenth of a second and for a second, and how late the machine woke another process meanwhile.
func BenchmarkStart(b *testing.B) {
	s := readSettings(b)
	root, ids := bareCgroups(b, s.containers)
	engine := stubEngine(b, ids)
	late := func(lasts time.Duration, until func() bool) (worst time.Duration) {
		for began := time.Now(); time.Since(began) < lasts && !until(); {
			before := time.Now()
			time.Sleep(5 * time.Millisecond)
			worst = max(worst, time.Since(before)-5*time.Millisecond)
		}
		return worst
	}
	lateBefore := late(5*time.Second, func() bool { return false })

	told := &seen{ids: map[string]bool{}}
	receiver := httptest.NewServer(told)
	b.Cleanup(receiver.Close)
	began := time.Now()
	p := start(b, exec.Command(s.agent, "run", "--remote-write.url="+receiver.URL+"/api/v1/write", "--remote-write.compression=snappy", "--listen=", "--data-dir="+b.TempDir(), "--idc=bench", "--cluster=bench",
		"--root.cgroup="+root, "--docker.host="+engine, "--docker.stats=never", "--kubernetes=off"))
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

// seen is a receiver that counts the containers it is told of.
type seen struct {
	mu  sync.Mutex
	ids map[string]bool
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ids)
}

func (s *seen) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		body, err = snappy.Decode(nil, body)
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
		for _, l := range series.Labels {
			if l.Name == "id" && strings.HasPrefix(l.Value, "/docker/") {
				s.ids[strings.Clone(l.Value)] = true
			}
		}
	}
	w.WriteHeader(http.StatusNoContent)
}
