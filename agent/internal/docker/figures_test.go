package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

func busy(usage time.Duration) container.StatsResponse {
	return container.StatsResponse{
		Read:     time.Now(),
		CPUStats: container.CPUStats{CPUUsage: container.CPUUsage{TotalUsage: uint64(usage)}, ThrottlingData: container.ThrottlingData{Periods: 10, ThrottledPeriods: 4}},
	}
}

func TestFiguresAreAskedForAtOnceAndThenEveryInterval(t *testing.T) {
	onStage(t, func(p *puppet, e *Engine, _ *ledger, _ func() []string) {
		var asked, answered atomic.Int64
		p.figuresOf = func(cgroup.ContainerID) (container.StatsResponse, error) {
			return busy(time.Duration(asked.Add(1)) * time.Second), nil
		}
		f := e.Figures("c1", func(cgroup.ContainerID) { answered.Add(1) })
		time.Sleep(time.Millisecond)
		var st cgroup.Stats
		if err := f.Read(&st, nil); err != nil || st.CPUUsage != time.Second || !st.Has.All(cgroup.HasCPUUsage|cgroup.HasCPUQuota|cgroup.HasCPUPeriods) {
			t.Errorf("a moment later: %v, %+v", err, st)
		}
		time.Sleep(45 * time.Second)
		synctest.Wait()
		if asked.Load() != 4 || answered.Load() != 4 {
			t.Errorf("asked %d times, answered %d times in 45 s, want 4", asked.Load(), answered.Load())
		}
		f.Close()
		time.Sleep(time.Minute)
		if asked.Load() != 4 {
			t.Errorf("asked %d times after it was closed", asked.Load()-4)
		}
	})
}

func TestFiguresThatAreNotRenewedAreNone(t *testing.T) {
	onStage(t, func(p *puppet, e *Engine, _ *ledger, _ func() []string) {
		var failure atomic.Pointer[error]
		p.figuresOf = func(cgroup.ContainerID) (container.StatsResponse, error) {
			if err := failure.Load(); err != nil {
				return container.StatsResponse{}, *err
			}
			return busy(time.Second), nil
		}
		fail := func(err error) { failure.Store(&err) }
		f := e.Figures("c1", nil)
		time.Sleep(time.Millisecond)
		fail(errors.New("engine is busy"))
		time.Sleep(44 * time.Second)
		if !f.Fresh() {
			t.Error("44 s old is not fresh any more")
		}
		time.Sleep(2 * time.Second)
		st := cgroup.Stats{Has: cgroup.HasCPUUsage}
		if err := f.Read(&st, nil); err != nil || st.Has != 0 || f.Fresh() {
			t.Errorf("46 s old: %v, %+v", err, st)
		}
		if !f.Last(&st) || st.CPUUsage != time.Second {
			t.Errorf("the last figures are lost: %+v", st)
		}
		fail(errNoSuchContainer)
		time.Sleep(15 * time.Second)
		if err := f.Read(&st, nil); !errors.Is(err, cgroup.ErrGone) {
			t.Errorf("the engine does not have it any more: %v", err)
		}
		if !f.Last(&st) || st.CPUUsage != time.Second {
			t.Errorf("the last figures are lost: %+v", st)
		}
	})
}

// An engine that fails to collect at one moment answers with zeros, as it does of a container that does not run. That the figures of a
// container that runs then ended for the rest of its life is what this test guards against.
func TestAnAnswerOfZerosIsTheEndOnlyWhereTheContainerDoesNotRun(t *testing.T) {
	onStage(t, func(p *puppet, e *Engine, _ *ledger, _ func() []string) {
		var failing atomic.Bool
		p.figuresOf = func(cgroup.ContainerID) (container.StatsResponse, error) {
			if failing.Load() {
				return container.StatsResponse{}, errNoFigures
			}
			return busy(time.Second), nil
		}
		p.set(func() { p.running["c1"] = container1(time.Now()) })
		failing.Store(true)
		f := e.Figures("c1", nil)
		time.Sleep(16 * time.Second)
		var st cgroup.Stats
		if err := f.Read(&st, nil); err != nil || st.Has != 0 {
			t.Errorf("it runs and the engine collects nothing: %v, %+v", err, st)
		}
		if failures := testutil.ToFloat64(e.metrics.failures.WithLabelValues("stats")); failures != 2 {
			t.Errorf("%v failures counted, want 2", failures)
		}
		failing.Store(false)
		time.Sleep(15 * time.Second)
		if err := f.Read(&st, nil); err != nil || st.CPUUsage != time.Second {
			t.Errorf("it runs and the engine collects again: %v, %+v", err, st)
		}
		failing.Store(true)
		p.set(func() { p.running["c1"] = inspection{Container: p.running["c1"].Container} })
		time.Sleep(15 * time.Second)
		if err := f.Read(&st, nil); !errors.Is(err, cgroup.ErrGone) {
			t.Errorf("it does not run any more: %v", err)
		}
	})
}

func TestFiguresAreAskedForManyAtOnceWithinALimit(t *testing.T) {
	onStage(t, func(p *puppet, e *Engine, _ *ledger, _ func() []string) {
		var mu sync.Mutex
		now, most, asked := 0, 0, 0
		p.figuresOf = func(cgroup.ContainerID) (container.StatsResponse, error) {
			mu.Lock()
			now++
			asked++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second) // an engine's tick
			mu.Lock()
			now--
			mu.Unlock()
			return busy(time.Second), nil
		}
		for i := range 300 {
			e.Figures(cgroup.ContainerID(fmt.Sprint(i)), nil)
		}
		time.Sleep(14 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if asked < 300 || most <= fewestAskers || most > mostAskers {
			t.Errorf("asked %d times within an interval, at most %d at once", asked, most)
		}
	})
}

func TestStatsBecomeFiguresOfBothCgroupVersions(t *testing.T) {
	var st cgroup.Stats
	in := busy(time.Second)
	in.MemoryStats = container.MemoryStats{Usage: 100, MaxUsage: 200, Limit: 1 << 40, Stats: map[string]uint64{"total_rss": 10, "total_cache": 80, "total_inactive_file": 30}}
	in.PidsStats = container.PidsStats{Current: 3, Limit: math.MaxUint64}
	in.BlkioStats.IoServiceBytesRecursive = []container.BlkioStatEntry{{Major: 8, Minor: 1, Op: "Read", Value: 5}, {Major: 8, Minor: 1, Op: "Sync", Value: 9}, {Major: 8, Minor: 1, Op: "Write", Value: 6}}
	in.Networks = map[string]container.NetworkStats{"eth0": {RxBytes: 7}}
	statsOf(&in, limits{ownNetwork: true}, &st)
	if st.MemoryWorkingSetBytes != 70 || st.MemoryRSSBytes != 10 || st.MemoryMaxBytes != 200 || st.MemoryLimitBytes != 0 || st.PIDs != 3 || st.Has&cgroup.HasPIDsMax != 0 {
		t.Errorf("v1: %+v", st)
	}
	if len(st.IO) != 1 || st.IO[0] != (cgroup.IODevice{Major: 8, Minor: 1, ReadBytes: 5, WriteBytes: 6}) || len(st.Net) != 1 || st.Net[0].ReceiveBytes != 7 {
		t.Errorf("v1: %+v %+v", st.IO, st.Net)
	}
	if st.Has&(cgroup.HasCPUQuota|cgroup.HasIOOps|cgroup.HasMemorySwap) != 0 {
		t.Errorf("v1: %b has what the engine did not give", st.Has)
	}
	in.MemoryStats = container.MemoryStats{Usage: 100, Stats: map[string]uint64{"anon": 11, "file": 80, "inactive_file": 101}}
	statsOf(&in, limits{memory: 500}, &st)
	if st.MemoryWorkingSetBytes != 0 || st.MemoryRSSBytes != 11 || st.MemoryLimitBytes != 500 || st.Has&(cgroup.HasMemoryMax|cgroup.HasMemoryFailcnt|cgroup.HasNet) != 0 {
		t.Errorf("v2: %+v", st)
	}
}

// throughTCP is a listener on loopback that leads to the engine.
func throughTCP(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", engineSocket)
			if err != nil {
				_ = in.Close()
				continue
			}
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
		}
	}()
	return "tcp://" + listener.Addr().String()
}

func TestLiveTheFiguresOfARemoteEngineAreThoseOfTheCgroup(t *testing.T) {
	cli := requireEngine(t)
	e, err := New(Config{Host: throughTCP(t), ForeignPIDs: true, StatsInterval: 2 * time.Second}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, cli: cli, engine: e, ledger: &ledger{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx, l.ledger) }()
	defer func() { cancel(); <-done }()
	l.connected()
	id := l.run("figures", container.Config{Cmd: []string{"sh", "-c", "dd if=/dev/zero of=/dev/shm/held bs=1M count=20; i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done; exec sleep 1000"}},
		container.HostConfig{Resources: container.Resources{Memory: 64 << 20, NanoCPUs: 500_000_000}, ShmSize: 32 << 20})
	eventually(t, "the container is told", func() bool { return l.ledger.last(id, "started").id != "" })
	if pid := l.ledger.last(id, "started").c.PID; pid != 0 {
		t.Errorf("process %d of another host is told", pid)
	}
	in, err := cli.ContainerInspect(t.Context(), string(id))
	l.must(err)
	fs, err := cgroup.Detect("/sys/fs/cgroup", "/proc")
	l.must(err)
	paths, err := fs.PathsOf(in.State.Pid)
	l.must(err)
	group, err := fs.Open(paths, cgroup.Options{NetPID: in.State.Pid})
	l.must(err)
	defer group.Close()

	answers := make(chan struct{}, 100)
	f := e.Figures(id, func(cgroup.ContainerID) { answers <- struct{}{} })
	defer f.Close()
	var got, want cgroup.Stats
	eventually(t, "the container rests and the figures of engine and cgroup are the same moment's", func() bool {
		<-answers
		l.must(f.Read(&got, nil))
		before := want.CPUUsage
		l.must(group.Read(&want, make([]byte, cgroup.BufferSize)))
		return want.CPUUsage == before && got.CPUUsage == want.CPUUsage // at rest: no skew of time between the two
	})
	near := func(what string, got, want uint64, within float64) {
		t.Logf("%-12s engine %d, cgroup %d", what, got, want)
		if math.Abs(float64(got)-float64(want)) > within*float64(want) {
			t.Errorf("%s: the engine says %d, the cgroup %d", what, got, want)
		}
	}
	near("CPU", uint64(got.CPUUsage), uint64(want.CPUUsage), .05)
	near("throttled", got.CPUThrottledPeriods, want.CPUThrottledPeriods, .05)
	near("memory", got.MemoryUsageBytes, want.MemoryUsageBytes, .02)
	near("working set", got.MemoryWorkingSetBytes, want.MemoryWorkingSetBytes, .02)
	near("cache", got.MemoryCacheBytes, want.MemoryCacheBytes, .02)
	near("limit", got.MemoryLimitBytes, want.MemoryLimitBytes, 0)
	near("quota", uint64(got.CPUQuota), uint64(want.CPUQuota), 0)
	near("tasks", got.PIDs, want.PIDs, 0)
	if got.CPUUsage == 0 || got.MemoryUsageBytes < 20<<20 || len(got.Net) != len(want.Net) {
		t.Errorf("engine %+v, cgroup %+v", got, want)
	}
	l.must(cli.ContainerRemove(t.Context(), string(id), container.RemoveOptions{Force: true}))
	eventually(t, "the container is gone", func() bool { return errors.Is(f.Read(&got, nil), cgroup.ErrGone) })
}
