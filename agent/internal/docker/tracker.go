package docker

import (
	"errors"
	"strings"
	"time"

	"github.com/docker/docker/api/types/events"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// tracker decides what to tell the sink. It is a step function: events, inspections and lists go in, calls of the sink and
// wishes to inspect come out, and no input blocks or reads a clock. It survives reconnects. One goroutine uses it.
//
// A life of a container is known by its StartedAt. A life is told once, whatever order and however often its events, lists and
// inspections come, so every input may be late, lost or repeated.
type tracker struct {
	sink         Sink
	limit        int
	metrics      *metrics
	cgroupDriver string

	records map[cgroup.ContainerID]*record
	wishes  []cgroup.ContainerID // inspections wanted, oldest first; the loop takes them
	last    time.Time            // newest event seen, or when the engine was first asked: where a replay begins
	edge    time.Time            // events up to here were seen before the present connection
	began   time.Time            // by the engine's clock, when the agent began to wait for it; zero where that clock is another's
}

type record struct {
	told   Container // facts last told; StartedAt is the life told
	live   bool      // told Started and not Died
	diedAt time.Time
	oom    bool   // an out-of-memory kill was told in this life
	rough  bool   // told from events, whose time is a little after the engine's StartedAt
	birth  *birth // a start that is not told yet, because the engine is being asked

	asked   bool // an inspection is wanted or under way
	again   bool // something happened since it was asked: ask once more
	absent  bool // the list of running containers or the cgroup tree lacks it: what the inspection says is final
	doubted bool // an inspection says its end was missed: events on their way get one more inspection's time
}

// birth is a life between its start event, or its first appearance in the list, and its inspection.
type birth struct {
	at       time.Time // zero: from the list
	fallback Container // what is known should the inspection fail
	queue    []event   // events of the container meanwhile
}

const (
	// maxQueue bounds a birth's events: 256 events in one inspection's time are a flood, and the list corrects.
	maxQueue = 256
	// keepDead is how long a dead container is remembered, to recognise late and repeated news of it.
	keepDead = 10 * time.Minute
)

func newTracker(sink Sink, limit int, m *metrics) *tracker {
	return &tracker{sink: sink, limit: limit, metrics: m, records: map[cgroup.ContainerID]*record{}}
}

// resume takes over what an earlier tracker had told by since.
func (t *tracker) resume(since time.Time, running []Container) {
	t.last = since
	for _, c := range running {
		c.PID = 0 // another process's, perhaps; the inspection says
		if r := t.record(c.ID); r != nil {
			r.told, r.live, r.oom = c, true, c.OOMKilled
		}
	}
}

// connected begins a connection.
func (t *tracker) connected(info Info) {
	t.cgroupDriver = info.CgroupDriver
	if t.last.IsZero() || info.at.Before(t.last) { // first connection, or the engine's clock was put back
		t.edge, t.last = time.Time{}, info.at
		if !t.began.IsZero() && t.began.Before(info.at) { // what came and went while it was not there for us
			t.last = t.began
		}
		return
	}
	t.edge = t.last
}

// disconnected ends a connection: what was under way will not come. A birth whose death is known is told from what there is;
// any other is found again by the next connection's list.
func (t *tracker) disconnected(now time.Time) {
	t.wishes = nil
	for id, r := range t.records {
		r.asked, r.again = false, false
		if r.birth == nil {
			continue
		}
		for _, ev := range r.birth.queue {
			if ev.action == events.ActionDie {
				t.inspected(id, inspection{}, errDisconnected, now)
				break
			}
		}
		r.birth = nil
		r.asked, r.again = false, false
		if r.told.ID == "" {
			delete(t.records, id)
		}
	}
	t.wishes = nil
}

var errDisconnected = errors.New("disconnected")

// ask wishes for an inspection of id.
func (t *tracker) ask(id cgroup.ContainerID, r *record) {
	if r.asked {
		r.again = true
		return
	}
	r.asked = true
	t.wishes = append(t.wishes, id)
}

// record finds or makes the record of a container that starts; nil if there are too many.
func (t *tracker) record(id cgroup.ContainerID) *record {
	r := t.records[id]
	if r != nil {
		return r
	}
	if len(t.records) >= t.limit {
		t.forgetDead(time.Time{})
	}
	if len(t.records) >= t.limit {
		t.metrics.ignored.Inc()
		return nil
	}
	r = &record{}
	t.records[id] = r
	return r
}

// forgetDead drops dead containers that died before the given time; the zero time is all of them.
func (t *tracker) forgetDead(before time.Time) {
	for id, r := range t.records {
		if !r.live && r.birth == nil && !r.asked && (before.IsZero() || r.diedAt.Before(before)) {
			delete(t.records, id)
		}
	}
}

// event takes one event of the stream.
func (t *tracker) event(ev event, now time.Time) {
	if !ev.at.After(t.edge) {
		return // replayed, and seen before
	}
	if ev.at.After(t.last) {
		t.last = ev.at
	}
	t.metrics.events.WithLabelValues(string(ev.action)).Inc()
	t.apply(ev, now)
}

func (t *tracker) apply(ev event, now time.Time) {
	if ev.action == events.ActionStart {
		t.started(ev)
		return
	}
	r := t.records[ev.id]
	if r == nil {
		return
	}
	if r.birth != nil {
		r.birth.hold(ev)
		return
	}
	if ev.at.Before(r.told.StartedAt) && ev.action != events.ActionDestroy {
		return // of an earlier life
	}
	switch ev.action {
	case events.ActionDie:
		if !r.live {
			return
		}
		exit := ev.exit(r.oom)
		t.died(r, ev.at, exit)
		if exit.Code == killedBySIGKILL && !r.oom {
			t.ask(ev.id, r) // an out-of-memory kill looks the same, and its event may be late or lost
		}
	case events.ActionOOM:
		r.oom = true
		t.sink.OOM(ev.id, ev.at)
	case events.ActionDestroy:
		t.destroyed(ev.id, r, ev.at)
	case events.ActionUpdate:
		if r.live {
			t.ask(ev.id, r)
		}
	default:
		c := r.told
		switch ev.action {
		case events.ActionKill:
			if !ev.stops(c.StopSignal) {
				return
			}
			c.StopAsked = ev.at
		case events.ActionRename:
			c.Name = strings.TrimPrefix(ev.attributes["name"], "/")
		case events.ActionPause:
			c.Paused = true
		case events.ActionUnPause:
			c.Paused = false
		case events.ActionHealthStatus:
			if ev.health != HealthNone {
				c.Health = ev.health
			}
		}
		r.again = r.asked // an inspection under way may be older than this
		t.changed(r, c, ev.at)
	}
}

// killedBySIGKILL is the exit code of a container ended by signal 9: 128 + 9.
const killedBySIGKILL = 137

func (b *birth) hold(ev event) {
	if len(b.queue) < maxQueue {
		b.queue = append(b.queue, ev)
	}
}

func (t *tracker) started(ev event) {
	r := t.record(ev.id)
	switch {
	case r == nil:
	case r.birth != nil:
		r.birth.hold(ev)
	case !ev.at.After(r.told.StartedAt): // an earlier life's, late
	case r.live: // this life's own, or its death was missed: the inspection's StartedAt tells
		t.ask(ev.id, r)
	default:
		r.birth = &birth{at: ev.at, fallback: ev.container(t.cgroupDriver)}
		t.ask(ev.id, r)
	}
}

// listed takes the list of running containers. everyContainer: events may have been missed.
func (t *tracker) listed(running []Container, thorough depth, now time.Time) {
	seen := make(map[cgroup.ContainerID]bool, len(running))
	for _, c := range running {
		seen[c.ID] = true
		r := t.record(c.ID)
		switch {
		case r == nil || r.birth != nil:
		case r.told.ID == "":
			c.StartedAt = now // at the latest; the list does not say
			r.birth = &birth{fallback: c}
			t.ask(c.ID, r)
		case !r.live || r.rough || thorough == everyContainer || r.told.Name != c.Name || r.told.Health != c.Health || r.told.Paused != c.Paused:
			t.ask(c.ID, r)
		}
	}
	for id, r := range t.records {
		if r.live && !seen[id] {
			t.missing(id)
		}
	}
	t.forgetDead(now.Add(-keepDead))
}

// depth says what a list is compared for.
type depth uint8

const (
	differences    depth = iota // ask about containers that differ from what was told
	everyContainer              // ask about all
)

// missing asks about a container that something else says is gone.
func (t *tracker) missing(id cgroup.ContainerID) {
	if r := t.records[id]; r != nil && r.live {
		r.absent = true
		t.ask(id, r)
	}
}
