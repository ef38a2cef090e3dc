// Package engine keeps all samples and answers PromQL from them: VictoriaMetrics single-node inside this process, behind a small seam.
//
// The library is a process singleton with some 260 global flags; nothing outside this package sees them. Every value is
// validated here first, because a bad one ends the process inside the library. One process opens one engine, once.
package engine

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmselect"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmselect/promql"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmstorage"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/cgroup"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
)

// What a caller of Open, Append or Query may want to tell apart.
var (
	ErrConfig   = errors.New("engine configuration")              // the operator must change a setting
	ErrDataDir  = errors.New("engine data directory")             // it can not be created, written or read
	ErrLocked   = errors.New("engine data directory is in use")   // another process holds it
	ErrReadOnly = errors.New("engine takes no samples")           // too little free disk; retry later
	ErrClosed   = errors.New("engine is closed")                  // retry against the next start
	ErrLabels   = errors.New("engine can not store these labels") // the series will never be stored
	ErrQuery    = errors.New("query")                             // the expression or its cost
)

// Series is one series of an answer. The slices belong to the caller.
type Series struct {
	Labels           []prompb.Label // __name__ first when the result has a name
	Values           []float64
	TimestampsMillis []int64
}

// Engine is the open storage. All methods may be called from any goroutine; after Close they return ErrClosed.
type Engine struct {
	cfg  Config
	log  *slog.Logger
	lock *os.File

	// open is held for reading by every call into the library and for writing by Close, which so waits for them.
	open   sync.RWMutex
	closed bool

	lanes   lanes         // of readers' queries
	slots   chan struct{} // queries of the program itself that are running
	scratch sync.Pool     // *rowBuffer
	rows    atomic.Uint64 // given to the storage so far
	vmLog   *logBridge    // where the library's messages go
	refused refusals      // queries, by the limit
}

// Open locks the data directory and opens the storage in it. It returns after the parts on disk are opened; a clean
// shutdown of a large store makes that seconds.
func Open(cfg Config, log *slog.Logger) (e *Engine, err error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if vmstorage.VMInsertAPI != nil {
		return nil, fmt.Errorf("%w: one process can open it only once", ErrConfig)
	}
	lock, err := lockDataDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	e = &Engine{cfg: cfg, log: log, lock: lock, vmLog: newLogBridge(log, time.Now), lanes: newLanes(cfg.QueryConcurrency), slots: make(chan struct{}, cfg.QueryConcurrency), refused: newRefusals()}
	e.scratch.New = func() any { return new(rowBuffer) }
	defer func() {
		// The library panics on a damaged file; what it said is the message.
		if r := recover(); r != nil {
			e, err = nil, fmt.Errorf("open the storage in %s: %v", cfg.DataDir, r)
		}
		if err != nil {
			lock.Close()
		}
	}()
	// What samples and index need lies outside the heap; half the default slack keeps an idle collector small.
	cgroup.SetGOGC(50)
	e.vmLog.install()
	if err := setFlags(cfg.flags()); err != nil {
		return nil, err
	}
	vmstorage.Init(cfg.QueryConcurrency, placeWait, promql.ResetRollupResultCacheIfNeeded)
	vmselect.Init(2*cfg.QueryConcurrency, placeWait) // more than the lanes let through
	return e, nil
}

// setFlags gives the library its settings. Its flags live in flag.CommandLine, which never sees os.Args.
func setFlags(values map[string]string) error {
	if !flag.Parsed() {
		flag.CommandLine.Init("engine", flag.ContinueOnError)
		flag.CommandLine.SetOutput(io.Discard)
		if err := flag.CommandLine.Parse(nil); err != nil {
			return fmt.Errorf("%w: %w", ErrConfig, err)
		}
	}
	for name, value := range values {
		if err := flag.Set(name, value); err != nil {
			return fmt.Errorf("%w: %s=%s: %w", ErrConfig, name, value, err)
		}
	}
	return nil
}

// enter returns ErrClosed, or nil and the caller must call leave.
func (e *Engine) enter() error {
	e.open.RLock()
	if e.closed {
		e.open.RUnlock()
		return ErrClosed
	}
	return nil
}

func (e *Engine) leave() { e.open.RUnlock() }

// Flush makes everything appended so far visible to queries. Without it a new sample of a known series shows up after
// about 3 s, the first sample of a new series after up to 10 s.
func (e *Engine) Flush() {
	if e.enter() != nil {
		return
	}
	defer e.leave()
	vmstorage.DebugFlush()
}

// Close waits for running calls, writes what is in memory to disk and unlocks the data directory.
func (e *Engine) Close() error {
	e.open.Lock()
	defer e.open.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	vmstorage.Stop()
	vmselect.Stop()
	e.vmLog.uninstall()
	return e.lock.Close()
}
