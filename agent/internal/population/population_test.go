package population_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/exits"
	"github.com/plimsoll/plimsoll/agent/internal/population"
)

// told collects what a watcher tells as "appeared a", "emptied a", "removed a".
type told chan string

func (s told) Appeared(id cgroup.ContainerID, _ string) { s <- "appeared " + string(id[:1]) }
func (s told) Ending(cgroup.ContainerID)                {}
func (s told) Continues(cgroup.ContainerID)             {}
func (s told) Emptied(id cgroup.ContainerID)            { s <- "emptied " + string(id[:1]) }
func (s told) Removed(id cgroup.ContainerID)            { s <- "removed " + string(id[:1]) }

func (s told) want(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-s:
		if got != want {
			t.Fatalf("told %q, want %q", got, want)
		}
	case <-time.After(5 * time.Second):
		t.Fatalf("not told %q within 5 s", want)
	}
}

func (s told) quiet(t *testing.T) {
	t.Helper()
	select {
	case got := <-s:
		t.Fatalf("told %q", got)
	case <-time.After(50 * time.Millisecond):
	}
}

// parent makes a cgroup of the test's own on the real kernel, in one hierarchy, and returns its directory.
func parent(t *testing.T, hierarchy string) string {
	t.Helper()
	dir := filepath.Join("/sys/fs/cgroup", hierarchy, fmt.Sprintf("plimsoll-population-%d-%d", os.Getpid(), time.Now().UnixNano()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no cgroup can be made here: ", err)
	}
	t.Cleanup(func() { removeAll(dir) })
	return dir
}

func removeAll(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			removeAll(filepath.Join(dir, e.Name()))
		}
	}
	for range 100 {
		if err := os.Remove(dir); err == nil || os.IsNotExist(err) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// tree is a cgroup root whose hierarchies are links to directories of the real ones.
func tree(t *testing.T, links map[string]string) cgroup.FS {
	t.Helper()
	root := t.TempDir()
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	fs, err := cgroup.Detect(root, "/proc")
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// run runs a watcher of the tree until the test ends.
func (b *bed) run(t *testing.T, cfg population.Config) told {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	var firsts *exits.Watcher[string]
	if b.closer {
		var err error
		if firsts, err = exits.New[string](100); err != nil {
			t.Skip(err)
		}
		cfg.Processes, b.firsts = firsts, firsts
	}
	reg, own := cfg.Metrics.(*prometheus.Registry)
	if !own {
		reg = prometheus.NewRegistry()
		cfg.Metrics = reg
	}
	w, err := population.New(b.fs, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	running := 1
	if firsts != nil {
		running++
		go func() { done <- firsts.Run(ctx, w.Ended) }()
	}
	s := make(told, 1000)
	go func() { done <- w.Run(ctx, s) }()
	t.Cleanup(func() {
		cancel()
		for range running {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	for deadline := time.Now().Add(5 * time.Second); watches(t, reg) == 0; { // until it has looked at what is there
		if time.Now().After(deadline) {
			t.Fatal("nothing is watched after 5 s")
		}
		time.Sleep(time.Millisecond)
	}
	return s
}

func mkdir(t *testing.T, path ...string) string {
	t.Helper()
	dir := filepath.Join(path...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// enter starts a process in a cgroup; the result ends it.
func (b *bed) enter(t *testing.T, dir string) (end func()) {
	t.Helper()
	c := b.process(t, dir)
	stop := func() { c.Process.Kill(); c.Wait() }
	t.Cleanup(stop)
	return stop
}

// process starts one in a cgroup and sees to it that it is watched before it ends.
func (b *bed) process(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	c := exec.Command("sleep", "60")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(fmt.Sprint(c.Process.Pid)), 0); err != nil {
		c.Process.Kill()
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); b.firsts != nil && b.firsts.Watched() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no process is watched after 5 s")
		}
	}
	return c
}

func id(digit string) string { return strings.Repeat(digit, 64) }

// bed is a tree on the real kernel; dir is its root.
type bed struct {
	fs     cgroup.FS
	dir    string
	closer bool // processes are watched
	firsts *exits.Watcher[string]
}

// beds are a v2 tree, with and without pidfds, and a v1 tree without cgroup.events.
func beds(t *testing.T, f func(t *testing.T, b *bed)) {
	unified := "unified"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		unified = ""
	}
	t.Run("cgroup.events", func(t *testing.T) {
		dir := parent(t, unified)
		f(t, &bed{fs: tree(t, map[string]string{"unified": dir, "pids": dir}), dir: dir})
	})
	t.Run("cgroup.events and processes", func(t *testing.T) {
		dir := parent(t, unified)
		f(t, &bed{fs: tree(t, map[string]string{"unified": dir, "pids": dir}), dir: dir, closer: true})
	})
	t.Run("cgroup v1 without a unified tree", func(t *testing.T) {
		if unified == "" {
			t.Skip("this kernel has mounted no v1 hierarchy")
		}
		dir := parent(t, "pids")
		f(t, &bed{fs: tree(t, map[string]string{"pids": dir}), dir: dir, closer: true})
	})
}

func TestBirthAndDeathAreTold(t *testing.T) {
	beds(t, func(t *testing.T, b *bed) {
		mkdir(t, b.dir, "docker")
		s := b.run(t, population.Config{})
		s.quiet(t)
		one := mkdir(t, b.dir, "docker", id("a"))
		s.want(t, "appeared a")
		s.quiet(t) // empty, and was never filled
		end := b.enter(t, one)
		s.quiet(t)
		end()
		s.want(t, "emptied a")
		if err := os.Remove(one); err != nil {
			t.Fatal(err)
		}
		s.want(t, "removed a")
		mkdir(t, b.dir, "docker", id("a")) // started again
		s.want(t, "appeared a")
	})
}

func TestTheRuntimesOwnProcessLeavingIsNoDeath(t *testing.T) {
	beds(t, func(t *testing.T, b *bed) {
		mkdir(t, b.dir, "docker")
		s := b.run(t, population.Config{})
		one := mkdir(t, b.dir, "docker", id("a"))
		s.want(t, "appeared a")
		runtime := b.enter(t, one)
		first := b.enter(t, one)
		runtime()
		s.quiet(t)
		first()
		s.want(t, "emptied a")
	})
}

func TestDeathsOfContainersFoundRunningAreTold(t *testing.T) {
	beds(t, func(t *testing.T, b *bed) {
		end := b.enter(t, mkdir(t, b.dir, "docker", id("a")))
		s := b.run(t, population.Config{})
		s.quiet(t)
		end()
		s.want(t, "emptied a")
	})
}

func TestAnEndIsToldBeforeTheParentHasWaitedForTheProcess(t *testing.T) {
	beds(t, func(t *testing.T, b *bed) {
		if !b.closer {
			return // cgroup.events counts a process until then
		}
		mkdir(t, b.dir, "docker")
		s := b.run(t, population.Config{})
		one := mkdir(t, b.dir, "docker", id("a"))
		s.want(t, "appeared a")
		c := b.process(t, one)
		t.Cleanup(func() { c.Wait() })
		s.quiet(t)
		c.Process.Kill()
		s.want(t, "emptied a")
		c.Wait()
		s.quiet(t)
	})
}

// An init system moves itself into a cgroup below its container's.
func TestProcessesInCgroupsBelowAreTheContainers(t *testing.T) {
	beds(t, func(t *testing.T, b *bed) {
		if _, populated := b.fs.NoticeTree(); !populated {
			return // without cgroup.events what happens below is not heard of
		}
		mkdir(t, b.dir, "docker")
		s := b.run(t, population.Config{})
		one := mkdir(t, b.dir, "docker", id("a"))
		s.want(t, "appeared a")
		first := b.enter(t, one)
		second := b.enter(t, mkdir(t, one, "init.scope"))
		first()
		s.quiet(t)
		second()
		s.want(t, "emptied a")
	})
}

func TestProcessesAreWatchedWhileTheirContainerIsYoung(t *testing.T) {
	beds(t, func(t *testing.T, b *bed) {
		mkdir(t, b.dir, "docker")
		reg := prometheus.NewRegistry()
		s := b.run(t, population.Config{Metrics: reg, YoungFor: 10 * time.Millisecond})
		end := b.enter(t, mkdir(t, b.dir, "docker", id("a")))
		s.want(t, "appeared a")
		time.Sleep(20 * time.Millisecond)
		before := watches(t, reg)
		if err := os.Remove(mkdir(t, b.dir, "docker", id("b"))); err != nil {
			t.Fatal(err)
		}
		s.want(t, "appeared b")
		s.want(t, "removed b")
		want := before
		if _, populated := b.fs.NoticeTree(); populated && b.closer {
			want-- // that of the first one's cgroup.procs
		}
		if after := watches(t, reg); after != want {
			t.Errorf("%v watches, want %v", after, want)
		}
		end()
		s.want(t, "emptied a")
	})
}

func TestARenamedCgroupIsGoneAndThereAnew(t *testing.T) {
	beds(t, func(t *testing.T, b *bed) {
		mkdir(t, b.dir, "docker")
		s := b.run(t, population.Config{})
		one := mkdir(t, b.dir, "docker", id("a"))
		s.want(t, "appeared a")
		end := b.enter(t, one)
		if err := os.Rename(one, filepath.Join(b.dir, "docker", id("b"))); errors.Is(err, os.ErrPermission) {
			return // cgroup v2 refuses that
		} else if err != nil {
			t.Fatal(err)
		}
		s.want(t, "removed a")
		s.want(t, "appeared b")
		end()
		s.want(t, "emptied b")
	})
}

func TestContainersOfPodsThatAppearAreTold(t *testing.T) {
	beds(t, func(t *testing.T, b *bed) {
		s := b.run(t, population.Config{})
		pod := mkdir(t, b.dir, "kubepods/burstable/pod3f0cd60f-4ba8-4d0e-9f23-2c1a5a3f0a11")
		s.quiet(t)
		one := mkdir(t, pod, id("b"))
		s.want(t, "appeared b")
		os.Remove(one)
		s.want(t, "removed b")
		os.Remove(pod)
		if pod = mkdir(t, b.dir, "kubepods/burstable/podaf0cd60f-4ba8-4d0e-9f23-2c1a5a3f0a11", id("c")); pod != "" {
			s.want(t, "appeared c") // made with its parents at once
		}
	})
}

func TestTwentyContainersASecondLeaveNoWatchBehind(t *testing.T) {
	beds(t, func(t *testing.T, b *bed) {
		mkdir(t, b.dir, "docker")
		reg := prometheus.NewRegistry()
		s := b.run(t, population.Config{Metrics: reg})
		s.quiet(t)
		before := watches(t, reg)
		for i := range 40 {
			c := fmt.Sprintf("%064x", i+1)
			if err := os.Remove(mkdir(t, b.dir, "docker", c)); err != nil {
				t.Fatal(err)
			}
		}
		counts := map[string]int{}
		for range 80 {
			select {
			case line := <-s:
				word, _, _ := strings.Cut(line, " ")
				counts[word]++
			case <-time.After(5 * time.Second):
				t.Fatalf("told %v of 40 births and deaths", counts)
			}
		}
		if counts["appeared"] != 40 || counts["removed"] != 40 {
			t.Fatalf("told %v", counts)
		}
		if after := watches(t, reg); after != before {
			t.Fatalf("%v watches, then %v", before, after)
		}
	})
}

func TestPastTheLimitsTheRestIsCounted(t *testing.T) {
	beds(t, func(t *testing.T, b *bed) {
		mkdir(t, b.dir, "docker")
		reg := prometheus.NewRegistry()
		s := b.run(t, population.Config{MaxDirs: 2, MaxContainers: 1, Metrics: reg})
		mkdir(t, b.dir, "other")
		mkdir(t, b.dir, "docker", id("a"))
		s.want(t, "appeared a")
		mkdir(t, b.dir, "docker", id("b"))
		s.quiet(t)
		want := `
# HELP plimsoll_agent_cgroup_watches_refused_total Directories, containers and processes not watched: past a limit of the agent or the kernel. Births and deaths there are heard of from the runtime alone.
# TYPE plimsoll_agent_cgroup_watches_refused_total counter
plimsoll_agent_cgroup_watches_refused_total{reason="container"} 1
plimsoll_agent_cgroup_watches_refused_total{reason="directory"} 1
`
		refused := func() error {
			return testutil.GatherAndCompare(reg, strings.NewReader(want), "plimsoll_agent_cgroup_watches_refused_total")
		}
		for deadline := time.Now().Add(5 * time.Second); refused() != nil && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		if err := refused(); err != nil {
			t.Error(err)
		}
	})
}

func watches(t *testing.T, reg *prometheus.Registry) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "plimsoll_agent_cgroup_watches" {
			return f.Metric[0].Gauge.GetValue()
		}
	}
	t.Fatal("no plimsoll_agent_cgroup_watches")
	return 0
}
