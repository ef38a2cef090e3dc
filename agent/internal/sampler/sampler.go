// Package sampler reads every container of the node at two cadences and hands each round to the spool as one or more batches.
//
// Every peak interval (1 s) it reads CPU usage of those that may have run, by what the cgroup above them used, and memory of those whose CPU moved; every interval (15 s) everything. Births,
// deaths, OOM kills and health changes do not wait: they are sampled and appended when they are heard of. A death is heard of twice:
// from the kernel when the container's first process ends, in time for the final reading, and from the engine, which knows the
// exit code. Readings are made one at a time, under the lock that the text exposition takes too.
package sampler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/host"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/process"
	"github.com/plimsoll/plimsoll/agent/internal/series"
	"github.com/plimsoll/plimsoll/agent/internal/shed"
	"github.com/plimsoll/plimsoll/agent/wire"
)

// Appender takes one encoded WriteRequest with that many samples and does not keep the slice. The spool is one.
type Appender interface {
	Append(payload []byte, samples int) (seq uint64, err error)
}

// Containers tells what runs on the node. The inventory's Table is one.
type Containers interface {
	Wake() <-chan struct{}
	Drain(dst []inventory.Event) (events []inventory.Event, lost int)
	Live(dst []inventory.Container) []inventory.Container
	Slots(dst []inventory.Slot) []inventory.Slot
	ReportOOMKills(id cgroup.ContainerID, life, kernelCount uint64)
	// Settle gives the reason of an exit as it is known now; counted tells that the kernel's last count of kills was reported.
	Settle(id cgroup.ContainerID, life uint64, counted bool) (inventory.Reason, bool)
}

// Exits watches processes and calls Sampler.Exited when one ends. An exits.Watcher is one.
type Exits interface {
	Watch(id cgroup.ContainerID, pid int) (ended bool, err error)
	Forget(id cgroup.ContainerID)
}

// Config says what to read, how often, and where to.
type Config struct {
	Interval     time.Duration // between full rounds; 0 = 15 s; a multiple of PeakInterval
	PeakInterval time.Duration // between CPU and memory readings for the peaks; 0 = 1 s
	BatchBytes   int           // a batch is closed at this size, uncompressed; 0 = 1 MiB
	MaxHeld      int           // most containers whose readings wait for their name; 0 = 1,024
	MaxCgroups   int           // most cgroups shown beside containers (slices); 0 = 64
	BirthsAtOnce int           // containers begun in one go, others a moment later; 0 = 50

	Limits shed.Limits              // of the process; past them work is left out
	Used   func() (shed.Use, error) // by the process; nil = the kernel tells

	Groups       catalog.Groups // of metrics; 0 = the default ones
	SlowInterval time.Duration  // between readings of the slow groups; 0 = 60 s; rounded down to full rounds, at least one
	SlowBudget   time.Duration  // most time of a full round spent on them, the rest waits for the next; 0 = 100 ms
	Proc         string         // where the host's proc is mounted; "" = /proc
	Layers       Layers         // of the group layers; nil = none

	NodeLabels identity.Node
	FS         cgroup.FS
	Node       *host.Node
	Containers Containers
	Out        Appender
	Budget     *cgroup.Budget
	Faults     cgroup.Faults               // told of files that can not be read; nil = nobody
	Exits      Exits                       // nil = final readings wait for the engine's event
	Sources    []Source                    // of series besides those of the node and its containers
	Own        prometheus.Gatherer         // the agent's own metrics, shipped every interval; nil = none
	Ask        Ask                         // of the engine, where a cgroup can not be read; nil = nothing is asked
	AskFirst   bool                        // ask even where the cgroup could be read
	Vanished   func(id cgroup.ContainerID) // told when a cgroup is gone that nobody reported dead; nil = nobody
	Metrics    prometheus.Registerer
}

// Sampler holds the node's targets. Build it with New.
type Sampler struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics

	mu       sync.Mutex // guards what follows against AppendText and SetCgroups; Run holds it while it reads
	targets  map[cgroup.ContainerID]*target
	order    []*target // of inOrder
	slots    map[inventory.SlotKey]*slot
	families map[string]*family // by family.path
	lives    *lives
	records  []exitRecord // oldest first
	cgroups  map[string]*target
	sourced  map[string]*sourced // by their labels, encoded
	key      []byte
	wanted   []string // cgroups beside containers, as SetCgroups last said
	node     *target
	machine  *series.Set
	own      *ownSeries

	machineAt time.Time // of the newest look at the machine

	view      view
	slow      slow
	restraint restraint

	wake     chan struct{}        // readable when lives have ended
	ended    []cgroup.ContainerID // those
	answered []cgroup.ContainerID // containers the engine has answered for
	buf      []byte               // kernel files are read into it
	glance   cgroup.Stats         // what a one-second reading finds
	batch    batch
	events   []inventory.Event // drained and not taken yet
	births   int               // that may still be taken before a rest
	rested   time.Time         // end of the newest rest
	live     []inventory.Container
	counted  []inventory.Slot
	failing  bool // a reading of this round lacked a file
	round    uint64
}

// New checks cfg; it reads and starts nothing.
func New(cfg Config, log *slog.Logger) (*Sampler, error) {
	if cfg.Interval == 0 {
		cfg.Interval = 15 * time.Second
	}
	if cfg.PeakInterval == 0 {
		cfg.PeakInterval = time.Second
	}
	if cfg.BatchBytes == 0 {
		cfg.BatchBytes = 1 << 20
	}
	if cfg.MaxHeld == 0 {
		cfg.MaxHeld = 1024
	}
	if cfg.MaxCgroups == 0 {
		cfg.MaxCgroups = 64
	}
	if cfg.BirthsAtOnce == 0 {
		cfg.BirthsAtOnce = 50
	}
	if cfg.Groups == 0 {
		cfg.Groups = catalog.DefaultGroups()
	}
	if cfg.SlowInterval == 0 {
		cfg.SlowInterval = time.Minute
	}
	if cfg.SlowBudget == 0 {
		cfg.SlowBudget = 100 * time.Millisecond
	}
	if cfg.Proc == "" {
		cfg.Proc = "/proc"
	}
	if cfg.PeakInterval < 100*time.Millisecond || cfg.Interval < cfg.PeakInterval || cfg.Interval%cfg.PeakInterval != 0 {
		return nil, fmt.Errorf("--interval=%s must be a multiple of --peak-interval=%s, which is at least 100ms", cfg.Interval, cfg.PeakInterval)
	}
	cfg.FS = cfg.FS.Only(figures(cfg.Groups))
	labels := nodeLabels(cfg.NodeLabels)
	s := &Sampler{
		cfg: cfg, log: log, metrics: newMetrics(cfg.Metrics),
		targets:  map[cgroup.ContainerID]*target{},
		slots:    map[inventory.SlotKey]*slot{},
		families: map[string]*family{},
		lives:    newLives(cfg.MaxHeld, cfg.Metrics), wake: make(chan struct{}, 1),
		cgroups: map[string]*target{},
		sourced: map[string]*sourced{},
		machine: series.New(labels), machineAt: time.Now(),
		buf: make([]byte, cgroup.BufferSize),
	}
	var err error
	if s.restraint, err = newRestraint(cfg); err != nil {
		return nil, err
	}
	s.view = view{groups: cfg.Groups}
	if cfg.Node != nil {
		s.view.deviceName, s.view.blkioName = cfg.Node.DeviceName, blkioNames(cfg.Node.DeviceName)
	}
	s.slow = slow{proc: process.Open(cfg.Proc, cfg.Faults), every: max(1, uint64(cfg.SlowInterval/cfg.Interval)), budget: cfg.SlowBudget, buf: s.buf}
	s.node = &target{source: cfg.Node, set: series.New(cgroupLabels(cfg.NodeLabels, "/"))}
	if cfg.Own != nil {
		s.own = newOwnSeries(cfg.Own, labels)
	}
	s.batch.out, s.batch.limit = s.append, cfg.BatchBytes
	return s, nil
}

// exitGrace is how long a container whose process has ended waits for the engine to say so before its series end anyway.
const exitGrace = 10 * time.Second

func cgroupLabels(n identity.Node, path string) []wire.Label {
	return append(nodeLabels(n), wire.Label{Name: "id", Value: path})
}

func nodeLabels(n identity.Node) []wire.Label {
	return []wire.Label{{Name: "cluster", Value: n.Cluster}, {Name: "idc", Value: n.IDC}, {Name: "node", Value: n.Node}}
}

// SetNode gives the node's own series new labels, for an idc or cluster that is learnt late. Containers are relabelled by the
// inventory.
func (s *Sampler) SetNode(n identity.Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().UnixMilli()
	s.cfg.NodeLabels = n
	s.batch.relabel(s.node.set, cgroupLabels(n, "/"), now)
	s.batch.relabel(s.machine, nodeLabels(n), now)
	for path, t := range s.cgroups {
		s.batch.relabel(t.set, cgroupLabels(n, path), now)
	}
	if s.own != nil {
		s.own.relabel(&s.batch, nodeLabels(n), now)
	}
	s.batch.flush()
}

// Run samples until ctx ends; then it writes a last full round, so that nothing seen is lost, ends the agent's own series, by which
// receivers tell an agent that was stopped from one that died, and returns nil.
func (s *Sampler) Run(ctx context.Context) error {
	s.Full()
	ticker := time.NewTicker(s.cfg.PeakInterval)
	defer ticker.Stop()
	defer s.close()
	perFull := int(s.cfg.Interval / s.cfg.PeakInterval)
	for tick := 1; ; {
		select {
		case <-ctx.Done():
			s.Full()
			s.endOwn()
			return nil
		case <-s.cfg.Containers.Wake():
			s.Events()
		case <-s.wake:
			s.Events()
		case <-ticker.C:
			if tick%perFull == 0 {
				s.Full()
			} else {
				s.Peaks()
			}
			tick++
		}
	}
}

// endOwn ends the agent's own series. Those of containers go on: they live.
func (s *Sampler) endOwn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own != nil {
		s.own.end(&s.batch, time.Now().UnixMilli()+1) // after the last round
		s.batch.flush()
	}
}

// Events samples what was born, died or changed since it was last called.
func (s *Sampler) Events() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takeEvents()
	s.batch.flush()
}

// Full reads every target once and appends the round.
func (s *Sampler) Full() {
	s.mu.Lock()
	defer s.mu.Unlock()
	began := time.Now()
	s.failing = false
	s.round++
	s.takeEvents()
	for _, t := range s.inOrder() {
		switch {
		case t.round == s.round: // born in this round: read a moment ago
		case !t.exited.IsZero():
			s.linger(t)
		case !shownAsAnswered(t) && !s.skips(t):
			s.sample(t)
		}
	}
	s.sampleSlow()
	s.sampleCgroups()
	s.sampleNode()
	s.sampleSlots(allSlots)
	s.sampleSources()
	s.endRecords()
	s.lives.expire(time.Now())
	s.restrain(time.Now())
	if s.own != nil {
		s.own.append(&s.batch, time.Now().UnixMilli(), s.metrics)
	}
	s.batch.flush()
	s.metrics.rounds.Inc()
	s.metrics.roundSeconds.Observe(time.Since(began).Seconds())
}

// Peaks reads CPU usage of every target that may have run, and memory of those whose CPU moved, as far as the limits allow.
func (s *Sampler) Peaks() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leavesOut(shed.CPUPeaks) {
		return
	}
	s.leavesOut(shed.MemoryPeaks)
	s.leavesOut(shed.StallPeaks)
	for _, f := range s.families {
		s.passOver(f)
	}
	s.node.peak(s.buf, &s.glance, s.view)
}

// SetCgroups names the cgroups besides containers (slices) to show from the next round on; safe for concurrent use.
func (s *Sampler) SetCgroups(paths []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.metrics.cgroupsRefused.Set(float64(max(0, len(paths)-s.cfg.MaxCgroups)))
	s.wanted = append(s.wanted[:0], paths[:min(len(paths), s.cfg.MaxCgroups)]...)
}

// append is the way out of every batch.
func (s *Sampler) append(payload []byte, samples int) {
	s.metrics.samples.Add(float64(samples))
	if s.cfg.Out == nil {
		return
	}
	if _, err := s.cfg.Out.Append(payload, samples); err != nil {
		// The spool has counted the loss by reason; nothing is left to do here.
		s.log.Debug("append batch", "samples", samples, "error", err)
	}
}

func (s *Sampler) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lives.close()
	for _, t := range s.targets {
		t.source.Close()
	}
	for _, t := range s.cgroups {
		t.source.Close()
	}
	for _, f := range s.families {
		f.close()
	}
}

// sample reads one target and adds it to the batch.
func (s *Sampler) sample(t *target) {
	t.round = s.round
	err := t.read(s.buf, s.view)
	switch {
	case errors.Is(err, cgroup.ErrGone):
		s.gone(t)
		return
	case err != nil:
		s.failing = true
		s.metrics.targetErrors.Inc()
	}
	s.metrics.seriesRefused.Add(float64(t.refused))
	s.reportOOMKills(t)
	s.batch.add(t.set, t.at.UnixMilli())
}
