package inventory

import (
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/docker"
)

var _ docker.Sink = (*Table)(nil)

// Started begins a life the engine tells.
func (t *Table) Started(c docker.Container, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told(at)
	t.begin(fromEngine(c), at)
}

// Changed brings new facts of a life.
func (t *Table) Changed(c docker.Container, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told(at)
	t.change(fromEngine(c), at)
}

// OOM counts one out-of-memory kill the engine saw.
func (t *Table) OOM(id cgroup.ContainerID, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told(at)
	if e := t.containers[id]; e != nil {
		t.countOOM(e, e.ooms.event(), at)
	}
}

// Died ends a life.
func (t *Table) Died(id cgroup.ContainerID, at time.Time, exit docker.Exit) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told(at)
	t.finish(id, at, Exit{Code: exit.Code, Known: exit.Known, OOMKilled: exit.OOMKilled, Asked: exit.Asked})
}

// told moves the moment up to which the engine's news are in the table.
func (t *Table) told(at time.Time) {
	if at.After(t.newest) {
		t.newest = at
	}
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
