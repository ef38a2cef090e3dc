package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmselect/searchutil"

	"github.com/plimsoll/plimsoll/collector/internal/turns"
)

// Queries of readers share the CPUs with writers and rules, which go first: what is large is evaluated a little at a time, and never
// on all CPUs, while what is small goes past it. In each lane the turn goes round from caller to caller. A caller who reads an
// answer slowly holds memory, and so one of the places there are for answers, but nobody's turn.
type lanes struct {
	answers *turns.Turns // places for small evaluations, from their beginning to the last byte of the answer
	large   *turns.Turns // places for large ones
	light   *turns.Turns // small evaluations
	heavy   *turns.Turns // large ones
}

// share is how many CPUs one query may use and how many large ones are evaluated at once: together at most three quarters of the CPUs, or one.
func share(cpus int) (each, queries int) {
	each = max(1, cpus/4)
	return each, max(1, (cpus-1)/each)
}

func newLanes(concurrency int) lanes {
	cpus := runtime.GOMAXPROCS(0)
	_, queries := share(cpus)
	return lanes{
		answers: turns.New(concurrency, (concurrency+1)/2),
		large:   turns.New((concurrency+3)/4, (concurrency+7)/8),
		light:   turns.New(2*cpus, cpus),
		heavy:   turns.New(queries, queries-1),
	}
}

// placeWait is how long a small query waits for a place.
const placeWait = 10 * time.Second

var errCrowded = errors.New("too many queries")

// turn is the right to have something evaluated, until ended.
type turn struct {
	away func()       // leaves the place, nil without one
	lane *turns.Turns // that leave is of

	mu    sync.Mutex
	leave func() // gives the CPU back, nil while it is given back
	since time.Time
}

// begin waits until what scans describe may be evaluated; large is known to be so without them. Who waits has no place yet: so those who wait for a large turn keep no small one
// from being answered.
func (e *Engine) begin(ctx context.Context, scans []scan, large bool) (*turn, error) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.QueryDuration)
	defer cancel()
	t := &turn{lane: e.lanes.light}
	if err := t.resume(ctx); err != nil {
		return nil, e.noTurn()
	}
	deadline := searchutil.NewDeadline(time.Now(), e.cfg.QueryDuration, "--limit.query-duration")
	light, _ := count(scans, min(lightSeries, e.cfg.QueryScan), deadline)
	t.pause()
	if light && !large {
		return t, e.enterLight(ctx, t)
	}
	t.lane = e.lanes.heavy
	var err error
	if t.away, err = e.lanes.large.Take(ctx, turns.Who(ctx)); err != nil {
		return nil, e.noTurn()
	}
	if err := t.resume(ctx); err != nil {
		t.end()
		return nil, e.noTurn()
	}
	if _, more := count(scans, e.cfg.QueryScan, deadline); more {
		t.end()
		return nil, e.scansTooMuch()
	}
	return t, nil
}

// enterLight takes a place and a turn for what was found to be small.
func (e *Engine) enterLight(ctx context.Context, t *turn) (err error) {
	ctx, cancel := context.WithTimeout(ctx, placeWait)
	defer cancel()
	if t.away, err = e.lanes.answers.Take(ctx, turns.Who(ctx)); err == nil {
		err = t.resume(ctx)
	}
	if err != nil {
		t.end()
		return fmt.Errorf("%w: %s", errCrowded, e.inOwnWords(fmt.Sprintf("no place came free within %s: --limit.query-concurrency=%d queries are answered at once, half of them for one caller", placeWait, e.cfg.QueryConcurrency)))
	}
	return nil
}

// pause gives the CPU back, if it is held.
func (t *turn) pause() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.leave != nil {
		t.leave()
		t.leave = nil
	}
}

// resume waits for it, if it is not held.
func (t *turn) resume(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.leave != nil {
		return nil
	}
	leave, err := t.lane.Take(ctx, turns.Who(ctx))
	t.leave, t.since = leave, time.Now()
	return err
}

func (t *turn) end() {
	t.pause()
	if t.away != nil {
		t.away()
		t.away = nil
	}
}

func (e *Engine) noTurn() error {
	return fmt.Errorf("%w: %s", errCrowded, e.inOwnWords(fmt.Sprintf("its turn did not come within --limit.query-duration=%s: %d large queries are evaluated at once, and callers take turns", e.cfg.QueryDuration, e.lanes.heavy.Seats())))
}

// How long the pieces of an answer, of 64 KiB, may take.
const (
	pieceTimeout = 20 * time.Second      // of a client for each; what the system keeps for it is beside that
	pieceBrief   = 5 * time.Millisecond  // with the turn held; a client that reads at once needs less
	slice        = 50 * time.Millisecond // of a turn in which pieces are made, then others have theirs
	betweenMost  = 2 * time.Minute       // from one to the next
)

// turnWriter sends an answer that is made while it is sent. A client who is slow to read holds no turn meanwhile.
type turnWriter struct {
	http.ResponseWriter
	turn *turn
	ctx  context.Context
	sent bool
}

// Write implements http.ResponseWriter. The library writes from one goroutine at a time.
func (w *turnWriter) Write(b []byte) (int, error) {
	if !w.sent { // the evaluation is over, or hardly begun
		w.sent, w.turn.since = true, time.Now()
	}
	connection := http.NewResponseController(w.ResponseWriter)
	// Both without effect where the writer has no connection, as in tests.
	_ = connection.SetWriteDeadline(time.Now().Add(pieceTimeout))
	defer func() { _ = connection.SetWriteDeadline(time.Now().Add(betweenMost)) }()
	slow := time.AfterFunc(pieceBrief, w.turn.pause)
	n, err := w.ResponseWriter.Write(b)
	slow.Stop()
	if time.Since(w.turn.since) > slice {
		w.turn.pause()
	}
	if err == nil {
		err = w.turn.resume(w.ctx)
	}
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *turnWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
