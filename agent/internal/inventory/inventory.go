// Package inventory keeps the table of live containers of this node, and of the slots they fill.
//
// Runtimes and the cgroup tree feed it; the sampler drains births, changes and deaths from it. A container is real once a
// runtime has named it: what only the cgroup tree shows is held back and counted, never given a hash for a name. Counters of
// out-of-memory kills, restarts and exits belong to the slot (namespace, workload, pod, container), not to the container:
// they are 0 when the slot is discovered and outlive the container, so that an alert sees them grow.
package inventory

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/projectmap"
)

// Config bounds the table. The zero value works.
type Config struct {
	// Resolver turns a runtime's facts into labels.
	Resolver identity.Resolver
	// KeepSlots is how long a slot and its counters outlive its last container. 0 is 15 min.
	KeepSlots time.Duration
	// UnresolvedGrace is how long a container may be unnamed before it is worth a remark. 0 is 30 s.
	UnresolvedGrace time.Duration
	// WalkEvery is how often Run walks the cgroup tree and forgets what is old. 0 is 10 s.
	WalkEvery time.Duration
	// Most containers, dead ones of the last KeepSlots included, slots, empty ones of these, held back cgroups and undrained events. What is
	// past a limit is left out and counted; of empty slots it is the oldest, those without kills and restarts first. 0 is 10,000, 20,000,
	// 1,000, 4,096 and 65,536.
	MaxContainers, MaxSlots, MaxEmptySlots, MaxUnresolved, MaxEvents int
	// Locate finds what the API server does not tell of a pod's containers. nil finds nothing: the tree's walk has to.
	Locate Locate
	// Ledger keeps counters, and what they are counted from, over restarts of the agent. nil keeps nothing.
	Ledger Ledger
	// Metrics is where the package's own metrics are registered. nil is nowhere.
	Metrics prometheus.Registerer
}

// Table is the inventory. It is a docker.Sink, and its Pods a kubernetes.Sink. All methods may be called concurrently; none blocks.
type Table struct {
	cfg     Config
	began   time.Time
	log     *slog.Logger
	metrics *metrics
	wake    chan struct{}

	mu         sync.Mutex // guards the rest
	resolver   identity.Resolver
	containers map[cgroup.ContainerID]*entry
	slots      map[SlotKey]*slot
	unresolved map[cgroup.ContainerID]Unresolved
	lives      uint64
	queue      []Event
	lost       int
	remarked   bool // overdue unresolved containers have been logged

	newest  time.Time // the newest moment the engine has told of
	resumed time.Time // that of the agent's run before, if it is not too long ago

	pods        map[string]bool // UIDs the API server knows
	podRestarts map[podContainer]int
}

// New returns an empty table. What happened before began is history: it is shown, and not counted.
func New(cfg Config, began time.Time, log *slog.Logger) (*Table, error) {
	for _, d := range []struct {
		name     string
		value    *time.Duration
		fallback time.Duration
	}{{"KeepSlots", &cfg.KeepSlots, 15 * time.Minute}, {"UnresolvedGrace", &cfg.UnresolvedGrace, 30 * time.Second}, {"WalkEvery", &cfg.WalkEvery, 10 * time.Second}} {
		if *d.value < 0 {
			return nil, fmt.Errorf("inventory %s %s: must not be negative", d.name, *d.value)
		}
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	for _, n := range []struct {
		name     string
		value    *int
		fallback int
	}{{"MaxContainers", &cfg.MaxContainers, 10_000}, {"MaxSlots", &cfg.MaxSlots, 20_000}, {"MaxEmptySlots", &cfg.MaxEmptySlots, 1_000}, {"MaxUnresolved", &cfg.MaxUnresolved, 4_096}, {"MaxEvents", &cfg.MaxEvents, 65_536}} {
		if *n.value < 0 {
			return nil, fmt.Errorf("inventory %s %d: must not be negative", n.name, *n.value)
		}
		if *n.value == 0 {
			*n.value = n.fallback
		}
	}
	t := &Table{
		cfg: cfg, began: began, log: log, wake: make(chan struct{}, 1), resolver: cfg.Resolver,
		containers: map[cgroup.ContainerID]*entry{}, slots: map[SlotKey]*slot{}, unresolved: map[cgroup.ContainerID]Unresolved{},
		pods: map[string]bool{}, podRestarts: map[podContainer]int{},
	}
	var err error
	if t.metrics, err = newMetrics(cfg.Metrics, t); err != nil {
		return nil, fmt.Errorf("register inventory metrics: %w", err)
	}
	t.resolver.Values = identity.NewValues(t.metrics.refuse)
	if cfg.Ledger != nil {
		t.restore(began)
	}
	return t, nil
}

// Live appends the real containers that run now, paused ones too, to dst.
func (t *Table) Live(dst []Container) []Container {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.containers {
		if e.shown() {
			dst = append(dst, e.Container)
		}
	}
	return dst
}

// Slots appends every slot with its counters to dst, in no order. A slot that was there last time and is not now has ended.
func (t *Table) Slots(dst []Slot) []Slot {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.slots {
		dst = append(dst, s.shown())
	}
	return dst
}

// ReportOOMKills tells how many out-of-memory kills the kernel has counted in a container's life (v1 memory.oom_control, v2
// memory.events). The final reading may come after Died.
func (t *Table) ReportOOMKills(id cgroup.ContainerID, life, kernelCount uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.lifeOf(id, life)
	if e == nil {
		return
	}
	before := e.ooms
	t.countOOM(e, e.ooms.reported(kernelCount), time.Now())
	if e.ooms != before {
		t.save(e)
	}
}

// SetNode sets idc, cluster and node, should they become known late, and relabels everything.
func (t *Table) SetNode(n identity.Node, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.resolver.Node == n {
		return
	}
	t.resolver.Node = n
	t.resolveAgain(now)
}

// SetProjects puts another project map in force and relabels what it changes.
func (t *Table) SetProjects(p identity.Projects, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.resolver.Projects = p
	t.resolveAgain(now)
}

// resolveAgain relabels every live container, and the slots that are empty for now.
func (t *Table) resolveAgain(now time.Time) {
	for _, e := range t.containers {
		if e.live {
			t.relabel(e, now)
		}
	}
	for key, s := range t.slots {
		if s.Live > 0 {
			continue
		}
		if l, _, err := t.resolver.Labels(s.facts); err == nil && keyOf(l) == key {
			s.show(l)
		} else { // facts are not known, or mean another place by now
			n := t.resolver.Node
			s.Labels.IDC, s.Labels.Cluster, s.Labels.Node = n.IDC, n.Cluster, n.Node
		}
	}
}

// Subjects lists the real containers that run now as a project map sees them, and their labels.
func (t *Table) Subjects() (subjects []projectmap.Container, labels []identity.Labels) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.containers {
		if e.shown() {
			subjects, labels = append(subjects, t.resolver.Subject(e.facts)), append(labels, e.Labels)
		}
	}
	return subjects, labels
}
