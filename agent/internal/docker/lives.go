package docker

import (
	"errors"
	"time"

	"github.com/docker/docker/api/types/events"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// inspected takes the outcome of an inspection that was wished for.
func (t *tracker) inspected(id cgroup.ContainerID, found inspection, err error, now time.Time) {
	r := t.records[id]
	if r == nil {
		return // destroyed meanwhile
	}
	again, absent := r.again, r.absent
	r.asked, r.again, r.absent = false, false, false
	switch {
	case r.birth != nil && err == nil && r.isLife(found.StartedAt):
		if !again { // that life was told before its start event came
			queue := r.birth.queue
			r.birth = nil
			t.replay(queue, now)
		}
	case r.birth != nil:
		t.born(id, r, found, err, now)
	case errors.Is(err, errNoSuchContainer):
		if absent && !t.doubt(id, r) {
			t.destroyed(id, r, now)
		}
	case err != nil: // counted by the connection; the next list asks again
	case r.isLife(found.StartedAt):
		if !again || !found.running {
			t.same(id, r, found, now)
		}
	case r.live: // its end and the next start were missed
		if !t.doubt(id, r) {
			t.died(r, found.StartedAt, Exit{})
			t.born(id, r, found, nil, now)
		}
	case found.running: // only the start was missed
		t.born(id, r, found, nil, now)
	}
	if again && t.records[id] == r {
		t.ask(id, r)
	}
}

// doubt reports true the first time, and asks again.
func (t *tracker) doubt(id cgroup.ContainerID, r *record) bool {
	if r.doubted {
		return false
	}
	r.doubted, r.absent = true, true
	t.ask(id, r)
	return true
}

// isLife tells whether the life that began at startedAt, by an inspection, is the one that was told.
func (r *record) isLife(startedAt time.Time) bool {
	if r.rough {
		return !startedAt.After(r.told.StartedAt)
	}
	return r.told.ID != "" && startedAt.Equal(r.told.StartedAt)
}

// born tells a life that has not been told, and what happened to it while the engine was asked.
func (t *tracker) born(id cgroup.ContainerID, r *record, found inspection, err error, now time.Time) {
	c, at, rough := found.Container, found.StartedAt, false
	var queue []event
	if b := r.birth; b != nil {
		queue = b.queue
		if !b.at.IsZero() {
			at = b.at
		}
		end, ended := b.death()
		switch {
		case err != nil:
			c, rough = b.fallback, true
		case !b.at.IsZero() && c.StartedAt.After(b.at), ended && c.StartedAt.After(end): // of a later life, whose own start follows
			c.PID, c.StartedAt, rough = 0, b.fallback.StartedAt, true
		case ended:
			c.PID = 0
		}
	}
	if at.IsZero() {
		at = now
	}
	r.birth, r.live, r.oom, r.doubted, r.rough, r.told = nil, true, false, false, rough, c
	t.sink.Started(c, at)
	t.replay(queue, now)
	if r.live && !rough && !found.running && t.records[id] == r {
		t.same(id, r, found, now)
	}
}

// death is the time of the first death in the queue.
func (b *birth) death() (time.Time, bool) {
	for _, ev := range b.queue {
		if ev.action == events.ActionDie {
			return ev.at, true
		}
	}
	return time.Time{}, false
}

func (t *tracker) replay(queue []event, now time.Time) {
	for _, ev := range queue {
		t.apply(ev, now)
	}
}

// same takes an inspection of the life that was told.
func (t *tracker) same(id cgroup.ContainerID, r *record, found inspection, now time.Time) {
	switch {
	case r.live && found.running:
		r.doubted, r.rough = false, false
		t.changed(r, found.Container, now)
	case r.live:
		at := found.finishedAt
		if at.IsZero() {
			at = now
		}
		t.died(r, at, found.exit)
	case found.OOMKilled && !r.oom && !r.told.OOMKilled: // it died of an out-of-memory kill nobody told of
		r.oom = true
		t.sink.OOM(id, r.diedAt)
	}
}

func (t *tracker) changed(r *record, c Container, at time.Time) {
	if c.StopAsked.IsZero() {
		c.StopAsked = r.told.StopAsked // an inspection does not tell
	}
	differs := !sameFacts(r.told, c)
	r.told = c
	if differs && r.live {
		t.sink.Changed(c, at)
	}
}

func (t *tracker) died(r *record, at time.Time, exit Exit) {
	r.live, r.diedAt = false, at
	r.oom = r.oom || exit.OOMKilled
	asked := r.told.StopAsked
	exit.Asked = !asked.IsZero() && at.Sub(asked) < stopPatience
	t.sink.Died(r.told.ID, at, exit)
}

// stopPatience is how long after it was asked an end counts as asked for: engines wait 10 s by default and as long as they are told to. A
// program may have taken the signal for something else and die of its own an hour later.
const stopPatience = 10 * time.Minute

func (t *tracker) destroyed(id cgroup.ContainerID, r *record, at time.Time) {
	if r.live {
		t.died(r, at, Exit{})
	}
	delete(t.records, id)
	t.sink.Gone(id, at)
}

// sameFacts compares what a consumer can see change in a life. Labels can not.
func sameFacts(a, b Container) bool {
	return a.PID == b.PID && a.Name == b.Name && a.Image == b.Image && a.Health == b.Health && a.Paused == b.Paused &&
		a.StartedAt.Equal(b.StartedAt) && a.CgroupPath == b.CgroupPath && a.NetworkMode == b.NetworkMode && a.RestartCount == b.RestartCount && a.StopAsked.Equal(b.StopAsked)
}
