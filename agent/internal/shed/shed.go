// Package shed decides what the agent leaves undone to stay within the CPU time and the memory it may take.
//
// It is told once an interval what the process has used and answers with the work to leave out until it is told again: what is missed least
// comes first, one step at a time, and comes back in the opposite order when there is room. Births, deaths, OOM kills, exit records and
// the counters of slots are never left out for CPU time.
package shed

import (
	"fmt"
	"math/bits"
	"strings"
	"time"
)

// Work is something that can be left out.
type Work uint8

const (
	MemoryPeaks   Work = iota // memory in the one-second pass
	StallPeaks                // throttling and pressure in the one-second pass
	CPUPeaks                  // CPU usage in it: the pass itself
	SlowGroups                // the groups read once a minute (processes, descriptors, sockets, file systems, layers), and their series
	HalfRounds                // every second full reading of a container
	QuarterRounds             // three of four
	Births                    // figures of containers that begin while memory is short; their exits are counted all the same
	Works                     // their number
)

// names are the values of the label what.
var names = [Works]string{"memory-peaks", "stall-peaks", "cpu-peaks", "slow-groups", "half-rounds", "quarter-rounds", "births"}

func (w Work) String() string { return names[w] }

// Set is the work left out.
type Set uint8

// Has tells whether w is left out.
func (s Set) Has(w Work) bool { return s&(1<<w) != 0 }

// Len is the number of works in s.
func (s Set) Len() int { return bits.OnesCount8(uint8(s)) }

// String lists them in the order of Work.
func (s Set) String() string {
	var left []string
	for w := range Works {
		if s.Has(w) {
			left = append(left, w.String())
		}
	}
	return strings.Join(left, " ")
}

// Limits of the process. The zero value has none.
type Limits struct {
	CPUCores    float64 // CPU seconds a second, averaged over a window; 0 = no limit
	MemoryBytes int64   // resident; 0 = no limit
}

// The orders in which work is left out. Half rounds save more than all before them, so they come last.
var (
	cpuOrder    = [...]Work{MemoryPeaks, StallPeaks, CPUPeaks, SlowGroups, HalfRounds, QuarterRounds}
	memoryOrder = [...]Work{SlowGroups, Births}
)

// Use is what the process has used.
type Use struct {
	CPU           time.Duration // user and system time since its start
	ResidentBytes int64
}

// Window is the least time over which CPU time is averaged: a burst of births may take more for a moment.
const Window = 15 * time.Second

// Limiter is the state of the decision. Not for concurrent use.
type Limiter struct {
	limits      Limits
	at          time.Time // of the newest window's beginning; zero: none yet
	used        time.Duration
	cores       float64
	cpu, memory ladder
}

// New checks the limits.
func New(l Limits) (*Limiter, error) {
	if l.CPUCores < 0 || l.MemoryBytes < 0 {
		return nil, fmt.Errorf("limits of %v cores and %d bytes: neither can be below 0", l.CPUCores, l.MemoryBytes)
	}
	return &Limiter{limits: l, cpu: newLadder(cpuOrder[:]), memory: newLadder(memoryOrder[:])}, nil
}

// Limits are those in force.
func (l *Limiter) Limits() Limits { return l.limits }

// Cores is the CPU use of the newest whole window.
func (l *Limiter) Cores() float64 { return l.cores }

// Step takes what has been used by now and returns what to leave out from now on. Within a window of the last step nothing changes.
func (l *Limiter) Step(now time.Time, u Use) Set {
	if l.at.IsZero() {
		l.at, l.used = now, u.CPU
	}
	if passed := now.Sub(l.at); passed >= Window {
		l.cores = (u.CPU - l.used).Seconds() / passed.Seconds()
		l.cpu.step(l.cores, l.limits.CPUCores)
		l.memory.step(float64(u.ResidentBytes), float64(l.limits.MemoryBytes))
		l.at, l.used = now, u.CPU
	}
	return l.cpu.left() | l.memory.left()
}

const (
	// relaxed is the share of the limit below which there is room for more.
	relaxed = 0.8
	// far is the multiple of the limit at which one window is enough to leave something out; otherwise it takes two in a row.
	far = 1.5
	// calm is how many windows with room it takes to take something up again, doubled up to mostCalm whenever that proved too early.
	calm, mostCalm = 4, 64
)

// ladder is one resource's work, of which the first level steps are left out.
type ladder struct {
	order       []Work
	level       int
	over, under int // windows in a row
	patience    int // windows with room before a step back
	since       int // windows since the newest step back that no step forward followed
}

func newLadder(order []Work) ladder { return ladder{order: order, patience: calm, since: mostCalm} }

func (l *ladder) step(used, limit float64) {
	if limit <= 0 {
		return
	}
	l.since++
	switch {
	case used > limit:
		l.over, l.under = l.over+1, 0
		if l.level < len(l.order) && (l.over >= 2 || used > far*limit) {
			if l.since <= calm {
				l.patience = min(2*l.patience, mostCalm)
			} else {
				l.patience = calm
			}
			l.level, l.over, l.since = l.level+1, 0, mostCalm
		}
	case used < relaxed*limit:
		l.over, l.under = 0, l.under+1
		if l.level > 0 && l.under >= l.patience {
			l.level, l.under, l.since = l.level-1, 0, 0
		}
	default:
		l.over, l.under = 0, 0
	}
}

func (l *ladder) left() Set {
	var s Set
	for _, w := range l.order[:l.level] {
		s |= 1 << w
	}
	return s
}
