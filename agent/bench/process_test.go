package bench_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// process is one that is measured.
type process struct {
	*exec.Cmd
	lines *bufio.Reader // its standard output
	rss   int64         // resident memory at the newest look at cpu, bytes
	still atomic.Bool   // it is stopped
}

// start runs a program till the benchmark, or the part of it, ends.
func start(b *testing.B, cmd *exec.Cmd) *process {
	b.Helper()
	log, err := os.Create(filepath.Join(b.TempDir(), "stderr"))
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatalf("start %s: %v", cmd.Path, err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if b.Failed() {
			text, _ := os.ReadFile(log.Name())
			b.Logf("%s said: %s", cmd.Path, text[max(0, len(text)-2000):])
		}
		log.Close()
	})
	return &process{Cmd: cmd, lines: bufio.NewReader(out)}
}

// line waits for one line of output.
func (p *process) line(b *testing.B) string {
	b.Helper()
	text, err := p.lines.ReadString('\n')
	if err != nil {
		b.Fatalf("%s ended before it was ready: %v", p.Path, err)
	}
	return strings.TrimSpace(text)
}

func (p *process) pid() string { return strconv.Itoa(p.Process.Pid) }

// cpu is the CPU time of all threads the process has and had, to the nanosecond: its CPU clock, clock_getcpuclockid(3).
func (p *process) cpu(b *testing.B) time.Duration {
	b.Helper()
	const schedulerClock = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^p.Process.Pid<<3|schedulerClock), &ts); err != nil {
		b.Fatalf("CPU clock of %s: %v", p.Path, err)
	}
	p.rss = p.residentBytes(b)
	return time.Duration(ts.Nano())
}

// turn lets a stopped process run so long and returns what it took in an interval of it.
func (p *process) turn(b *testing.B, lasts time.Duration) time.Duration {
	b.Helper()
	before := p.cpu(b)
	p.resume(b)
	time.Sleep(lasts)
	p.stop(b)
	return (p.cpu(b) - before) / (lasts / interval)
}

func (p *process) stop(b *testing.B) {
	p.still.Store(true)
	p.signal(b, unix.SIGSTOP)
}

func (p *process) resume(b *testing.B) {
	p.signal(b, unix.SIGCONT)
	p.still.Store(false)
}

func (p *process) signal(b *testing.B, s os.Signal) {
	b.Helper()
	if err := p.Process.Signal(s); err != nil {
		b.Fatalf("%s to %s: %v", s, p.Path, err)
	}
}

func (p *process) residentBytes(b *testing.B) int64 {
	b.Helper()
	text, err := os.ReadFile("/proc/" + p.pid() + "/status")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kib int64
	fmt.Sscan(rest, &kib)
	return kib << 10
}
