package docker

import (
	"context"
	"sync"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// inspectors is how many containers are asked about at once: a slow answer for one must not hold the deaths of others back,
// and the engine must not feel a thousand containers being found at the agent's start.
const inspectors = 4

// answer is the outcome of one inspection.
type answer struct {
	id    cgroup.ContainerID
	found inspection
	err   error
}

// listing is the outcome of one list.
type listing struct {
	running []Container
	depth   depth
	err     error
}

// follow works one connection: subscribe first, list then, so that nothing falls between the two. up is called once, when both
// have succeeded. It returns why the connection ended.
func (e *Engine) follow(ctx context.Context, conn connection, t *tracker, up func(running int)) error {
	ctx, cancel := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer cancel()

	late := time.AfterFunc(e.cfg.Timeout, cancel) // the client waits for the engine's first byte without a limit of its own
	messages, ended := conn.events(ctx, t.last)
	if !late.Stop() {
		return context.DeadlineExceeded
	}
	wishes, answers, lists := make(chan cgroup.ContainerID), make(chan answer), make(chan listing)
	list := func(d depth) {
		helpers.Go(func() {
			running, err := conn.list(ctx)
			deliver(ctx, lists, listing{running, d, err})
		})
	}
	for range inspectors {
		helpers.Go(func() { inspectAll(ctx, conn, wishes, answers) })
	}
	relist := time.NewTicker(e.cfg.Relist)
	defer relist.Stop()
	list(everyContainer)

	for {
		var next cgroup.ContainerID
		var offer chan cgroup.ContainerID // nil, so never chosen, while there is nothing to ask
		if len(t.wishes) > 0 {
			next, offer = t.wishes[0], wishes
		}
		select {
		case m := <-messages:
			if ev, ok := eventOf(m); ok {
				t.event(ev, time.Now())
			}
		case err := <-ended:
			return err
		case offer <- next:
			t.wishes = t.wishes[1:]
		case a := <-answers:
			t.inspected(a.id, a.found, a.err, time.Now())
		case l := <-lists:
			if l.err != nil {
				return l.err
			}
			t.listed(l.running, l.depth, time.Now())
			up(len(l.running))
		case <-relist.C:
			list(differences)
		case id := <-e.recheck:
			t.missing(id)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func inspectAll(ctx context.Context, conn connection, wishes <-chan cgroup.ContainerID, answers chan<- answer) {
	for {
		select {
		case id := <-wishes:
			found, err := conn.inspect(ctx, id)
			deliver(ctx, answers, answer{id, found, err})
		case <-ctx.Done():
			return
		}
	}
}

func deliver[T any](ctx context.Context, to chan<- T, value T) {
	select {
	case to <- value:
	case <-ctx.Done():
	}
}
