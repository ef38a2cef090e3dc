// Package layers measures what containers keep on disk, their writable layers and named volumes, in the background and at a bounded pace.
//
// There is no counter to read: every file has to be looked at. So nobody waits for a walk; Sizes returns what the last one found and asks for
// the next.
package layers

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// Sizes is what one walk found.
type Sizes struct {
	Major, Minor uint32 // the block device of the writable layer
	Bytes        uint64 // allocated, as du counts; a file with several links once
	Inodes       uint64 // files and directories
	Volumes      []Volume
}

// Volume is a named volume of the engine, or a pod's.
type Volume struct {
	Point string // where the container has it mounted
	Bytes uint64
}

// Config bounds the walks. The zero value works.
type Config struct {
	Proc     string        // where the host's proc is mounted; "" = /proc
	Interval time.Duration // between two walks of one container; 0 = 5 min
	// MostFiles bounds one walk; what has more is left out, for half a size is a false one. 0 = 1,000,000.
	MostFiles int
	Metrics   prometheus.Registerer
}

// share is the part of one CPU that walks may take.
const share = 0.1

// Walker walks one container after the other.
type Walker struct {
	cfg Config

	mu    sync.Mutex
	known map[cgroup.ContainerID]*entry
	rest  time.Time // no walk begins before

	walks, failures prometheus.Counter
}

type entry struct {
	pid    int
	asked  time.Time
	walked time.Time
	sizes  Sizes
	ok     bool
}

// New starts nothing.
func New(cfg Config) *Walker {
	if cfg.Proc == "" {
		cfg.Proc = "/proc"
	}
	if cfg.Interval == 0 {
		cfg.Interval = 5 * time.Minute
	}
	if cfg.MostFiles == 0 {
		cfg.MostFiles = 1_000_000
	}
	w := &Walker{
		cfg: cfg, known: map[cgroup.ContainerID]*entry{},
		walks:    prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_layer_walks_total", Help: "Walks of containers' writable layers and volumes."}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_layer_walks_failed_total", Help: "Walks given up: more files than the limit, no overlay, or no access to it."}),
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(w.walks, w.failures)
	}
	return w
}

// Sizes is what the newest walk of the container found, false before the first and where none succeeds. A container that is not asked for
// during two intervals is forgotten.
func (w *Walker) Sizes(id cgroup.ContainerID, pid int) (Sizes, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.known[id]
	if e == nil {
		e = &entry{}
		w.known[id] = e
	}
	e.asked, e.pid = time.Now(), pid
	return e.sizes, e.ok
}

// Suspend begins no walk before then; one that is under way is finished.
func (w *Walker) Suspend(until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = until
}

// Run walks until ctx ends.
func (w *Walker) Run(ctx context.Context) error {
	for {
		wait := time.Second
		if id, e := w.next(time.Now()); e != nil {
			wait = 0
			w.walk(ctx, id, e)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// next is a copy of the entry whose walk is longest due.
func (w *Walker) next(now time.Time) (id cgroup.ContainerID, due *entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Before(w.rest) {
		return "", nil
	}
	for key, e := range w.known {
		switch {
		case now.Sub(e.asked) > 2*w.cfg.Interval:
			delete(w.known, key)
		case now.Sub(e.walked) >= w.cfg.Interval && (due == nil || e.walked.Before(due.walked)):
			id, due = key, e
		}
	}
	if due != nil {
		copied := *due
		due = &copied
	}
	return id, due
}

func (w *Walker) walk(ctx context.Context, id cgroup.ContainerID, e *entry) {
	sizes, err := w.measure(ctx, e.pid)
	w.walks.Inc()
	if err != nil && !errors.Is(err, context.Canceled) {
		w.failures.Inc()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.known[id]; e != nil {
		e.walked, e.sizes, e.ok = time.Now(), sizes, err == nil
	}
}
