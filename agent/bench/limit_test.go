package bench_test

import (
	"fmt"
	"net/http/httptest"
	"os/exec"
	"testing"
	"time"
)

// BenchmarkLimit gives the agent a third of the CPU time it takes on these containers and tells every 15 s what it takes and what it leaves out.
func BenchmarkLimit(b *testing.B) {
	s := readSettings(b)
	s.bare = true
	all := run(b, s)
	window := func(limit string, windows int, tell func(cores float64, left string)) (cores float64) {
		told := &seen{ids: map[string]time.Time{}, left: map[string]bool{}}
		receiver := httptest.NewServer(told)
		b.Cleanup(receiver.Close)
		p := start(b, exec.Command(s.agent, append([]string{"run", "--remote-write.url=" + receiver.URL + "/api/v1/write", "--remote-write.compression=snappy", "--listen=", "--data-dir=" + b.TempDir(),
			"--idc=bench", "--cluster=bench", "--limit.cpu=" + limit}, all.flags...)...))
		defer p.stop(b)
		time.Sleep(interval + interval/2) // the start
		for range windows {
			before := p.cpu(b)
			time.Sleep(interval)
			cores = (p.cpu(b) - before).Seconds() / interval.Seconds()
			tell(cores, told.leftOut())
		}
		return cores
	}
	free := window("0", 2, func(cores float64, _ string) { b.Logf("without a limit: %.4f of a CPU", cores) })
	limit := fmt.Sprintf("%.4f", free/3)
	last := window(limit, 12, func(cores float64, left string) {
		b.Logf("--limit.cpu=%s: %.4f of a CPU, left out: %s", limit, cores, left)
	})
	b.ReportMetric(last/free, "of-unlimited")
	b.ReportMetric(0, "ns/op")
}
