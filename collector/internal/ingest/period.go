package ingest

import (
	"math"
	"time"
)

const (
	// mostBack is how far back the clock may be set before nothing can be taken: the engine drops what lies more than two days ahead of it.
	mostBack = 24 * time.Hour
	// leastBack is how far back it must be for samples from the future to be its fault and not the sender's.
	leastBack = time.Minute
)

// clock notices when the wall clock is set.
type clock struct {
	now   func() time.Time
	began time.Time
	// least is what the time was at began at the least.
	least time.Time
}

// newClock makes a clock that knows of something that was at the moment last.
func newClock(now func() time.Time, last time.Time) clock {
	c := clock{now: now, began: now()}
	c.least = c.began.Round(0)
	if last.After(c.least) {
		c.least = last
	}
	return c
}

// unset is what the clock would show had nobody set it since the start, nor before it behind what was seen by then.
func (c *clock) unset(now time.Time) time.Time { return c.least.Add(now.Sub(c.began)) }

// period is which timestamps are taken, milliseconds.
type period struct {
	oldest, newest int64
	back           time.Duration // by how much the clock was set back
}

// ever is for what was admitted when it came.
func ever() period { return period{oldest: math.MinInt64, newest: math.MaxInt64} }

// period is that of a moment. A clock that was set, forward or back, makes it no narrower than it was: what is refused is lost, and the
// fault is not the sender's.
func (l Limits) period(now, unset time.Time) period {
	now = now.Round(0)
	p := period{back: unset.Sub(now)}
	first, last := now, now
	if unset.Before(now) {
		first = unset
	} else {
		last = unset
	}
	if most := now.Add(mostBack); last.After(most) {
		last = most
	}
	p.oldest, p.newest = first.Add(-l.Retention).UnixMilli(), last.Add(l.Future).UnixMilli()
	return p
}
