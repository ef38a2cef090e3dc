package inventory

import "time"

// Kind is what happened.
type Kind uint8

// The kinds of events.
const (
	// Born: a container runs. One born with PID 0 may have exited already; its exit counts all the same.
	Born Kind = iota + 1
	// Relabelled: its labels, its place in the cgroup tree or its PID are known better now, or it was renamed.
	Relabelled
	// Health: its health state is another.
	Health
	// Resized: its requests or limits are others.
	Resized
	// OOMKilled: its slot has counted an out-of-memory kill. The container may be dead.
	OOMKilled
	// Died: its life ended. The cgroup is there for some 200 ms more.
	Died
)

// String is the kind's name.
func (k Kind) String() string {
	return [...]string{"none", "born", "relabelled", "health", "resized", "oom_killed", "died"}[min(k, Died)]
}

// Event is one thing that happened to a container. The order per container is the order it happened in.
type Event struct {
	Kind      Kind
	At        time.Time // the runtime's time; of a container found running at the agent's start, the agent's start
	Container Container // after the event
	NewSlot   bool      // Born, Relabelled: it is the first of its slot, whose counters are 0 at At
	Exit      Exit      // Died
}

// Wake is readable when there may be something to drain. It has one reader.
func (t *Table) Wake() <-chan struct{} { return t.wake }

// Drain appends what happened since the last call to dst. lost events had no room: compare with Live.
func (t *Table) Drain(dst []Event) (events []Event, lost int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	dst = append(dst, t.queue...)
	lost = t.lost
	t.lost = 0
	if cap(t.queue) > 1024 { // a burst's room is not kept
		t.queue = nil
	}
	clear(t.queue)
	t.queue = t.queue[:0]
	return dst, lost
}

func (t *Table) push(e Event) {
	if len(t.queue) >= t.cfg.MaxEvents {
		t.lost++
		t.metrics.eventsLost.Inc()
	} else {
		t.queue = append(t.queue, e)
	}
	select {
	case t.wake <- struct{}{}:
	default:
	}
}
