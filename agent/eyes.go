package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/docker"
	"github.com/plimsoll/plimsoll/agent/internal/exits"
	"github.com/plimsoll/plimsoll/agent/internal/host"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/kubernetes"
	"github.com/plimsoll/plimsoll/agent/internal/layers"
	"github.com/plimsoll/plimsoll/agent/internal/population"
	"github.com/plimsoll/plimsoll/agent/internal/projects"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
	"github.com/plimsoll/plimsoll/agent/internal/shed"
	"github.com/plimsoll/plimsoll/agent/projectmap"
)

// eyes are the agent's sources: the kernel's files, the container engine, and the inventory they fill.
type eyes struct {
	fs     cgroup.FS
	budget *cgroup.Budget
	faults *sampler.Faults
	host   *host.Node
	layers *layers.Walker // nil where the group is off
	engine *docker.Engine
	table  *inventory.Table
	exits  *exits.Watcher[cgroup.ContainerID] // nil where the kernel can not tell
	births *population.Watcher                // nil where the kernel can not tell
	firsts *exits.Watcher[string]             // first processes of young containers; nil where the kernel can not tell
	haste  *haste                             // of the three

	exitsErr, birthsErr error // why exits and births are nil

	where *whereabouts

	pods            *kubernetes.Source // nil where Kubernetes is off
	podsOff         error              // and why
	namespaceLabels []string

	projects *projects.Keeper // which project a container belongs to

	walkErr atomic.Pointer[error] // of the newest walk of the cgroup tree, nil when it went well
}

// reservedDescriptors are left to the spool, the receivers, the engine and the listener.
const reservedDescriptors = 256 + mostWatched + mostYoung

// mostWatched is the number of containers whose exit is heard from the kernel, one descriptor each.
const mostWatched = 2000

// mostYoung is the number of containers whose first process is watched before the runtime has named it: 25 births a second for as long as a
// container is young. The rest is heard of from cgroup.events.
const mostYoung = 750

func openEyes(cfg config, kept inventory.Ledger, log *slog.Logger, reg *prometheus.Registry) (*eyes, error) {
	if cfg.limitMemory > 0 {
		debug.SetMemoryLimit(int64(cfg.limitMemory) * 9 / 10) // the rest is the program itself
	}
	fs, err := cgroup.Detect(cfg.rootCgroup, cfg.rootProc)
	if err != nil {
		return nil, fmt.Errorf("--root.cgroup=%s: %w", cfg.rootCgroup, err)
	}
	switch {
	case fs.Own():
		log.Warn("the cgroup root is that of the agent's own container: other containers are not in it, and most figures of the node are left out; doctor says what to mount", "root", fs.Root())
	case fs.Nested():
		log.Warn("the cgroup root is a child cgroup, whose figures stand for the node's; doctor says what to mount if it is not the node", "root", fs.Root())
	}
	e := &eyes{fs: fs, faults: sampler.NewFaults(reg), haste: newHaste(reg)}
	samePIDs := hasOwnNumber(cfg.rootProc)
	if e.budget, err = cgroup.ProcessBudget(reservedDescriptors); err != nil {
		return nil, err
	}
	if e.host, err = host.Open(fs, cfg.rootProc, cfg.rootSys, cgroup.Options{Budget: e.budget, Faults: e.faults}); err != nil {
		return nil, fmt.Errorf("--root.proc=%s --root.sys=%s: %w; they must be where the host's proc and sys are mounted, as a rule /proc and /sys", cfg.rootProc, cfg.rootSys, err)
	}
	if cfg.groups.Has(catalog.GroupLayers) {
		e.layers = layers.New(layers.Config{Proc: cfg.rootProc, Metrics: reg})
	}
	if e.exits, e.exitsErr = openExits[cgroup.ContainerID](mostWatched, samePIDs); e.exitsErr != nil {
		log.Warn("final readings wait for the engine's events and may come too late", "reason", e.exitsErr)
	}
	if e.births, e.firsts, e.birthsErr = openBirths(fs, samePIDs, log, reg); e.birthsErr != nil {
		log.Warn("containers are heard of from the runtimes alone, short-lived ones may be missed", "reason", e.birthsErr)
	}
	e.where = newWhereabouts(cfg, reg)
	if err := e.openKubernetes(cfg, log, reg); err != nil {
		e.close()
		return nil, err
	}
	if e.engine, err = docker.New(docker.Config{Host: cfg.dockerHost, CAFile: cfg.dockerCA, CertFile: cfg.dockerCert, KeyFile: cfg.dockerKey, SwarmInterval: time.Duration(cfg.interval), StatsInterval: time.Duration(cfg.interval), ForeignPIDs: cfg.asksAll(), SamePIDs: samePIDs, Optional: e.pods != nil, Connected: e.connected, Metrics: reg}, log); err != nil {
		e.close()
		return nil, fmt.Errorf("--docker.host=%s: %w", cfg.dockerHost, err)
	}
	if e.where.incomplete() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		if info, err := e.engine.Probe(ctx); err == nil { // down: its state says so, and run asks again
			e.where.say(byEngine, info.Labels["idc"], info.Labels["cluster"])
			if swarm, err := e.engine.ProbeSwarm(ctx); err == nil {
				e.where.sayNode(bySwarm, swarm.NodeLabels)
			}
		}
		cancel()
	}
	if e.projects, err = openProjects(cfg, func(idc, cluster string) { e.where.say(byToken, idc, cluster) }, log, reg); err != nil {
		e.close()
		return nil, err
	}
	projectMap, _ := e.projects.Map()
	e.where.shown = e.where.node()
	if e.table, err = inventory.New(inventory.Config{Resolver: identity.Resolver{Node: e.where.shown, Projects: projectMap}, Locate: e.locate, Ledger: kept, Metrics: reg}, time.Now(), log); err != nil {
		e.close()
		return nil, err
	}
	e.engine.Resume(e.table.Resume())
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plimsoll_agent_source_up", Help: docker.SourceUpHelp, ConstLabels: prometheus.Labels{"source": "cgroup"}}, e.cgroupUp),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plimsoll_agent_descriptors", Help: "Kernel files held open."}, func() float64 { return float64(e.budget.Used()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plimsoll_agent_descriptors_limit", Help: "Most kernel files held open; past it files are opened for each reading."}, func() float64 { return float64(e.budget.Limit()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plimsoll_agent_cgroups_not_held", Help: "Cgroups read without held files, for want of descriptors."}, func() float64 { return float64(e.budget.Fallback()) }),
	)
	return e, nil
}

// openBirths opens the kernel's notices of cgroups that come, lose their last process and go.
func openBirths(fs cgroup.FS, samePIDs bool, log *slog.Logger, reg *prometheus.Registry) (*population.Watcher, *exits.Watcher[string], error) {
	cfg := population.Config{Metrics: reg}
	most := mostYoung
	_, populated := fs.NoticeTree()
	if !populated {
		most = mostWatched
	}
	firsts, err := openExits[string](most, samePIDs)
	switch {
	case err == nil:
		cfg.Processes = firsts
	case !populated:
		return nil, nil, err
	}
	births, err := population.New(fs, cfg, log)
	return births, firsts, err
}

// errOtherPIDs is why processes can not be watched where --root.proc numbers them otherwise than the kernel does for this process.
var errOtherPIDs = errors.New("the agent is in a PID namespace of its own and can not watch the processes outside of it (give it the host's: docker run --pid=host, hostPID: true)")

func openExits[K comparable](most int, samePIDs bool) (*exits.Watcher[K], error) {
	if !samePIDs {
		return nil, errOtherPIDs
	}
	return exits.New[K](most)
}

// hasOwnNumber tells whether this process has the number in a mounted proc that it has for itself: the proc of another PID namespace numbers
// all processes otherwise. What is no proc tells nothing.
func hasOwnNumber(proc string) bool {
	self, err := os.Readlink(filepath.Join(proc, "self"))
	return err != nil || self == strconv.Itoa(os.Getpid())
}

func (e *eyes) cgroupUp() float64 {
	if e.walkErr.Load() != nil {
		return 0
	}
	return 1
}

func (e *eyes) samplerConfig(cfg config, out sampler.Appender, reg *prometheus.Registry) sampler.Config {
	c := sampler.Config{
		Interval: time.Duration(cfg.interval), PeakInterval: time.Duration(cfg.peakInterval),
		NodeLabels: e.where.shown, Sources: e.sources(), FS: e.fs, Node: e.host, Containers: e.table, Out: out, Budget: e.budget, Faults: e.faults,
		Vanished: e.engine.Recheck,
		Groups:   cfg.groups, SlowInterval: time.Duration(cfg.slowInterval), SlowBudget: time.Duration(cfg.slowBudget), Proc: cfg.rootProc,
	}
	if cfg.dockerStats != statsNever {
		c.Ask, c.AskFirst = e.ask, cfg.asksAll()
	}
	if e.exits != nil {
		c.Exits = e.exits
	}
	if e.layers != nil {
		c.Layers = e.layers
	}
	if reg != nil {
		c.Own, c.Metrics = reg, reg
		c.Limits = shed.Limits{CPUCores: float64(cfg.limitCPU), MemoryBytes: int64(cfg.limitMemory)}
	} else {
		c.BirthsAtOnce = math.MaxInt // one look at everything
	}
	return c
}

// run follows the engine and the cgroup tree until ctx ends.
func (e *eyes) run(ctx context.Context, sampling *sampler.Sampler) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.engine.Run(ctx, e.table) })
	if e.pods != nil {
		g.Go(func() error { return e.pods.Run(ctx, e.table.Pods()) })
	}
	g.Go(func() error {
		return e.projects.Run(ctx, func(m *projectmap.Map) { e.table.SetProjects(m, time.Now()) })
	})
	g.Go(func() error { return e.learn(ctx, sampling) })
	if e.layers != nil {
		g.Go(func() error { return e.layers.Run(ctx) })
	}
	g.Go(func() error { return e.table.Run(ctx, e.walk(sampling)) })
	if e.exits != nil {
		g.Go(e.haste.urgently(func() error { return e.exits.Run(ctx, sampling.Exited) }))
	}
	if e.births != nil {
		g.Go(e.haste.urgently(func() error { return e.births.Run(ctx, sampling) }))
	}
	if e.births != nil && e.firsts != nil {
		g.Go(e.haste.urgently(func() error { return e.firsts.Run(ctx, e.births.Ended) }))
	}
	return g.Wait()
}

// walk yields every container cgroup to the inventory and tells the sampler of the others.
func (e *eyes) walk(sampling *sampler.Sampler) func(yield func(cgroup.Found)) error {
	return func(yield func(cgroup.Found)) error {
		var others []string
		err := e.fs.Walk(func(f cgroup.Found) {
			if f.ID == "" {
				others = append(others, f.Path)
				return
			}
			yield(f)
		})
		if err != nil {
			e.walkErr.Store(&err)
			return err
		}
		e.walkErr.Store(nil)
		sampling.SetCgroups(others)
		return nil
	}
}

func (e *eyes) close() {
	if e.host != nil {
		e.host.Close()
	}
}
