// Package allowance bounds what each of many may do: some of it at once, and more with time.
package allowance

import (
	"sync"
	"time"
)

// mostKept bounds a table.
const mostKept = 10_000

// Table is what is left to each. All methods may be called from any goroutine.
type Table[K comparable] struct {
	atOnce, perSecond float64
	now               func() time.Time

	mu   sync.Mutex
	kept map[K]left // of those who spent some of theirs
}

// left is what remained at a moment.
type left struct {
	n  float64
	at time.Time
}

// New gives each so much at once, and so much again each second, by the clock now.
func New[K comparable](atOnce, perSecond float64, now func() time.Time) *Table[K] {
	return &Table[K]{atOnce: atOnce, perSecond: perSecond, now: now, kept: map[K]left{}}
}

// Spend takes one from what who has. When there is none it takes nothing, and wait says how long until there is.
func (t *Table[K]) Spend(who K) (wait time.Duration) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.kept[who]; !known {
		t.makeRoom(now)
	}
	n := t.leftOf(who, now)
	if n < 1 {
		wait = t.until(n)
	} else {
		n--
	}
	t.kept[who] = left{n, now}
	return wait
}

// Wait is what Spend would say, and takes nothing.
func (t *Table[K]) Wait(who K) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.until(t.leftOf(who, t.now()))
}

// leftOf and what follows need the lock.
func (t *Table[K]) leftOf(who K, now time.Time) float64 {
	l, known := t.kept[who]
	if !known {
		return t.atOnce
	}
	return min(t.atOnce, l.n+max(0, now.Sub(l.at).Seconds())*t.perSecond)
}

func (t *Table[K]) until(n float64) time.Duration {
	if n >= 1 {
		return 0
	}
	return time.Duration((1 - n) / t.perSecond * float64(time.Second))
}

// makeRoom forgets who has everything again, and if that is nobody, everybody.
func (t *Table[K]) makeRoom(now time.Time) {
	if len(t.kept) < mostKept {
		return
	}
	for who := range t.kept {
		if t.leftOf(who, now) >= t.atOnce {
			delete(t.kept, who)
		}
	}
	if len(t.kept) >= mostKept {
		clear(t.kept)
	}
}
