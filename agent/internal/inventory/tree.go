package inventory

import (
	"context"
	"slices"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
)

// Unresolved is a container of the cgroup tree that no runtime has named: its runtime is one the agent does not ask, or is down,
// or the container is nested in another.
type Unresolved struct {
	ID    cgroup.ContainerID
	Path  string
	Since time.Time
	// Overdue is set once it has been so longer than Config.UnresolvedGrace. It is still held back.
	Overdue bool

	podUID string // "" outside pods
}

// Run walks the cgroup tree and forgets what is old, every Config.WalkEvery until ctx ends; it returns nil. walk yields every
// container cgroup (cgroup.FS.Walk); nil walks nothing. A walk that fails is counted, and logged when it starts and stops failing.
func (t *Table) Run(ctx context.Context, walk func(yield func(cgroup.Found)) error) error {
	ticker := time.NewTicker(t.cfg.WalkEvery)
	defer ticker.Stop()
	var found []cgroup.Found
	failing := false
	for {
		if walk != nil {
			found = found[:0]
			err := walk(func(f cgroup.Found) { found = append(found, f) })
			if err != nil {
				t.metrics.walkErrors.Inc()
			}
			if failing != (err != nil) {
				failing = err != nil
				if failing {
					t.log.Warn("walk the cgroup tree: containers may be missed", "error", err)
				} else {
					t.log.Info("walk the cgroup tree: works again")
				}
			}
			t.SawTree(found, time.Now())
			t.locateRest(time.Now())
		}
		t.Expire(time.Now())
		if t.cfg.Ledger != nil {
			t.cfg.Ledger.Sync()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// SawTree takes all container cgroups of one walk; those without an ID are no containers. A container a runtime has named gets
// the path the tree shows; one that none has named is held back until it is named or gone.
func (t *Table) SawTree(found []cgroup.Found, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := make(map[cgroup.ContainerID]bool, len(found))
	for _, f := range found {
		if f.ID == "" || seen[f.ID] {
			continue
		}
		seen[f.ID] = true
		if e := t.containers[f.ID]; e != nil {
			if e.live && e.CgroupPath != f.Path {
				e.CgroupPath, e.facts.CgroupPath = f.Path, f.Path
				t.relabel(e, now)
			}
			continue
		}
		if u, held := t.unresolved[f.ID]; held {
			u.Path = f.Path
			t.unresolved[f.ID] = u
			continue
		}
		if len(t.unresolved) >= t.cfg.MaxUnresolved {
			t.metrics.unresolvedRefused.Inc()
			continue
		}
		t.unresolved[f.ID] = Unresolved{ID: f.ID, Path: f.Path, Since: now, podUID: f.PodUID}
	}
	for id := range t.unresolved {
		if !seen[id] {
			delete(t.unresolved, id)
		}
	}
	t.remark(now)
}

// remark logs once when containers are overdue, and once when none is any more.
func (t *Table) remark(now time.Time) {
	overdue := 0
	for _, u := range t.unnamed() {
		if now.Sub(u.Since) > t.cfg.UnresolvedGrace {
			overdue++
		}
	}
	if t.remarked == (overdue > 0) {
		return
	}
	t.remarked = overdue > 0
	if t.remarked {
		t.log.Warn("containers in the cgroup tree are unknown to every runtime that is asked, they are not shown", "containers", overdue, "waited", t.cfg.UnresolvedGrace)
	} else {
		t.log.Info("every container in the cgroup tree is known again")
	}
}

// Unresolved lists what is held back, oldest first.
func (t *Table) Unresolved(now time.Time) []Unresolved {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.unnamed()
	for _, e := range t.containers { // told by a runtime, without a name
		if e.live && !e.resolved && !e.sandbox {
			list = append(list, Unresolved{ID: e.ID, Path: e.CgroupPath, Since: e.StartedAt})
		}
	}
	for i := range list {
		list[i].Overdue = now.Sub(list[i].Since) > t.cfg.UnresolvedGrace
	}
	slices.SortFunc(list, func(a, b Unresolved) int { return a.Since.Compare(b.Since) })
	return list
}

// Expire forgets slots that have been empty, and containers that have been dead, for Config.KeepSlots.
func (t *Table) Expire(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, s := range t.slots {
		switch {
		case s.Live > 0:
		case s.idleSince.IsZero():
			s.idleSince = now
		case now.Sub(s.idleSince) >= t.cfg.KeepSlots:
			t.forgetSlot(key)
		}
	}
	t.thinEmptySlots()
	if t.resolver.Values.Keep(t.shownLabels) {
		t.resolveAgain(now) // some containers lack a value there is room for now
	}
	for id, e := range t.containers {
		keep := t.cfg.KeepSlots
		if e.removed {
			keep = removedKept
		}
		switch {
		case e.live:
		case e.idle.IsZero():
			e.idle = now
		case now.Sub(e.idle) >= keep:
			t.forget(id)
		}
	}
}

// shownLabels yields the labels of all slots, and of live containers that had no room for one.
func (t *Table) shownLabels(yield func(identity.Labels) bool) {
	for _, s := range t.slots {
		if !yield(s.Labels) {
			return
		}
	}
	for _, e := range t.containers {
		if e.shown() && e.slot == nil && !yield(e.Labels) {
			return
		}
	}
}
