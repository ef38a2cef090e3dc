package inventory

import (
	"errors"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/docker"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
)

// entry is a container ID the runtime has told about: a real container, a sandbox, or one without a name yet.
type entry struct {
	Container
	facts    identity.Facts
	slot     *slot // nil: not resolved, or no room for one more slot
	live     bool
	sandbox  bool      // holds a pod's namespaces; not a container of its own
	resolved bool      // has labels
	removed  bool      // the runtime has removed it
	idle     time.Time // when Expire first found it dead
	before   *entry    // the life before this one, whose final reading may still come

	ooms     oomTally
	restarts restartTally
}

// shown tells that the sampler should know it.
func (e *entry) shown() bool { return e.live && e.resolved }

// removedKept is how long a removed container is remembered for its final reading, which may come late.
const removedKept = time.Minute

// Started begins a life.
func (t *Table) Started(c docker.Container, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	history := c.StartedAt.Before(t.began)
	if at.Before(t.began) {
		at = t.began
	}
	e, known := t.containers[c.ID]
	if known && e.live { // its end was missed
		t.end(e, at, Exit{Reason: Unknown})
	}
	if !known {
		if len(t.containers) >= t.cfg.MaxContainers && !t.dropDead() {
			t.metrics.containersRefused.Inc()
			return
		}
		e = &entry{}
		t.containers[c.ID] = e
	}
	t.lives++
	past := *e
	past.before = nil
	*e = entry{live: true, restarts: past.restarts, ooms: oomTally{history: history}}
	if known {
		e.before = &past
	}
	e.ID, e.Life, e.Created = c.ID, t.lives, c.Created
	if u, held := t.unresolved[c.ID]; held { // the tree knows better than the runtime where it is
		c.CgroupPath = u.Path
		delete(t.unresolved, c.ID)
	}
	e.take(c)
	t.resolve(e)
	if !e.resolved {
		return
	}
	slotKnown := t.slots[keyOf(e.Labels)] != nil
	fresh := t.enter(e, at)
	t.push(Event{Kind: Born, At: at, Container: e.Container, NewSlot: fresh})

	var restarted uint64
	switch {
	case known:
		restarted = e.restarts.restarted(c.RestartCount)
	case c.Created.Before(t.began):
		e.restarts = restartTally{base: c.RestartCount, last: c.RestartCount}
	default: // made under our eyes: restarts whose events were missed count
		restarted = e.restarts.settle(c.RestartCount)
	}
	if !known && slotKnown && !history {
		restarted++ // another container took the place over
	}
	if e.slot != nil {
		e.slot.Restarts += restarted
	}
	if c.OOMKilled && !history {
		t.countOOM(e, e.ooms.flagged(), at)
	}
}

// Changed brings new facts of a life.
func (t *Table) Changed(c docker.Container, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.containers[c.ID]
	if e == nil || !e.live {
		return
	}
	before := e.Container
	if c.CgroupPath == "" || before.CgroupPath != "" {
		c.CgroupPath = before.CgroupPath // the tree may have corrected it
	}
	e.take(c)
	t.relabel(e, at)
	if e.shown() && before.PID == 0 && e.PID != 0 && before.Labels == e.Labels {
		t.push(Event{Kind: Relabelled, At: at, Container: e.Container})
	}
	if e.shown() && before.Health != e.Health {
		t.push(Event{Kind: Health, At: at, Container: e.Container})
	}
}

// OOM counts one out-of-memory kill the engine saw.
func (t *Table) OOM(id cgroup.ContainerID, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.containers[id]; e != nil {
		t.countOOM(e, e.ooms.event(), at)
	}
}

// Died ends a life.
func (t *Table) Died(id cgroup.ContainerID, at time.Time, exit docker.Exit) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.containers[id]
	if e == nil || !e.live {
		return
	}
	if exit.OOMKilled && !e.ooms.history { // of history the flag may tell a kill from before
		t.countOOM(e, e.ooms.flagged(), at)
	}
	t.end(e, at, exitOf(exit.Code, exit.Known, exit.OOMKilled))
}

// Gone forgets a container after a while.
func (t *Table) Gone(id cgroup.ContainerID, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.containers[id]
	if e == nil {
		return
	}
	if e.live {
		t.end(e, at, Exit{Reason: Unknown})
	}
	e.removed = true
}

// take copies what the runtime says of the present life.
func (e *entry) take(c docker.Container) {
	e.facts = identity.FromDocker(c.Name, c.Image, c.CgroupPath, c.Labels)
	e.PID, e.CgroupPath, e.StartedAt, e.RestartCount = c.PID, c.CgroupPath, c.StartedAt, c.RestartCount
	e.Health, e.NetworkMode, e.Paused = healthState(c.Health), c.NetworkMode, c.Paused
}

// resolve gives e its labels, if its facts name it.
func (t *Table) resolve(e *entry) {
	labels, truncated, err := t.resolver.Labels(e.facts)
	t.metrics.truncated.Add(float64(truncated))
	e.sandbox = errors.Is(err, identity.ErrSandbox)
	if err == nil {
		e.Labels, e.resolved = labels, true
	}
}

// relabel resolves e anew and tells if that changed anything. A container keeps the labels it has when its facts name it no more.
func (t *Table) relabel(e *entry, at time.Time) {
	before, was := e.Labels, e.resolved
	t.resolve(e)
	switch {
	case !e.resolved || was && before == e.Labels:
	case !was:
		fresh := t.enter(e, at)
		t.push(Event{Kind: Born, At: at, Container: e.Container, NewSlot: fresh})
	case keyOf(before) != keyOf(e.Labels): // renamed: what was counted stays with the old place
		e.leave()
		e.slot = nil
		fresh := t.enter(e, at)
		t.push(Event{Kind: Relabelled, At: at, Container: e.Container, NewSlot: fresh})
	default:
		if e.slot != nil {
			id := e.Labels
			id.Image, id.ID, id.Name = "", "", ""
			e.slot.Labels = id
		}
		t.push(Event{Kind: Relabelled, At: at, Container: e.Container})
	}
}

func (t *Table) end(e *entry, at time.Time, exit Exit) {
	e.live = false
	if !e.resolved {
		return
	}
	e.leave()
	if e.slot != nil {
		e.slot.Exits.n[exit.Reason]++
	}
	t.push(Event{Kind: Died, At: at, Container: e.Container, Exit: exit})
	e.PID = 0
}

func (t *Table) countOOM(e *entry, grown uint64, at time.Time) {
	if grown == 0 || !e.resolved {
		return
	}
	if e.slot != nil {
		e.slot.OOMKills += grown
	}
	t.push(Event{Kind: OOMKilled, At: at, Container: e.Container})
}

// dropDead makes room by forgetting the dead container that Expire has known longest.
func (t *Table) dropDead() bool {
	var oldest *entry
	for _, e := range t.containers {
		if !e.live && !e.idle.IsZero() && (oldest == nil || e.idle.Before(oldest.idle)) {
			oldest = e
		}
	}
	if oldest == nil {
		return false
	}
	delete(t.containers, oldest.ID)
	return true
}
