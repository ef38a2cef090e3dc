package bench_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkChurn lets thousands of containers come and go, so many a second and two seconds' worth at a time, each with a name of its own, and tells
// what the agent holds every tenth of the way. Of the dead it keeps the counters of their slots, for 15 minutes.
func BenchmarkChurn(b *testing.B) {
	s := readSettings(b)
	tree, engine := newBareTree(b), startStub(b, nil)
	engine.nameless = true
	told := &seen{ids: map[string]time.Time{}}
	receiver := httptest.NewServer(told)
	b.Cleanup(receiver.Close)
	listen := fmt.Sprintf("127.0.0.1:%d", freePort(b))
	p := start(b, exec.Command(s.agent, "run", "--remote-write.url="+receiver.URL+"/api/v1/write", "--remote-write.compression=snappy", "--listen="+listen, "--data-dir="+b.TempDir(),
		"--idc=bench", "--cluster=bench", "--root.cgroup="+tree.root, "--docker.host="+engine.address, "--docker.stats=never", "--kubernetes=off"))
	time.Sleep(interval)
	atOnce := 2 * s.births
	ids := containerIDs(s.containers)
	tick := time.NewTicker(time.Second / time.Duration(s.births))
	defer tick.Stop()
	before := p.cpu(b)
	b.Logf("before: %.1f MB resident, %s", float64(p.rss)/1e6, held(b, listen, p.pid()))
	began := time.Now()
	for i := range len(ids) + atOnce {
		<-tick.C
		if i < len(ids) {
			tree.make(b, ids[i])
			engine.say("start", ids[i])
		}
		if i >= atOnce {
			gone := ids[i-atOnce]
			tree.remove(b, gone)
			engine.say("die", gone)
			engine.say("destroy", gone)
		}
		if (i+1)%(len(ids)/10) == 0 {
			what := held(b, listen, p.pid())
			p.cpu(b)
			b.Logf("%s, after %d containers: %.1f MB resident, %s", time.Since(began).Round(time.Second), i+1, float64(p.rss)/1e6, what)
		}
	}
	time.Sleep(2 * interval) // two rounds
	cpu := p.cpu(b)
	b.Logf("%d containers came and went, the receiver was told of %d; %.2f ms of CPU each; at the end %.1f MB resident, %s", len(ids), told.count(),
		float64((cpu-before).Microseconds())/1000/float64(len(ids)), float64(p.rss)/1e6, held(b, listen, p.pid()))
	b.ReportMetric(float64(p.rss)/1e6, "MB-at-the-end")
	b.ReportMetric(0, "ns/op")
}

// held is what the process holds: descriptors, goroutines and the heap after a collection.
func held(b *testing.B, listen, pid string) string {
	b.Helper()
	fds, err := os.ReadDir("/proc/" + pid + "/fd")
	if err != nil {
		b.Fatal(err)
	}
	heap, err := strconv.ParseInt(after(b, "http://"+listen+"/debug/pprof/heap?gc=1&debug=1", "\n# HeapAlloc = "), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return fmt.Sprintf("%d descriptors, %s goroutines, a heap of %.1f MB", len(fds), after(b, "http://"+listen+"/debug/pprof/goroutine?debug=1", "goroutine profile: total "), float64(heap)/1e6)
}

// after is the rest of the line of a page after what stands before it.
func after(b *testing.B, url, before string) string {
	b.Helper()
	resp, err := http.Get(url)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), before)
	rest, _, _ = strings.Cut(rest, "\n")
	return rest
}
