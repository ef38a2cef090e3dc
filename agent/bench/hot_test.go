package bench_test

import (
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/host"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
)

// running is an inventory in which all containers were born at once and nothing happens after.
type running struct {
	events []inventory.Event
	wake   chan struct{}
}

func (r *running) Wake() <-chan struct{}                                { return r.wake }
func (r *running) Live(dst []inventory.Container) []inventory.Container { return dst }
func (r *running) Slots(dst []inventory.Slot) []inventory.Slot          { return dst }
func (r *running) Settle(cgroup.ContainerID, uint64, bool) (inventory.Reason, bool) {
	return inventory.Unknown, false
}
func (r *running) ReportOOMKills(cgroup.ContainerID, uint64, uint64) {}
func (r *running) Drain(dst []inventory.Event) ([]inventory.Event, int) {
	dst = append(dst, r.events...)
	r.events = r.events[:0]
	return dst, 0
}

// BenchmarkHotPath compares a full round, read, parsed and encoded, with bare preads of the same files, both back to back, in turns.
func BenchmarkHotPath(b *testing.B) {
	s := readSettings(b)
	runMix(b, s)
	fs, err := cgroup.Detect("/sys/fs/cgroup", "/proc")
	if err != nil {
		b.Fatal(err)
	}
	node, err := host.Open(fs, "/proc", "/sys", cgroup.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer node.Close()
	all := &running{}
	for i, c := range inspect(b) {
		name := strings.TrimPrefix(c.Name, "/")
		all.events = append(all.events, inventory.Event{Kind: inventory.Born, At: time.Now(), Container: inventory.Container{
			ID: cgroup.ContainerID(c.ID), Life: uint64(i + 1), PID: c.State.Pid, CgroupPath: "/docker/" + c.ID, StartedAt: time.Now(), Health: inventory.NoHealthCheck,
			Labels: identity.Labels{Project: "bench", IDC: "bench", Cluster: "bench", Node: "bench", Workload: name, Container: name, Image: image, ID: "/docker/" + c.ID, Name: name},
		}})
	}
	containers := len(all.events)
	sampling, err := sampler.New(sampler.Config{FS: fs, Node: node, Containers: all, NodeLabels: identity.Node{Node: "bench"}, SlowInterval: 10_000 * time.Hour, BirthsAtOnce: len(all.events)}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	sampling.Full()
	files, err := readsOf("self")
	if err != nil {
		b.Fatal(err)
	}
	var fds []int
	for _, path := range files {
		if fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			fds = append(fds, fd)
			defer unix.Close(fd)
		}
	}
	buf := make([]byte, 64<<10)
	preads := func() {
		for _, fd := range fds {
			unix.Pread(fd, buf, 0)
		}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var ours, floor []time.Duration
	for range 30 {
		ours, floor = append(ours, threadTime(sampling.Full)), append(floor, threadTime(preads))
	}
	slices.Sort(ours)
	slices.Sort(floor)
	per := func(sorted []time.Duration) float64 {
		return float64(sorted[len(sorted)/2].Nanoseconds()) / 1000 / float64(containers)
	}
	b.ReportMetric(per(ours), "µs/container")
	b.ReportMetric(per(floor), "µs-floor/container")
	b.ReportMetric(per(ours)/per(floor), "ours/floor")
	b.ReportMetric(testing.AllocsPerRun(20, sampling.Full)/float64(containers), "allocs/container")
	b.ReportMetric(0, "ns/op")
	b.Logf("%d containers, %d files: read, parsed and encoded %.1f µs per container, bare preads %.1f µs", containers, len(fds), per(ours), per(floor))
}

// threadTime is the CPU time that f takes on this thread.
func threadTime(f func()) time.Duration {
	now := func() int64 {
		var ts unix.Timespec
		unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
		return ts.Nano()
	}
	began := now()
	f()
	return time.Duration(now() - began)
}
