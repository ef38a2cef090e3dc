package inventory

import (
	"errors"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
)

// entry is a container ID the runtime has told about: a real container, a sandbox, or one without a name yet.
type entry struct {
	Container
	facts    identity.Facts
	engine   *told // what the Docker engine says; nil: nothing
	pod      *told // what the Kubernetes API server says; nil: nothing
	slot     *slot // nil: not resolved, or no room for one more slot
	live     bool
	sandbox  bool      // holds a pod's namespaces; not a container of its own
	resolved bool      // has labels
	removed  bool      // the runtime has removed it
	idle     time.Time // when Expire first found it dead
	revived  bool      // known from the ledger alone
	before   *entry    // the life before this one, whose final reading may still come

	ooms     oomTally
	oomAt    time.Time // when its newest out-of-memory kill was counted
	exit     Exit      // of a life that has ended
	restarts restartTally
}

// shown tells that the sampler should know it.
func (e *entry) shown() bool { return e.live && e.resolved }

// lifeOf is a container's life, the present one or the one before it, and nil for any other.
func (t *Table) lifeOf(id cgroup.ContainerID, life uint64) *entry {
	e := t.containers[id]
	if e != nil && e.Life != life {
		e = e.before
	}
	if e == nil || e.Life != life {
		return nil
	}
	return e
}

// removedKept is how long a removed container is remembered for its final reading, which may come late.
const removedKept = time.Minute

// begin starts a life, or adds one runtime's facts to a life that the other has told.
func (t *Table) begin(l *told, at time.Time) {
	history := l.startedAt.Before(t.began)
	if at.Before(t.began) {
		at = t.began
	}
	e, known := t.containers[l.id]
	if known && e.live {
		if l.podUID != "" || e.engine == nil && e.pod != nil { // the other runtime's words on the same life
			t.change(l, at)
			return
		}
		t.end(e, at, Exit{Reason: Unknown}) // its end was missed
	}
	if !known {
		if len(t.containers) >= t.cfg.MaxContainers && !t.dropDead() {
			t.metrics.containersRefused.Inc()
			return
		}
		e = &entry{}
		t.containers[l.id] = e
	}
	t.lives++
	past := *e
	past.before = nil
	*e = entry{live: true, restarts: past.restarts, ooms: oomTally{history: history}}
	if past.revived && past.StartedAt.Equal(l.startedAt) { // the life that the agent's run before knew
		e.ooms = past.ooms
	}
	if known {
		e.before = &past
	}
	e.ID, e.Life, e.Created = l.id, t.lives, l.created
	if u, held := t.unresolved[l.id]; held { // the tree knows better than the runtime where it is
		e.CgroupPath = u.Path
		delete(t.unresolved, l.id)
	}
	e.take(l)
	t.resolve(e)
	if !e.resolved {
		return
	}
	defer t.save(e)
	taken := t.takesOver(e)
	fresh := t.enter(e, at)
	t.push(Event{Kind: Born, At: at, Container: e.Container, NewSlot: fresh})

	var restarted uint64
	switch {
	case l.podUID != "": // the pod counts, across its containers' IDs
		restarted = t.podRestarted(l)
	case known:
		restarted = e.restarts.restarted(l.restartCount)
	case l.created.Before(t.began):
		e.restarts = restartTally{base: l.restartCount, last: l.restartCount}
	default: // made under our eyes: restarts whose events were missed count
		restarted = e.restarts.settle(l.restartCount)
	}
	if l.podUID == "" && !known && taken && !history {
		restarted++
	}
	if e.slot != nil {
		e.slot.Restarts += restarted
	}
	if l.oomKilled && !history {
		t.countOOM(e, e.ooms.flagged(), at)
	}
}

// takesOver tells whether a container that starts fills the place of one that is gone and ran the same image: a restart by another
// name. With another image it is a release, beside a running one more replicas or a release again.
func (t *Table) takesOver(e *entry) bool {
	s := t.slots[keyOf(e.Labels)]
	return s != nil && s.Live == 0 && s.image == e.Labels.Image
}

// change brings new facts of a life.
func (t *Table) change(l *told, at time.Time) {
	e := t.containers[l.id]
	if e == nil || !e.live {
		return
	}
	defer t.save(e)
	before := e.Container
	e.take(l)
	t.relabel(e, at)
	switch {
	case !e.shown() || before.Labels != e.Labels:
	case before.PID == 0 && e.PID != 0, before.OwnNetwork() != e.OwnNetwork():
		t.push(Event{Kind: Relabelled, At: at, Container: e.Container})
	case before.Resources != e.Resources:
		t.push(Event{Kind: Resized, At: at, Container: e.Container})
	}
	if e.shown() && before.Health != e.Health {
		t.push(Event{Kind: Health, At: at, Container: e.Container})
	}
	if l.podUID != "" && e.engine == nil && e.slot != nil {
		e.slot.Restarts += t.podRestarted(l)
	}
}

// finish ends a life.
func (t *Table) finish(id cgroup.ContainerID, at time.Time, exit Exit) {
	e := t.containers[id]
	if e == nil || !e.live {
		return
	}
	if exit.OOMKilled && !e.ooms.history { // of history the flag may tell a kill from before
		t.countOOM(e, e.ooms.flagged(), at)
	}
	exit.Reason = exit.sort(at.Sub(e.oomAt) < oomNews)
	t.end(e, at, exit)
}

// oomNews is how far back the count of out-of-memory kills may have grown for an exit to be one of them.
const oomNews = 5 * time.Second

// resolve gives e its labels, if its facts name it.
func (t *Table) resolve(e *entry) {
	labels, mended, err := t.resolver.Labels(e.facts)
	t.metrics.truncated.Add(float64(mended.Truncated))
	t.metrics.sanitised.Add(float64(mended.Sanitised))
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
			e.slot.facts = e.facts
			e.slot.show(e.Labels)
		}
		t.push(Event{Kind: Relabelled, At: at, Container: e.Container})
	}
}

func (t *Table) end(e *entry, at time.Time, exit Exit) {
	e.live = false
	if !e.resolved {
		return
	}
	defer t.save(e)
	e.leave()
	e.exit = exit
	if e.slot != nil {
		e.slot.Exits.n[exit.Reason]++
		if exit.mayBeOOM() {
			e.slot.doubted = append(e.slot.doubted, doubt{e.Life, time.Now()})
		}
	}
	t.push(Event{Kind: Died, At: at, Container: e.Container, Exit: exit})
	e.PID = 0
}

func (t *Table) countOOM(e *entry, grown uint64, at time.Time) {
	if grown == 0 || !e.resolved {
		return
	}
	e.oomAt = at
	if e.slot != nil {
		e.slot.OOMKills += grown
		if e.slot.dispel(e.Life) {
			e.slot.Exits.n[e.exit.Reason]--
			e.exit.Reason = KilledOOM
			e.slot.Exits.n[KilledOOM]++
		}
	}
	t.save(e)
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
	t.forget(oldest.ID)
	return true
}
