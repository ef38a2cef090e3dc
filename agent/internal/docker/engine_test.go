package docker

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

const (
	engineSocket = "/var/run/docker.sock"
	testImage    = "plimsoll-bb:test" // busybox
	prefix       = "docker-test-"
)

// lab is a live engine and an Engine that follows it.
type lab struct {
	t      *testing.T
	cli    *client.Client
	engine *Engine
	ledger *ledger
}

// requireEngine skips without a live engine that has the test image; where CI=true both must be there.
func requireEngine(t *testing.T) *client.Client {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("CI") == "true" {
		missing = t.Fatalf
	}
	cli, err := client.NewClientWithOpts(client.WithHost("unix://"+engineSocket), client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cli.Close() })
	if _, err := cli.Info(t.Context()); err != nil {
		missing("no Docker engine: %v", err)
	}
	if _, err := cli.ImageInspect(t.Context(), testImage); err != nil {
		missing("no image %s: %v", testImage, err)
	}
	return cli
}

func newLab(t *testing.T, host string) *lab {
	t.Helper()
	cli := requireEngine(t)
	e, err := New(Config{Host: host, BackoffMin: 50 * time.Millisecond, BackoffMax: 200 * time.Millisecond}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, cli: cli, engine: e, ledger: &ledger{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx, l.ledger) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return l
}

func (l *lab) connected() {
	l.t.Helper()
	eventually(l.t, "the engine is connected", func() bool { return l.engine.State().Up })
}

// run starts a container and removes it with the test.
func (l *lab) run(name string, cfg container.Config, host container.HostConfig) cgroup.ContainerID {
	l.t.Helper()
	if cfg.Image == "" {
		cfg.Image = testImage
	}
	made, err := l.cli.ContainerCreate(l.t.Context(), &cfg, &host, nil, nil, prefix+name)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		_ = l.cli.ContainerRemove(context.Background(), made.ID, container.RemoveOptions{Force: true})
	})
	if err := l.cli.ContainerStart(l.t.Context(), made.ID, container.StartOptions{}); err != nil {
		l.t.Fatal(err)
	}
	return cgroup.ContainerID(made.ID)
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// ledger is a sink that keeps what it is told of each container.
type ledger struct {
	mu      sync.Mutex
	entries []entry
}

type entry struct {
	what string // started, changed, oom, died, gone
	id   cgroup.ContainerID
	c    Container
	exit Exit
	at   time.Time
	seen time.Time
}

func (l *ledger) add(e entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.seen = time.Now()
	l.entries = append(l.entries, e)
}

func (l *ledger) Started(c Container, at time.Time) {
	l.add(entry{what: "started", id: c.ID, c: c, at: at})
}
func (l *ledger) Changed(c Container, at time.Time) {
	l.add(entry{what: "changed", id: c.ID, c: c, at: at})
}
func (l *ledger) OOM(id cgroup.ContainerID, at time.Time) { l.add(entry{what: "oom", id: id, at: at}) }
func (l *ledger) Died(id cgroup.ContainerID, at time.Time, exit Exit) {
	l.add(entry{what: "died", id: id, at: at, exit: exit})
}
func (l *ledger) Gone(id cgroup.ContainerID, at time.Time) {
	l.add(entry{what: "gone", id: id, at: at})
}

// of is what was told of id.
func (l *ledger) of(id cgroup.ContainerID) []entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.entries), func(e entry) bool { return e.id != id })
}

// story is what was told of id in words, without the changes: an engine may well report one twice.
func (l *ledger) story(id cgroup.ContainerID) string {
	var words []string
	for _, e := range l.of(id) {
		if e.what != "changed" {
			words = append(words, e.what)
		}
	}
	return strings.Join(words, " ")
}

func (l *ledger) last(id cgroup.ContainerID, what string) (found entry) {
	for _, e := range l.of(id) {
		if e.what == what {
			found = e
		}
	}
	return found
}

func (l *lab) story(id cgroup.ContainerID, want string) {
	l.t.Helper()
	eventually(l.t, "the story is: "+want, func() bool { return l.ledger.story(id) == want })
	if got := l.ledger.story(id); got != want {
		for _, e := range l.ledger.of(id) {
			l.t.Logf("%s %s at %s, seen %s: %+v %+v", e.what, e.id.Short(), e.at.Format(time.RFC3339Nano), e.seen.Format(time.RFC3339Nano), e.c, e.exit)
		}
		l.t.Fatalf("the story is %q, want %q", got, want)
	}
}

// changes waits for the newest change told of id to be as wanted.
func (l *lab) changes(id cgroup.ContainerID, what string, is func(Container) bool) {
	l.t.Helper()
	eventually(l.t, "it is "+what, func() bool {
		e := l.ledger.last(id, "changed")
		return e.what != "" && is(e.c)
	})
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Errorf("not within 20 s: %s", what)
}

func TestLiveAContainerIsToldAsItLives(t *testing.T) {
	l := newLab(t, "")
	l.connected()
	id := l.run("life", container.Config{Cmd: []string{"sleep", "600"}, Labels: map[string]string{"project": "shop"}}, container.HostConfig{NetworkMode: "none"})
	l.story(id, "started")
	c := l.ledger.last(id, "started").c
	if c.PID <= 1 || c.Name != prefix+"life" || c.Image != testImage || c.Labels["project"] != "shop" || c.NetworkMode != "none" || c.Health != HealthNone {
		t.Errorf("told %+v", c)
	}
	proc, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(c.PID), "cgroup"))
	if err != nil || !strings.Contains(string(proc), ":"+c.CgroupPath+"\n") {
		t.Errorf("cgroup path %q is not in /proc/%d/cgroup: %v\n%s", c.CgroupPath, c.PID, err, proc)
	}
	if age := time.Since(c.StartedAt); age < 0 || age > time.Minute || c.Created.After(c.StartedAt) {
		t.Errorf("created %s, started %s", c.Created, c.StartedAt)
	}

	l.must(l.cli.ContainerRename(t.Context(), string(id), prefix+"renamed"))
	l.changes(id, "renamed", func(c Container) bool { return c.Name == prefix+"renamed" })
	l.must(l.cli.ContainerPause(t.Context(), string(id)))
	l.changes(id, "paused", func(c Container) bool { return c.Paused })
	l.must(l.cli.ContainerUnpause(t.Context(), string(id)))
	l.changes(id, "running again", func(c Container) bool { return !c.Paused })

	now := 0
	l.must(l.cli.ContainerRestart(t.Context(), string(id), container.StopOptions{Timeout: &now}))
	l.story(id, "started died started")
	if again := l.ledger.last(id, "started").c; again.PID == c.PID || !again.StartedAt.After(c.StartedAt) || again.Name != prefix+"renamed" {
		t.Errorf("after the restart: %+v", again)
	}
	l.must(l.cli.ContainerRemove(t.Context(), string(id), container.RemoveOptions{Force: true}))
	l.story(id, "started died started died gone")
	died := l.ledger.last(id, "died")
	if died.exit != (Exit{Code: 137, Known: true, Asked: true}) {
		t.Errorf("exit %+v", died.exit)
	}
	if late := died.seen.Sub(died.at); late > 150*time.Millisecond {
		t.Logf("the death was told %s after it happened", late)
	}
}

func TestLiveShortLivedContainersAreAllTold(t *testing.T) {
	l := newLab(t, "")
	l.connected()
	var ids []cgroup.ContainerID
	for i, remove := range []bool{false, true, false, true} {
		seconds := []string{"0.2", "0.2", "0", "0"}[i]
		ids = append(ids, l.run("short"+strconv.Itoa(i), container.Config{Cmd: []string{"sh", "-c", "sleep " + seconds + "; exit 3"}}, container.HostConfig{AutoRemove: remove}))
	}
	for i, id := range ids {
		eventually(t, "it has died", func() bool { return strings.HasPrefix(l.ledger.story(id), "started died") })
		started, died := l.ledger.last(id, "started").c, l.ledger.last(id, "died")
		if started.Name != prefix+"short"+strconv.Itoa(i) || started.Image != testImage || died.exit != (Exit{Code: 3, Known: true}) {
			t.Errorf("container %d: started %+v, exit %+v", i, started, died.exit)
		}
	}
}

func TestLiveACrashLoopIsToldLifeByLife(t *testing.T) {
	l := newLab(t, "")
	l.connected()
	id := l.run("loop", container.Config{Cmd: []string{"sh", "-c", "exit 1"}}, container.HostConfig{RestartPolicy: container.RestartPolicy{Name: "on-failure", MaximumRetryCount: 3}})
	l.story(id, "started died started died started died started died")
	if n := l.ledger.last(id, "started").c.RestartCount; n != 3 {
		t.Errorf("restart count %d, want 3", n)
	}
}

func TestLiveAnOutOfMemoryKillIsTold(t *testing.T) {
	l := newLab(t, "")
	l.connected()
	id := l.run("oom", container.Config{Cmd: []string{"tail", "/dev/zero"}}, container.HostConfig{Resources: container.Resources{Memory: 16 << 20, MemorySwap: 16 << 20}})
	eventually(t, "it has died and the kill is told", func() bool {
		return l.ledger.last(id, "died").what != "" && l.ledger.last(id, "oom").what != ""
	})
	if exit := l.ledger.last(id, "died").exit; exit.Code != 137 {
		t.Errorf("exit %+v", exit)
	}
}

func TestLiveHealthIsToldAsItChanges(t *testing.T) {
	l := newLab(t, "")
	l.connected()
	id := l.run("health", container.Config{
		Cmd:         []string{"sleep", "600"},
		Healthcheck: &container.HealthConfig{Test: []string{"CMD", "test", "!", "-e", "/tmp/sick"}, Interval: 200 * time.Millisecond, Retries: 1},
	}, container.HostConfig{})
	l.changes(id, "healthy", func(c Container) bool { return c.Health == HealthHealthy })
	if first := l.ledger.last(id, "started").c.Health; first != HealthStarting && first != HealthHealthy {
		t.Errorf("at the start it is %s", first)
	}
	made, err := l.cli.ContainerExecCreate(t.Context(), string(id), container.ExecOptions{Cmd: []string{"touch", "/tmp/sick"}})
	l.must(err)
	l.must(l.cli.ContainerExecStart(t.Context(), made.ID, container.ExecStartOptions{}))
	l.changes(id, "unhealthy", func(c Container) bool { return c.Health == HealthUnhealthy })
}

func TestLiveAContainerStartedByItsImagesIDHasItsTagForAnImage(t *testing.T) {
	l := newLab(t, "")
	l.connected()
	img, err := l.cli.ImageInspect(t.Context(), testImage)
	l.must(err)
	short := strings.TrimPrefix(img.ID, "sha256:")[:12]
	id := l.run("byid", container.Config{Image: short, Cmd: []string{"sleep", "600"}}, container.HostConfig{})
	l.story(id, "started")
	if got := l.ledger.last(id, "started").c.Image; !slices.Contains(img.RepoTags, got) {
		t.Errorf("image %q, want one of %q", got, img.RepoTags)
	}
}

func TestLiveContainersThatRunAlreadyAreFound(t *testing.T) {
	cli := requireEngine(t)
	early := &lab{t: t, cli: cli}
	id := early.run("early", container.Config{Cmd: []string{"sleep", "600"}}, container.HostConfig{})
	l := newLab(t, "")
	l.connected()
	l.story(id, "started")

	containers, err := l.engine.Containers(t.Context())
	l.must(err)
	if !slices.ContainsFunc(containers, func(c Container) bool { return c.ID == id && c.PID > 1 }) {
		t.Errorf("Containers tells %d containers, %s is not among them", len(containers), id.Short())
	}
	info, err := l.engine.Probe(t.Context())
	l.must(err)
	if last, ok := l.engine.Info(); !ok || info.Version == "" || info.APIVersion == "" || last.Version != info.Version || info.CgroupDriver == "" {
		t.Errorf("info %+v, last %+v", info, last)
	}
}

// cable is a socket that leads to the engine and can be cut.
type cable struct {
	path     string
	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
}

func (c *cable) plug(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("unix", c.path)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.listener = listener
	c.mu.Unlock()
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
			c.mu.Lock()
			c.conns = append(c.conns, in, out)
			c.mu.Unlock()
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
		}
	}()
}

func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.listener.Close() // removes the socket
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

func TestLiveWhatHappensWhileTheEngineIsAwayIsToldAfterwards(t *testing.T) {
	requireEngine(t)
	line := &cable{path: filepath.Join(t.TempDir(), "engine.sock")}
	l := newLab(t, "unix://"+line.path)
	eventually(t, "the missing socket is the reason", func() bool {
		s := l.engine.State()
		return !s.Up && strings.HasSuffix(s.Reason, "engine.sock does not exist: start the Docker engine, or name its socket with --docker.host")
	})
	line.plug(t)
	t.Cleanup(line.cut)
	l.connected()
	busy := container.Config{Cmd: []string{"sleep", "600"}}
	stays := l.run("stays", busy, container.HostConfig{})
	dies := l.run("dies", container.Config{Cmd: []string{"sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.05; done"}}, container.HostConfig{})
	restarts := l.run("restarts", busy, container.HostConfig{})
	goes := l.run("goes", busy, container.HostConfig{})
	for _, id := range []cgroup.ContainerID{stays, dies, restarts, goes} {
		l.story(id, "started")
	}

	line.cut()
	eventually(t, "the source is down", func() bool { return !l.engine.State().Up })
	l.must(l.cli.ContainerStop(t.Context(), string(dies), container.StopOptions{}))
	now := 0
	l.must(l.cli.ContainerRestart(t.Context(), string(restarts), container.StopOptions{Timeout: &now}))
	l.must(l.cli.ContainerRemove(t.Context(), string(goes), container.RemoveOptions{Force: true}))
	born := l.run("born", busy, container.HostConfig{})
	brief := l.run("brief", container.Config{Cmd: []string{"sh", "-c", "exit 5"}}, container.HostConfig{})
	eventually(t, "the brief one has exited", func() bool {
		in, err := l.cli.ContainerInspect(t.Context(), string(brief))
		return err == nil && in.State.Status == container.StateExited
	})
	l.story(stays, "started") // an engine that is away kills nobody
	l.story(dies, "started")

	line.plug(t)
	l.connected()
	l.story(dies, "started died")
	l.story(restarts, "started died started")
	l.story(goes, "started died gone")
	l.story(born, "started")
	l.story(brief, "started died")
	l.story(stays, "started")
	// Whether somebody asked for it is told when the engine's event of the stop is read before the container is inspected.
	if exit := l.ledger.last(dies, "died").exit; exit.Code != 7 || !exit.Known || exit.OOMKilled {
		t.Errorf("the exit in the meantime is told as %+v", exit)
	}
	if exit := l.ledger.last(brief, "died").exit; exit != (Exit{Code: 5, Known: true}) {
		t.Errorf("the brief one's exit is told as %+v", exit)
	}
}

func TestLiveAnEngineThatDoesNotAnswerIsDownAndSaysSo(t *testing.T) {
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "mute.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	e, err := New(Config{Host: "unix://" + listener.Addr().String(), Timeout: 100 * time.Millisecond, Metrics: prometheus.NewRegistry()}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	want := "no answer from " + listener.Addr().String() + " within 100ms: the Docker engine hangs or is overloaded"
	if _, err := e.Probe(t.Context()); err == nil || err.Error() != want {
		t.Errorf("probe: %v, want %s", err, want)
	}
}
