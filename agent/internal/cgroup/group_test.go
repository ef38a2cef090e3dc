package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// open opens the one container of a fixture the way the agent does: found by Walk, its network by its process.
func open(tb testing.TB, dir string, o Options) (FS, *Group) {
	tb.Helper()
	fs := detect(tb, dir)
	p := fs.PathsFor(onlyContainer(tb, fs).Path)
	probe, err := fs.Open(p, Options{})
	if err != nil {
		tb.Fatal(err)
	}
	if pids, err := probe.PIDs(nil, make([]byte, BufferSize)); err == nil && len(pids) > 0 {
		o.NetPID = pids[0]
	}
	probe.Close()
	g, err := fs.Open(p, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(g.Close)
	return fs, g
}

func TestReadGivesEveryFigureOfAMachine(t *testing.T) {
	f := func(name string, version Version) {
		t.Helper()
		told := faults{}
		fs, g := open(t, unpack(t, name), Options{Faults: told})
		if fs.Version() != version {
			t.Errorf("%s: version %v, want %v", name, fs.Version(), version)
		}
		var st Stats
		buf := make([]byte, BufferSize)
		for range 2 { // the second reading must not keep anything of the first
			if err := g.Read(&st, buf); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		golden(t, name, dump(&st))
		if len(told) > 0 {
			t.Errorf("%s: faults %v", name, told)
		}
		if usage, ok, err := g.ReadCPU(buf); !ok || err != nil || usage != st.CPUUsage {
			t.Errorf("%s: ReadCPU = %v %v %v, want %v", name, usage, ok, err, st.CPUUsage)
		}
		if usage, ok, err := g.ReadMemory(buf); !ok || err != nil || usage != st.MemoryUsageBytes {
			t.Errorf("%s: ReadMemory = %v %v %v, want %v", name, usage, ok, err, st.MemoryUsageBytes)
		}
	}
	f("v2-docker-web", V2)
	f("v2-docker-oomer", V2)
	f("v2-kubelet", V2)
	f("hybrid-docker", Hybrid)
	f("v1-combined", V1)
	f("v2-old-kernel", V2)
}

func TestABadValueCostsOnlyItsOwnFigure(t *testing.T) {
	told := faults{}
	_, g := open(t, unpack(t, "v2-broken"), Options{Faults: told})
	var st Stats
	if err := g.Read(&st, make([]byte, BufferSize)); err != nil {
		t.Fatal(err)
	}
	golden(t, "v2-broken", dump(&st))
	for _, want := range []string{
		"cpu.stat malformed", "cpu.max malformed", "cpu.weight malformed", "memory.current malformed", "memory.stat malformed",
		"memory.events malformed", "pids.current malformed", "io.stat malformed", "cpu.pressure malformed", "net/dev malformed",
	} {
		if told[want] != 1 {
			t.Errorf("fault %q counted %d times, want 1; all: %v", want, told[want], told)
		}
	}
}

func TestAGroupBeyondTheBudgetReadsTheSameWithoutHoldingAnything(t *testing.T) {
	dir := unpack(t, "hybrid-docker")
	_, held := open(t, dir, Options{})
	budget := NewBudget(10)
	before := descriptors(t)
	_, g := open(t, dir, Options{Budget: budget})
	if n := descriptors(t) - before; n != 0 || g.Held() || budget.Fallback() != 1 || budget.Used() != 0 {
		t.Errorf("group holds %d descriptors, Held %v, Fallback %d, Used %d; want none", n, g.Held(), budget.Fallback(), budget.Used())
	}
	var a, b Stats
	buf := make([]byte, BufferSize)
	if err := errors.Join(held.Read(&a, buf), g.Read(&b, buf)); err != nil {
		t.Fatal(err)
	}
	if dump(&a) != dump(&b) {
		t.Errorf("readings differ:\n%s", diff(dump(&a), dump(&b)))
	}
	if n := testing.AllocsPerRun(10, func() { _ = g.Read(&b, buf) }); n != 0 {
		t.Errorf("reading without held files allocates %v times", n)
	}
	g.Close()
	if budget.Fallback() != 0 {
		t.Errorf("Fallback %d after Close, want 0", budget.Fallback())
	}
}

func TestAGroupTakesUpHoldingWhenTheBudgetHasRoomAgain(t *testing.T) {
	dir := unpack(t, "v2-docker-web")
	budget := NewBudget(30)
	_, first := open(t, dir, Options{Budget: budget})
	_, second := open(t, dir, Options{Budget: budget})
	if !first.Held() || second.Held() || budget.Fallback() != 1 {
		t.Fatalf("held %v and %v, fallback %d; want only the first held", first.Held(), second.Held(), budget.Fallback())
	}
	first.Close()
	var st Stats
	if err := second.Read(&st, make([]byte, BufferSize)); err != nil {
		t.Fatal(err)
	}
	if !second.Held() || budget.Fallback() != 0 || len(st.Net) != 1 {
		t.Errorf("held %v, fallback %d, interfaces %v; want held, 0, eth0", second.Held(), budget.Fallback(), st.Net)
	}
	second.Close()
	if budget.Used() != 0 {
		t.Errorf("%d descriptors counted after Close, want 0", budget.Used())
	}
}

// A fixture cannot answer ENODEV, so a held group outlives its files; without held files the missing path tells.
func TestAVanishedCgroupIsErrGone(t *testing.T) {
	dir := unpack(t, "v2-docker-web")
	fs, g := open(t, dir, Options{Budget: NewBudget(0)})
	p := fs.PathsFor(g.ID())
	if err := os.RemoveAll(filepath.Join(dir, "cgroup/docker")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, BufferSize)
	var st Stats
	if err := g.Read(&st, buf); !errors.Is(err, ErrGone) {
		t.Errorf("Read: %v, want ErrGone", err)
	}
	if _, _, err := g.ReadCPU(buf); !errors.Is(err, ErrGone) {
		t.Errorf("ReadCPU: %v, want ErrGone", err)
	}
	if _, err := fs.Open(p, Options{}); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), g.ID()) {
		t.Errorf("Open: %v, want ErrGone with the path", err)
	}
	g.Close()
	if err := g.Read(&st, buf); !errors.Is(err, ErrGone) {
		t.Errorf("Read after Close: %v, want ErrGone", err)
	}
}

func TestCloseGivesEveryDescriptorBack(t *testing.T) {
	f := func(name string, want int) {
		t.Helper()
		dir := unpack(t, name)
		before := descriptors(t)
		budget := NewBudget(1000)
		fs, g := open(t, dir, Options{Budget: budget})
		if n := descriptors(t) - before; n != want || budget.Used() != want {
			t.Errorf("%s: %d descriptors held, %d counted, want %d", name, n, budget.Used(), want)
		}
		g.CloseNet()
		if n := descriptors(t) - before; n != want-1 || budget.Used() != want-1 {
			t.Errorf("%s: %d descriptors held after CloseNet, %d counted, want %d", name, n, budget.Used(), want-1)
		}
		if pid, err := fs.InitPID(fs.PathsFor(g.ID())); err == nil {
			g.SetNetPID(pid)
			g.SetNetPID(pid)
		}
		g.Close()
		g.Close()
		if n := descriptors(t) - before; n != 0 || budget.Used() != 0 {
			t.Errorf("%s: %d descriptors held after Close, %d counted, want 0", name, n, budget.Used())
		}
	}
	f("v2-docker-web", 19)
	f("hybrid-docker", 25)
}

func descriptors(tb testing.TB) int {
	tb.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Fatal(err)
	}
	return len(entries)
}

func TestReadAllocatesNothing(t *testing.T) {
	for _, name := range []string{"v2-docker-web", "hybrid-docker", "v2-broken"} {
		_, g := open(t, unpack(t, name), Options{Faults: noFaults{}})
		var st Stats
		buf := make([]byte, BufferSize)
		if n := testing.AllocsPerRun(100, func() {
			_ = g.Read(&st, buf)
			_, _, _ = g.ReadCPU(buf)
			_, _, _ = g.ReadMemory(buf)
		}); n != 0 {
			t.Errorf("%s: a reading allocates %v times, want 0", name, n)
		}
	}
}

type noFaults struct{}

func (noFaults) ReadFault(string, string) {}

func TestASmallBufferIsAnError(t *testing.T) {
	_, g := open(t, unpack(t, "v2-docker-web"), Options{})
	var st Stats
	if err := g.Read(&st, make([]byte, 100)); err == nil || errors.Is(err, ErrGone) {
		t.Errorf("Read with 100 bytes: %v, want an error that is not ErrGone", err)
	}
}

func TestAFileLongerThanTheBufferIsAFaultAndCostsOnlyItself(t *testing.T) {
	dir := unpack(t, "v2-docker-web")
	told := faults{}
	_, g := open(t, dir, Options{Faults: told})
	long := "Inter-|\n face |\n" + strings.Repeat("  eth0: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n", 1000)
	write(t, filepath.Join(dir, "proc/260/net/dev"), long)
	var st Stats
	if err := g.Read(&st, make([]byte, minBuffer)); err != nil {
		t.Fatal(err)
	}
	if told["net/dev truncated"] != 1 || st.Has&HasNet != 0 || st.Has&HasPIDs == 0 {
		t.Errorf("faults %v, has %b; want net/dev truncated and the rest read", told, st.Has)
	}
}

func TestProcessBudgetLeavesTheReserve(t *testing.T) {
	all, err := ProcessBudget(0)
	if err != nil {
		t.Fatal(err)
	}
	some, err := ProcessBudget(100)
	if err != nil {
		t.Fatal(err)
	}
	if all.Limit()-some.Limit() != 100 {
		t.Errorf("limits %d and %d, want a difference of 100", all.Limit(), some.Limit())
	}
	if half, err := ProcessBudget(1 << 30); err != nil || half.Limit() != all.Limit()-all.Limit()/2 {
		t.Errorf("with a reserve past the process's limit of %d there are %d, %v; want half of it", all.Limit(), half.Limit(), err)
	}
}

// A runtime removes the hierarchies of v1 one after the other.
func TestTheLastReadingIsOfWhatIsLeft(t *testing.T) {
	dir := unpack(t, "hybrid-docker")
	_, g := open(t, dir, Options{Budget: NewBudget(0)})
	buf := make([]byte, BufferSize)
	var before, st Stats
	if err := g.Read(&before, buf); err != nil {
		t.Fatal(err)
	}
	remove := func(hierarchy string) {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(dir, "cgroup", hierarchy)); err != nil {
			t.Fatal(err)
		}
	}
	remove("memory")
	for _, left := range []hierarchy{cpu, cpuacct, pids, blkio, unified} { // of processes
		write(t, filepath.Join(g.dirs[left], "cgroup.procs"), "")
	}
	if err := g.Read(&st, buf); !errors.Is(err, ErrGone) {
		t.Errorf("Read: %v, want ErrGone", err)
	}
	if err := g.ReadLast(&st, buf); err != nil || st.CPUUsage != before.CPUUsage || st.Has&HasMemoryMax != 0 || st.PIDsMax != before.PIDsMax {
		t.Errorf("without memory: %v, %v of %v, memory %v", err, st.CPUUsage, before.CPUUsage, st.Has&HasMemoryMax != 0)
	}
	remove(".")
	if err := g.ReadLast(&st, buf); !errors.Is(err, ErrGone) {
		t.Errorf("of nothing: %v, want ErrGone", err)
	}
}
