package process

import (
	"os"
	"syscall"
	"testing"
)

// BenchmarkSlow takes the readings of the slow groups on this process and reports CPU time, which a busy machine does not stretch.
func BenchmarkSlow(b *testing.B) {
	p := Open("/proc", nil)
	pid := os.Getpid()
	pids := []int{pid}
	var kept Schedules
	var stats []TCPStat
	for name, read := range map[string]func(){
		"descriptors": func() { p.Descriptors(pids, pid) },
		"readlinks":   func() { p.Sockets(pids) },
		"schedstat":   func() { p.Schedule(pids, &kept) },
		"tcpstats":    func() { stats = p.TCPStats(stats[:0], pid) },
		"tcpstates":   func() { p.TCPStates(pid, "net/tcp"); p.TCPStates(pid, "net/tcp6") },
		"udp":         func() { p.UDPSockets(pid, "net/udp"); p.UDPSockets(pid, "net/udp6") },
	} {
		b.Run(name, func(b *testing.B) {
			before := cpuMicros()
			for b.Loop() {
				read()
			}
			b.ReportMetric((cpuMicros()-before)/float64(b.N), "cpu-µs/op")
		})
	}
}

func cpuMicros() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Sec+u.Stime.Sec)*1e6 + float64(u.Utime.Usec+u.Stime.Usec)
}
