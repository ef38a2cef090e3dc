// Package docker tells which containers the local Docker engine runs, as they are born, change and die.
//
// It follows the engine's event stream and asks about a container once per start (an inspect costs the engine and the agent
// 0.4 ms together, so never per tick). What the stream does not deliver is corrected: after a reconnect the engine replays what
// it remembers and all running containers are asked about again, and every few minutes the list of running containers is
// compared with what was told. The facts go to a Sink, from one goroutine, in order per container.
package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/client"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// DefaultHost is where the engine listens unless told otherwise.
const DefaultHost = "unix:///var/run/docker.sock"

// Config says where the engine is and how patiently it is asked. The zero value works.
type Config struct {
	// Host is the engine's address, unix:///path or tcp://host:port. "" is DefaultHost.
	Host string
	// CAFile has the authorities that may have signed the engine's certificate, CertFile and KeyFile are what the agent shows of itself, in
	// PEM, read anew with each connection. Without any of them tcp:// is plain text.
	CAFile, CertFile, KeyFile string
	// Timeout is how long one request may take. 0 is 10 s.
	Timeout time.Duration
	// Relist is how often the list of running containers is compared with what was told. 0 is 2 min.
	Relist time.Duration
	// SwarmInterval is how often the leader of a Swarm is asked about its services. 0 is 15 s.
	SwarmInterval time.Duration
	// StatsInterval is how often the figures are asked for of containers that Engine.Figures names. 0 is 15 s.
	StatsInterval time.Duration
	// ForeignPIDs tells that the engine's processes are not this host's: Container.PID stays 0, as the number means another process here.
	ForeignPIDs bool
	// SamePIDs tells that numbers of processes are looked up among those of this process's PID namespace. Those of an engine on a unix socket that
	// runs outside of it are foreign then: Info.Outside.
	SamePIDs bool
	// BackoffMin and BackoffMax bound the pause before the next attempt to connect, which doubles from one to the other, with
	// jitter. 0 is 250 ms and 15 s.
	BackoffMin, BackoffMax time.Duration
	// Optional tells that the node may have no engine: a socket that was never there is no fault then. ErrAbsent.
	Optional bool
	// Connected is told at every connection, before its containers are, what engine it is and what it says of its Swarm node. nil: nobody asks.
	Connected func(Info, Swarm)
	// MaxContainers is how many containers are followed; the rest is counted and left out. 0 is 10,000.
	MaxContainers int
	// Metrics is where the package's own metrics are registered. nil is nowhere.
	Metrics prometheus.Registerer
}

// Sink learns what happens to containers. Started and Died alternate for one ID; OOM may still come after Died. At is the
// engine's time of the event. The methods must not block for long: the next event waits.
type Sink interface {
	// Started tells a container that runs: at its start, or when the agent finds it running.
	Started(c Container, at time.Time)
	// Changed tells new facts of a running container: name, health, paused.
	Changed(c Container, at time.Time)
	// OOM tells one out-of-memory kill in the container.
	OOM(id cgroup.ContainerID, at time.Time)
	// Died tells the end of a life. The container may start again.
	Died(id cgroup.ContainerID, at time.Time, exit Exit)
	// Gone tells that the engine has removed the container.
	Gone(id cgroup.ContainerID, at time.Time)
}

// Engine is the source. New makes it, Run works it.
type Engine struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	recheck chan cgroup.ContainerID
	connect func(ctx context.Context) (connection, Info, error)

	figuresNew chan struct{} // readable when there are new figures
	figuresMu  sync.Mutex    // before that of one Figures
	figures    map[*Figures]struct{}

	since   time.Time   // of Resume
	running []Container // likewise

	mu    sync.Mutex // guards the rest
	state State
	info  *Info
	swarm *Swarm // nil before the engine was asked
	// swarmUp tells that the newest question about the Swarm was answered.
	swarmUp bool
}

// New checks cfg and starts nothing: an engine that is not there is no error.
func New(cfg Config, log *slog.Logger) (*Engine, error) {
	cfg = cfg.withDefaults()
	host, err := client.ParseHostURL(cfg.Host)
	if err != nil {
		return nil, fmt.Errorf("docker host %q: want unix:///path or tcp://host:port", cfg.Host)
	}
	if host.Scheme != "unix" && host.Scheme != "tcp" {
		return nil, fmt.Errorf("docker host %q: scheme %q is not supported, want unix:///path or tcp://host:port", cfg.Host, host.Scheme)
	}
	if cfg.encrypted() && host.Scheme != "tcp" {
		return nil, fmt.Errorf("docker host %q: certificates are for tcp:// alone", cfg.Host)
	}
	if (cfg.CertFile == "") != (cfg.KeyFile == "") {
		return nil, errors.New("docker certificate and key: give both or neither")
	}
	for name, d := range map[string]time.Duration{"Timeout": cfg.Timeout, "Relist": cfg.Relist, "SwarmInterval": cfg.SwarmInterval, "StatsInterval": cfg.StatsInterval, "BackoffMin": cfg.BackoffMin, "BackoffMax": cfg.BackoffMax} {
		if d < 0 {
			return nil, fmt.Errorf("docker %s %s: must not be negative", name, d)
		}
	}
	if cfg.BackoffMin > cfg.BackoffMax {
		return nil, fmt.Errorf("docker BackoffMin %s is longer than BackoffMax %s", cfg.BackoffMin, cfg.BackoffMax)
	}
	if cfg.MaxContainers < 0 {
		return nil, fmt.Errorf("docker MaxContainers %d: must not be negative", cfg.MaxContainers)
	}
	e := &Engine{
		cfg:     cfg,
		log:     log,
		recheck: make(chan cgroup.ContainerID, 1024),
		state:   State{Reason: "not connected yet"},
		figures: map[*Figures]struct{}{}, figuresNew: make(chan struct{}, 1),
	}
	e.connect = e.dial
	if e.metrics, err = newMetrics(cfg.Metrics, e); err != nil {
		return nil, fmt.Errorf("register docker metrics: %w", err)
	}
	return e, nil
}

func (c *Config) encrypted() bool { return c.CAFile != "" || c.CertFile != "" || c.KeyFile != "" }

func (c Config) withDefaults() Config {
	if c.Host == "" {
		c.Host = DefaultHost
	}
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&c.Timeout, 10 * time.Second}, {&c.Relist, 2 * time.Minute}, {&c.SwarmInterval, 15 * time.Second}, {&c.StatsInterval, 15 * time.Second}, {&c.BackoffMin, 250 * time.Millisecond}, {&c.BackoffMax, 15 * time.Second}} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	if c.MaxContainers == 0 {
		c.MaxContainers = 10_000
	}
	return c
}

// Resume tells, before Run, what an earlier run had told its sink: all news up to since, and which containers ran then. What happened
// meanwhile is asked of the engine, which remembers 256 events, and told; what those lack the list of running containers corrects. A
// zero since resumes nothing but the containers.
func (e *Engine) Resume(since time.Time, running []Container) { e.since, e.running = since, running }

// Run tells sink what the engine runs until ctx ends, connecting again whenever the engine goes away. It returns nil.
// Containers are not told dead because the engine is: they may well run on.
func (e *Engine) Run(ctx context.Context, sink Sink) error {
	t := newTracker(sink, e.cfg.MaxContainers, e.metrics)
	t.resume(e.since, e.running)
	if strings.HasPrefix(e.cfg.Host, "unix://") {
		t.began = time.Now()
	}
	for attempt := 0; ; attempt++ {
		began := time.Now()
		err := e.once(ctx, t)
		t.disconnected(time.Now())
		if ctx.Err() != nil {
			return nil
		}
		e.setDown(err, time.Now())
		if time.Since(began) > e.cfg.BackoffMax {
			attempt = 0
		}
		if !sleep(ctx, backoff(attempt, e.cfg.BackoffMin, e.cfg.BackoffMax, rand.Float64())) {
			return nil
		}
	}
}

// once connects and follows the engine until something fails.
func (e *Engine) once(ctx context.Context, t *tracker) error {
	conn, info, err := e.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.close()
	e.metrics.connects.Inc()
	if e.cfg.Connected != nil {
		swarm, err := conn.swarm(ctx, info)
		if err != nil {
			swarm, _ = e.Swarm() // what was known; followSwarm asks again, and says so
		}
		e.cfg.Connected(info, swarm)
	}
	t.connected(info)
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	asking.Go(func() { e.followSwarm(ctx, conn, info) })
	asking.Go(func() { e.followFigures(ctx, conn) })
	asking.Go(func() { e.followNewFigures(ctx, conn) })
	return e.follow(ctx, conn, t, func(running int) { e.setUp(info, running, time.Now()) })
}

// Recheck asks the engine about a container whose cgroup is gone although it was not told dead. It never blocks.
func (e *Engine) Recheck(id cgroup.ContainerID) {
	select {
	case e.recheck <- id:
	default: // the next comparison of the lists finds it
	}
}

// Probe connects once and tells what engine is there. The error's text is what State.Reason would be.
func (e *Engine) Probe(ctx context.Context) (Info, error) {
	conn, info, err := e.connect(ctx)
	if err != nil {
		return Info{}, e.explain(err)
	}
	conn.close()
	return info, nil
}

// Containers connects once and tells the running containers.
func (e *Engine) Containers(ctx context.Context) ([]Container, error) {
	conn, _, err := e.connect(ctx)
	if err != nil {
		return nil, e.explain(err)
	}
	defer conn.close()
	listed, err := conn.list(ctx)
	if err != nil {
		return nil, e.explain(err)
	}
	containers := make([]Container, 0, len(listed))
	for _, l := range listed {
		found, err := conn.inspect(ctx, l.ID)
		if errors.Is(err, errNoSuchContainer) || err == nil && !found.running {
			continue
		}
		if err != nil {
			return nil, e.explain(err)
		}
		containers = append(containers, found.Container)
	}
	return containers, nil
}

// ErrAbsent says that there is no engine where none need be.
var ErrAbsent = errors.New("no Docker engine on this node")

func (e *Engine) explain(err error) error {
	if e.absent(err) {
		return fmt.Errorf("%w: there is no %s", ErrAbsent, strings.TrimPrefix(e.cfg.Host, "unix://"))
	}
	return errors.New(reason(e.cfg.Host, e.cfg.Timeout, err))
}

func (e *Engine) absent(err error) bool { return e.cfg.Optional && errors.Is(err, fs.ErrNotExist) }

// backoff is the pause before attempt number attempt (from 0): it doubles from shortest to longest; jitter, in [0,1), takes
// up to half of it away so that many agents do not knock together.
func backoff(attempt int, shortest, longest time.Duration, jitter float64) time.Duration {
	pause := longest
	if attempt < 30 && shortest<<attempt < longest {
		pause = shortest << attempt
	}
	return pause - time.Duration(jitter*float64(pause)/2)
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
