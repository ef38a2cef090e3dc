package docker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// puppet is an engine in memory.
type puppet struct {
	mu       sync.Mutex
	refused  error // connecting fails with it
	running  map[cgroup.ContainerID]inspection
	messages chan events.Message
	ended    chan error
	asked    int
	slow     time.Duration    // of an inspection
	past     []events.Message // remembered, and told again to who asks

	isManager    bool
	figuresOf    func(id cgroup.ContainerID) (container.StatsResponse, error)
	swarmSays    Swarm
	swarmRefused error
}

func (p *puppet) connect(context.Context) (connection, Info, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused != nil {
		return nil, Info{}, p.refused
	}
	p.messages, p.ended = make(chan events.Message, 10), make(chan error, 1)
	return p, Info{Version: "x", CgroupDriver: "cgroupfs", SwarmManager: p.isManager, at: time.Now()}, nil
}

func (p *puppet) close() {}

func (p *puppet) info(context.Context) (Info, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Info{Version: "x", CgroupDriver: "cgroupfs", SwarmManager: p.isManager, at: time.Now()}, nil
}

func (p *puppet) swarm(_ context.Context, info Info) (Swarm, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !info.SwarmManager {
		return Swarm{}, nil
	}
	return p.swarmSays, p.swarmRefused
}

func (p *puppet) list(context.Context) (all []Container, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, found := range p.running {
		if found.running {
			all = append(all, found.Container)
		}
	}
	return all, nil
}

func (p *puppet) inspect(ctx context.Context, id cgroup.ContainerID) (inspection, error) {
	p.mu.Lock()
	p.asked++
	found, ok := p.running[id]
	slow := p.slow
	p.mu.Unlock()
	if !sleep(ctx, slow) {
		return inspection{}, ctx.Err()
	}
	if !ok {
		return inspection{}, errNoSuchContainer
	}
	return found, nil
}

func (p *puppet) stats(_ context.Context, id cgroup.ContainerID) (container.StatsResponse, error) {
	return p.figuresOf(id)
}

func (p *puppet) limits(context.Context, cgroup.ContainerID) (limits, error) {
	return limits{ownNetwork: true, quota: 50 * time.Millisecond, period: defaultPeriod}, nil
}

func (p *puppet) events(_ context.Context, since time.Time) (<-chan events.Message, <-chan error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.past {
		if m.TimeNano >= since.UnixNano() {
			p.messages <- m
		}
	}
	return p.messages, p.ended
}

func (p *puppet) set(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
}

func (p *puppet) emit(id string, action events.Action, attributes map[string]string) {
	p.messages <- message(id, action, attributes)
}

func message(id string, action events.Action, attributes map[string]string) events.Message {
	return events.Message{Type: events.ContainerEventType, Action: action, Actor: events.Actor{ID: id, Attributes: attributes}, TimeNano: time.Now().UnixNano()}
}

// onStage runs an Engine on a puppet in a synctest bubble, and ends it after play.
func onStage(t *testing.T, play func(p *puppet, e *Engine, l *ledger, logged func() []string)) {
	synctest.Test(t, func(t *testing.T) {
		var out lockedBuffer
		e, err := New(Config{Metrics: prometheus.NewRegistry()}, slog.New(slog.NewTextHandler(&out, nil)))
		if err != nil {
			t.Fatal(err)
		}
		p := &puppet{running: map[cgroup.ContainerID]inspection{}}
		e.connect = p.connect
		l := &ledger{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx, l) }()
		synctest.Wait()
		play(p, e, l, out.lines)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) lines() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Split(strings.TrimSpace(b.buf.String()), "\n")
}

func container1(startedAt time.Time) inspection {
	return inspection{Container: Container{ID: "c1", Name: "web", PID: 7, StartedAt: startedAt}, running: true}
}

func TestAnOutageIsLoggedOnceAndSoIsItsEnd(t *testing.T) {
	onStage(t, func(p *puppet, e *Engine, l *ledger, logged func() []string) {
		p.set(func() { p.refused = fs.ErrNotExist })
		p.ended <- io.EOF
		time.Sleep(time.Hour)
		if s := e.State(); s.Up || !strings.Contains(s.Reason, "does not exist") || time.Since(s.Since) < 59*time.Minute {
			t.Errorf("state %+v", s)
		}
		p.set(func() { p.refused = fs.ErrPermission })
		time.Sleep(time.Hour)
		p.set(func() { p.refused = nil })
		time.Sleep(time.Minute)
		want := []string{"connected", "closed the connection", "does not exist", "permission denied", "connected"}
		lines := logged()
		if len(lines) != len(want) {
			t.Fatalf("logged %d lines:\n%s", len(lines), strings.Join(lines, "\n"))
		}
		for i := range want {
			if !strings.Contains(lines[i], want[i]) {
				t.Errorf("line %d is %q, want %q in it", i, lines[i], want[i])
			}
		}
	})
}

func TestAMissedEventIsCorrectedByTheNextList(t *testing.T) {
	onStage(t, func(p *puppet, e *Engine, l *ledger, _ func() []string) {
		p.set(func() { p.running["c1"] = container1(time.Now()) })
		time.Sleep(2*time.Minute + time.Second)
		p.set(func() {
			p.running["c1"] = inspection{Container: p.running["c1"].Container, exit: Exit{Code: 4, Known: true}, finishedAt: time.Now()}
		})
		time.Sleep(2 * time.Minute)
		if got := l.story("c1"); got != "started died" {
			t.Errorf("the story is %q", got)
		}
		if got := l.last("c1", "died").exit; got.Code != 4 {
			t.Errorf("exit %+v", got)
		}
	})
}

func TestAContainerIsAskedAboutOnceHoweverLongItRuns(t *testing.T) {
	onStage(t, func(p *puppet, e *Engine, l *ledger, _ func() []string) {
		p.set(func() { p.running["c1"] = container1(time.Now()) })
		time.Sleep(24 * time.Hour)
		p.set(func() {
			if p.asked != 1 {
				t.Errorf("asked %d times in a day", p.asked)
			}
		})
	})
}

func TestAGoneCgroupMakesTheEngineBeAsked(t *testing.T) {
	onStage(t, func(p *puppet, e *Engine, l *ledger, _ func() []string) {
		p.set(func() { p.running["c1"] = container1(time.Now()) })
		p.emit("c1", "start", map[string]string{"name": "web"})
		synctest.Wait()
		e.Recheck("c1") // still there, as far as the engine knows
		synctest.Wait()
		p.set(func() { delete(p.running, "c1") })
		e.Recheck("c1")
		e.Recheck("unknown")
		synctest.Wait()
		if got := l.story("c1"); got != "started died gone" {
			t.Errorf("the story is %q", got)
		}
	})
}

func TestASlowAnswerForOneContainerHoldsNoOtherBack(t *testing.T) {
	onStage(t, func(p *puppet, e *Engine, l *ledger, _ func() []string) {
		p.set(func() { p.running["c1"] = container1(time.Now()) })
		p.emit("c1", "start", map[string]string{"name": "web"})
		synctest.Wait()
		p.set(func() { p.slow = 5 * time.Second })
		p.emit("c2", "start", map[string]string{"name": "slow"})
		time.Sleep(time.Second)
		p.emit("c1", "die", map[string]string{"exitCode": "0"})
		synctest.Wait()
		if got := l.story("c1"); got != "started died" {
			t.Errorf("while c2 is asked about, the story of c1 is %q", got)
		}
		time.Sleep(5 * time.Second)
		if got := l.story("c2"); got != "started" {
			t.Errorf("the story of c2 is %q", got)
		}
	})
}

func TestAStreamThatEndsIsOpenedAgain(t *testing.T) {
	onStage(t, func(p *puppet, e *Engine, l *ledger, _ func() []string) {
		p.ended <- errors.New("broken")
		time.Sleep(time.Minute)
		p.set(func() { p.running["c1"] = container1(time.Now()) })
		p.emit("c1", "start", map[string]string{"name": "web"})
		synctest.Wait()
		if got := l.story("c1"); got != "started" || !e.State().Up {
			t.Errorf("the story is %q, state %+v", got, e.State())
		}
	})
}

// An engine that starts after the agent runs for seconds before the agent tries to connect again, and its containers may be over by then.
func TestWhatEndsBeforeTheFirstConnectionIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &puppet{running: map[cgroup.ContainerID]inspection{}, refused: fs.ErrNotExist}
		p.past = append(p.past, message("c0", "start", nil), message("c0", "die", map[string]string{"exitCode": "1"}))
		time.Sleep(time.Second)
		for host, want := range map[string]string{DefaultHost: "started died gone", "tcp://10.0.0.1:2375": ""} { // a far engine's clock is another
			p.set(func() { p.refused = fs.ErrNotExist })
			e, err := New(Config{Host: host}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			e.connect = p.connect
			l := &ledger{}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- e.Run(ctx, l) }()
			time.Sleep(2 * time.Second)
			p.set(func() {
				for _, m := range []events.Message{message("c1", "start", map[string]string{"name": "job"}), message("c1", "die", map[string]string{"exitCode": "3"}), message("c1", "destroy", nil)} {
					m.TimeNano += int64(len(p.past))
					p.past = append(p.past, m)
				}
			})
			time.Sleep(time.Second)
			p.set(func() { p.refused = nil })
			time.Sleep(time.Minute)
			if got := l.story("c1"); got != want || l.story("c0") != "" {
				t.Errorf("%s: the story is %q, want %q; of a container from before the agent %q", host, got, want, l.story("c0"))
			}
			if want != "" && l.last("c1", "died").exit.Code != 3 {
				t.Errorf("%s: exit %+v", host, l.last("c1", "died").exit)
			}
			cancel()
			if err := <-done; err != nil {
				t.Errorf("run: %v", err)
			}
			p.past = p.past[:2]
		}
	})
}
