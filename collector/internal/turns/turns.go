// Package turns lets callers work a few at a time, and lets none of them keep the others waiting.
//
// A free seat goes to the waiting caller who has the fewest, and among those to the one whose turn is longest ago. So a
// caller who asks for much at once waits for itself, and one who asks for little is served next.
package turns

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// mostWaiting bounds what waits for one caller.
const mostWaiting = 256

// ErrCrowded is that a caller has too much waiting already.
var ErrCrowded = errors.New("too much of this caller waits already")

// Turns is a number of seats. All methods may be called from any goroutine.
type Turns struct {
	seats, each int

	mu      sync.Mutex
	taken   int
	clock   uint64 // counts turns and arrivals
	callers map[string]*caller
}

// caller is one who has a seat or waits for one.
type caller struct {
	held    int
	last    uint64          // when it came or had its latest turn
	waiting []chan struct{} // first come first; closed when the seat is given
}

// New gives out seats at once, each of them at most to one caller. Both are at least 1.
func New(seats, each int) *Turns {
	return &Turns{seats: max(1, seats), each: max(1, each), callers: map[string]*caller{}}
}

// Take waits for a seat until ctx ends. The caller gives it back with leave, once. An error is that of ctx, or ErrCrowded.
func (t *Turns) Take(ctx context.Context, who string) (leave func(), err error) {
	t.mu.Lock()
	c := t.callers[who]
	if c == nil {
		t.clock++
		c = &caller{last: t.clock}
		t.callers[who] = c
	}
	if t.taken < t.seats && c.held < t.each {
		t.give(c)
		t.mu.Unlock()
		return func() { t.leave(who) }, nil
	}
	if len(c.waiting) >= mostWaiting {
		t.mu.Unlock()
		return nil, ErrCrowded
	}
	seat := make(chan struct{})
	c.waiting = append(c.waiting, seat)
	t.mu.Unlock()
	select {
	case <-seat:
		return func() { t.leave(who) }, nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	at := slices.Index(c.waiting, seat)
	if at >= 0 {
		c.waiting = slices.Delete(c.waiting, at, at+1)
		t.forget(who)
	}
	t.mu.Unlock()
	if at < 0 { // it was given at the same moment
		t.leave(who)
	}
	return nil, ctx.Err()
}

// Load is how many seats are taken, and how many wait for one.
func (t *Turns) Load() (taken, waiting int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.callers {
		waiting += len(c.waiting)
	}
	return t.taken, waiting
}

// Seats is how many there are.
func (t *Turns) Seats() int { return t.seats }

// give and what follows need the lock.
func (t *Turns) give(c *caller) {
	t.clock++
	t.taken++
	c.held++
	c.last = t.clock
}

func (t *Turns) leave(who string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken--
	t.callers[who].held--
	for t.taken < t.seats {
		next := t.next()
		if next == nil {
			break
		}
		seat := next.waiting[0]
		next.waiting = slices.Delete(next.waiting, 0, 1)
		t.give(next)
		close(seat)
	}
	t.forget(who)
}

// next is whose turn it is, nil when nobody who waits may have another seat.
func (t *Turns) next() *caller {
	var best *caller
	for _, c := range t.callers {
		if len(c.waiting) == 0 || c.held >= t.each {
			continue
		}
		if best == nil || c.held < best.held || c.held == best.held && c.last < best.last {
			best = c
		}
	}
	return best
}

func (t *Turns) forget(who string) {
	if c := t.callers[who]; c.held == 0 && len(c.waiting) == 0 {
		delete(t.callers, who)
	}
}

type key struct{}

// As is ctx of what is done for who.
func As(ctx context.Context, who string) context.Context { return context.WithValue(ctx, key{}, who) }

// Who is for whom something is done, empty for the program itself.
func Who(ctx context.Context) string {
	who, _ := ctx.Value(key{}).(string)
	return who
}
