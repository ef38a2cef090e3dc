package cgroup

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// live is a container of the local Docker engine.
type live struct {
	id  ContainerID
	pid int
}

// need skips a test for want of something, and fails it where everything must be there.
func need(tb testing.TB, what string, err error) {
	tb.Helper()
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		tb.Fatalf("%s: %v", what, err)
	}
	tb.Skipf("%s: %v", what, err)
}

func docker(args ...string) (string, error) {
	out, err := exec.Command("docker", args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("docker %s: %w: %s", args[0], err, exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// start runs a container of the image the tests share and removes it afterwards.
func start(tb testing.TB, args ...string) live {
	tb.Helper()
	if os.Geteuid() != 0 {
		need(tb, "reading the cgroups of containers", errors.New("not root"))
	}
	_, err := docker("image", "inspect", "plimsoll-bb:test")
	need(tb, "image plimsoll-bb:test of a running dockerd", err)
	id, err := docker(append([]string{"create", "--label", "a1=1"}, args...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _, _ = docker("rm", "-f", id) })
	_, err = docker("start", id)
	need(tb, "starting a container", err)
	pid, err := docker("inspect", "-f", "{{.State.Pid}}", id)
	if err != nil {
		tb.Fatal(err)
	}
	n, err := strconv.Atoi(pid)
	if err != nil {
		tb.Fatal(err)
	}
	return live{ContainerID(id), n}
}

func host(tb testing.TB) FS {
	tb.Helper()
	fs, err := Detect("/sys/fs/cgroup", "/proc")
	need(tb, "a cgroup tree", err)
	return fs
}

func TestALiveContainerIsReadAsTheKernelHasIt(t *testing.T) {
	c := start(t, "--network", "none", "--cpus", "0.5", "--memory", "64m", "--pids-limit", "50", "plimsoll-bb:test", "sh", "-c", "while :; do :; done")
	fs := host(t)
	p, err := fs.PathsOf(c.pid)
	if err != nil {
		t.Fatal(err)
	}
	if ref, ok := ParsePath(p.ID()); !ok || ref.ID != c.id {
		t.Errorf("process %d is in %q, want the container %s", c.pid, p.ID(), c.id)
	}
	walked := false
	if err := fs.Walk(func(f Found) { walked = walked || f.ID == c.id && f.Path == p.ID() }); err != nil || !walked {
		t.Errorf("Walk finds it: %v, %v", walked, err)
	}

	told := faults{}
	g, err := fs.Open(p, Options{Faults: told, NetPID: c.pid})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	var st Stats
	buf := make([]byte, BufferSize)
	for range 100 { // the runtime's own process leaves the cgroup a moment after the start
		if err := g.Read(&st, buf); err != nil || st.PIDs == 1 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if pid, err := fs.InitPID(p); err != nil || pid != c.pid {
		t.Errorf("InitPID %d, %v; want %d", pid, err, c.pid)
	}
	before, _, _ := g.ReadCPU(buf)
	if err := g.Read(&st, buf); err != nil {
		t.Fatal(err)
	}
	after, ok, err := g.ReadCPU(buf)
	if err != nil || !ok || before > st.CPUUsage || st.CPUUsage > after {
		t.Errorf("CPU usage %v, then %v, then %v, %v; want it to rise", before, st.CPUUsage, after, err)
	}
	f := func(name string, bit Has, got, want uint64) {
		t.Helper()
		if st.Has&bit == 0 || got != want {
			t.Errorf("%s: %d (has %v), want %d", name, got, st.Has&bit != 0, want)
		}
	}
	f("memory limit", HasMemoryLimit, st.MemoryLimitBytes, 64<<20)
	f("pids max", HasPIDsMax, st.PIDsMax, 50)
	f("pids", HasPIDs, st.PIDs, 1)
	f("quota", HasCPUQuota, uint64(st.CPUQuota), uint64(50*time.Millisecond))
	f("period", HasCPUPeriod, uint64(st.CPUPeriod), uint64(100*time.Millisecond))
	f("OOM kills", HasOOMKills, st.OOMKills, 0)
	if !st.Has.All(HasCPUUser|HasCPUSystem|HasCPUThrottled|HasMemoryUsage|HasMemoryWorkingSet|HasMemoryRSS|HasMemoryUnreclaimable|HasNet) ||
		st.MemoryUsageBytes == 0 || st.MemoryWorkingSetBytes > st.MemoryUsageBytes {
		t.Errorf("reading:\n%s", dump(&st))
	}
	if len(st.Net) != 0 {
		t.Errorf("interfaces %+v, want none: the loopback does not count", st.Net)
	}
	if len(told) > 0 {
		t.Errorf("faults %v", told)
	}
	if n := testing.AllocsPerRun(100, func() { _ = g.Read(&st, buf); _, _, _ = g.ReadCPU(buf) }); n != 0 {
		t.Errorf("a reading allocates %v times, want 0", n)
	}
}

func TestTheNetworkOfALiveContainerIsItsOwn(t *testing.T) {
	c := start(t, "plimsoll-bb:test", "sleep", "1000")
	fs := host(t)
	p, err := fs.PathsOf(c.pid)
	if err != nil {
		t.Fatal(err)
	}
	g, err := fs.Open(p, Options{NetPID: c.pid})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	var st Stats
	if err := g.Read(&st, make([]byte, BufferSize)); err != nil {
		t.Fatal(err)
	}
	if len(st.Net) != 1 || st.Net[0].Name != "eth0" {
		t.Errorf("interfaces %+v, want eth0", st.Net)
	}
}

func TestTheFigureOfALiveContainerIsTheOneInItsFile(t *testing.T) {
	c := start(t, "--network", "none", "plimsoll-bb:test", "sleep", "1000")
	fs := host(t)
	p, err := fs.PathsOf(c.pid)
	if err != nil {
		t.Fatal(err)
	}
	g, err := fs.Open(p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	time.Sleep(200 * time.Millisecond) // until it sleeps: nothing moves any more
	var st Stats
	buf := make([]byte, BufferSize)
	f := func(h hierarchy, file, prefix string, field func() uint64) {
		t.Helper()
		var b []byte
		for range 5 { // the kernel adds its per-CPU counts up now and then, perhaps between the two readings
			if err := g.Read(&st, buf); err != nil {
				t.Fatal(err)
			}
			if b, err = os.ReadFile(filepath.Join(fs.mounts[h], p.rel[h], file)); err != nil {
				t.Fatal(err)
			}
			for l := range strings.Lines(string(b)) {
				if v, ok := strings.CutPrefix(l, prefix); ok && strings.TrimSpace(v) == strconv.FormatUint(field(), 10) {
					return
				}
			}
		}
		t.Errorf("%s %s: %d is not in %q", file, prefix, field(), b)
	}
	if fs.Version() == V2 {
		f(unified, "cpu.stat", "usage_usec ", func() uint64 { return uint64(st.CPUUsage.Microseconds()) })
		f(unified, "memory.current", "", func() uint64 { return st.MemoryUsageBytes })
		f(unified, "memory.stat", "anon ", func() uint64 { return st.MemoryRSSBytes })
		f(unified, "memory.stat", "file ", func() uint64 { return st.MemoryCacheBytes })
		f(unified, "memory.stat", "inactive_file ", func() uint64 { return st.MemoryInactiveFileBytes })
		f(unified, "memory.stat", "pgfault ", func() uint64 { return st.PageFaultsTree })
		f(unified, "pids.current", "", func() uint64 { return st.PIDs })
		return
	}
	f(cpuacct, "cpuacct.usage", "", func() uint64 { return uint64(st.CPUUsage) })
	f(memory, "memory.usage_in_bytes", "", func() uint64 { return st.MemoryUsageBytes })
	f(memory, "memory.max_usage_in_bytes", "", func() uint64 { return st.MemoryMaxBytes })
	f(memory, "memory.stat", "total_rss ", func() uint64 { return st.MemoryRSSBytes })
	f(memory, "memory.stat", "total_cache ", func() uint64 { return st.MemoryCacheBytes })
	f(memory, "memory.stat", "total_inactive_file ", func() uint64 { return st.MemoryInactiveFileBytes })
	f(memory, "memory.stat", "total_pgfault ", func() uint64 { return st.PageFaultsTree })
	f(cpu, "cpu.shares", "", func() uint64 { return st.CPUShares })
	f(pids, "pids.current", "", func() uint64 { return st.PIDs })
}

// A container takes 40 MiB for a moment between two readings: only a kernel that keeps a peak for each descriptor tells.
func TestTheLivePeakOfMemoryBetweenTwoReadingsIsExact(t *testing.T) {
	fs := host(t)
	if fs.Version() != V2 {
		t.Skip("cgroup v1 keeps no peak of memory that can be reset")
	}
	c := start(t, "--network", "none", "plimsoll-bb:test", "sh", "-c", "sleep 3; head -c 41943040 /dev/zero | tail -c 41943040 > /dev/null; sleep 1000")
	p, err := fs.PathsOf(c.pid)
	if err != nil {
		t.Fatal(err)
	}
	g, err := fs.Open(p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if !g.KeepsPeak() {
		t.Skip("before Linux 6.12 the peak of memory can not be reset")
	}
	var before, st Stats
	buf := make([]byte, BufferSize)
	if err := g.Read(&before, buf); err != nil {
		t.Fatal(err)
	}
	for range 300 {
		time.Sleep(100 * time.Millisecond)
		if usage, _, _ := g.ReadMemory(buf); usage < before.MemoryUsageBytes+4<<20 { // asleep again, or still
			if procs, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", p.ID(), "memory.peak")); err == nil && len(procs) > 0 {
				if ever, err := parseNumber(procs); err == nil && ever > before.MemoryMaxBytes+30<<20 {
					break
				}
			}
		}
	}
	if err := g.Read(&st, buf); err != nil {
		t.Fatal(err)
	}
	t.Logf("before %d bytes, now %d, peak between %d, peak ever %d", before.MemoryUsageBytes, st.MemoryUsageBytes, st.MemoryPeakBytes, st.MemoryMaxBytes)
	if st.Has&HasMemoryPeak == 0 || st.MemoryPeakBytes < before.MemoryUsageBytes+40<<20 || st.MemoryPeakBytes != st.MemoryMaxBytes {
		t.Errorf("the peak between is not the 40 MiB and all of the peak ever")
	}
	var after Stats
	if err := g.Read(&after, buf); err != nil || after.MemoryPeakBytes > after.MemoryUsageBytes+1<<20 || after.MemoryMaxBytes != st.MemoryMaxBytes {
		t.Errorf("after a reading the peak is %d, ever %d, use %d, %v: it begins anew, the one since the container's start stays", after.MemoryPeakBytes, after.MemoryMaxBytes, after.MemoryUsageBytes, err)
	}
}

// The processes of a container are moved in one hierarchy of v1, and its cgroup there goes: the container lives on in the others.
func TestALiveContainerThatLeavesOneHierarchyIsReadOnInTheOthers(t *testing.T) {
	fs := host(t)
	if fs.Version() == V2 {
		t.Skip("cgroup v2 has one hierarchy")
	}
	c := start(t, "--network", "none", "plimsoll-bb:test", "sleep", "1000")
	p, err := fs.PathsOf(c.pid)
	if err != nil {
		t.Fatal(err)
	}
	told := faults{}
	g, err := fs.Open(p, Options{Faults: told})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	buf := make([]byte, BufferSize)
	var before, st Stats
	if err := g.Read(&before, buf); err != nil || before.Has&HasPIDs == 0 {
		t.Fatalf("has %b, %v", before.Has, err)
	}
	if err := os.WriteFile(filepath.Join(fs.mounts[pids], "cgroup.procs"), []byte(strconv.Itoa(c.pid)), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(g.dirs[pids]); err != nil {
		t.Fatal(err)
	}
	if err := g.Read(&st, buf); err != nil || st.Has != before.Has&^(HasPIDs|HasPIDsMax) || told["pids.current vanished"] != 1 {
		t.Errorf("%v, has %b of %b, faults %v", err, st.Has, before.Has, told)
	}
	if found, err := g.PIDs(nil, buf); err != nil || len(found) != 1 || found[0] != c.pid {
		t.Errorf("processes %v, %v; want %d", found, err, c.pid)
	}
	if _, err := docker("rm", "-f", string(c.id)); err != nil {
		t.Fatal(err)
	}
	if err := g.Read(&st, buf); !errors.Is(err, ErrGone) {
		t.Errorf("removed: %v, want ErrGone", err)
	}
}

func TestAHeldGroupTellsOfItsRemoval(t *testing.T) {
	c := start(t, "--network", "none", "plimsoll-bb:test", "sleep", "1000")
	fs := host(t)
	p, err := fs.PathsOf(c.pid)
	if err != nil {
		t.Fatal(err)
	}
	before := descriptors(t)
	g, err := fs.Open(p, Options{NetPID: c.pid})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := docker("rm", "-f", string(c.id)); err != nil {
		t.Fatal(err)
	}
	var st Stats
	buf := make([]byte, BufferSize)
	if err := g.Read(&st, buf); !errors.Is(err, ErrGone) {
		t.Errorf("Read of a removed container: %v, want ErrGone", err)
	}
	if _, _, err := g.ReadCPU(buf); !errors.Is(err, ErrGone) {
		t.Errorf("ReadCPU of a removed container: %v, want ErrGone", err)
	}
	g.Close()
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors before, %d after Close", before, n)
	}
	if _, err := fs.PathsOf(c.pid); !errors.Is(err, ErrGone) {
		t.Errorf("PathsOf of its process: %v, want ErrGone", err)
	}
}

// BenchmarkLive compares a full reading of live containers with what the kernel alone costs (pread of the same files into the same buffer,
// nothing parsed). cpu-µs/container is the process's CPU time: the machines are shared, wall time lies.
func BenchmarkLive(b *testing.B) {
	const containers = 10
	fs := host(b)
	var held, unheldGroups []*Group
	for range containers {
		c := start(b, "--network", "none", "plimsoll-bb:test", "sleep", "1000")
		p, err := fs.PathsOf(c.pid)
		if err != nil {
			b.Fatal(err)
		}
		for _, budget := range []*Budget{nil, NewBudget(0)} {
			g, err := fs.Open(p, Options{NetPID: c.pid, Budget: budget})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(g.Close)
			if budget == nil {
				held = append(held, g)
			} else {
				unheldGroups = append(unheldGroups, g)
			}
		}
	}
	buf := make([]byte, BufferSize)
	var st Stats
	run := func(name string, groups []*Group, f func(g *Group) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			begin := cpuTime()
			for b.Loop() {
				for _, g := range groups {
					if err := f(g); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(cpuTime()-begin)/1e3/float64(b.N*len(groups)), "cpu-µs/container")
		})
	}
	run("floor", held, func(g *Group) error {
		for i, fd := range g.fds {
			if fd < 0 || g.files[i].ops {
				continue // no block device here: Read leaves the second file of each source alone
			}
			if _, err := unix.Pread(int(fd), buf, 0); err != nil {
				return err
			}
		}
		_, err := unix.Pread(int(g.netFD), buf, 0)
		return err
	})
	run("read", held, func(g *Group) error { return g.Read(&st, buf) })
	run("cpu", held, func(g *Group) error { _, _, err := g.ReadCPU(buf); return err })
	run("memory", held, func(g *Group) error { _, _, err := g.ReadMemory(buf); return err })
	run("unheld", unheldGroups, func(g *Group) error { return g.Read(&st, buf) })
}

// cpuTime is the CPU time of the process so far, in nanoseconds.
func cpuTime() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts)
	return ts.Nano()
}
