package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmselect/searchutil"

	"github.com/plimsoll/plimsoll/collector/internal/turns"
)

// Queries of readers share the CPUs with writers and rules, which go first: what is large is evaluated a little at a time, and never
// on all CPUs, while what is small goes past it. In each lane the turn goes round from caller to caller. A caller who reads an
// answer slowly holds memory, and so one of the places there are for answers, but nobody's turn.
type lanes struct {
	answers *turns.Turns // requests, from the first to the last byte of the answer
	large   *turns.Turns // those of them whose answers may be large
	light   *turns.Turns // small evaluations
	heavy   *turns.Turns // large ones
	sending *turns.Turns // pieces of large answers
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
		sending: turns.New(cpus/2, cpus/2),
	}
}

// placeWait is how long a request waits for a place.
const placeWait = 10 * time.Second

var errCrowded = errors.New("too many queries")

// place waits for a place among those who are answered.
func (e *Engine) place(ctx context.Context) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, placeWait)
	defer cancel()
	if leave, err = e.lanes.answers.Take(ctx, turns.Who(ctx)); err != nil {
		return nil, fmt.Errorf("%w: %s", errCrowded, e.inOwnWords(fmt.Sprintf("no place came free within %s: --limit.query-concurrency=%d queries are answered at once, half of them for one caller", placeWait, e.cfg.QueryConcurrency)))
	}
	return leave, nil
}

// turn is the right to have something evaluated, until ended.
type turn struct {
	away    func()       // leaves the place of a large answer, nil without one
	leave   func()       // gives the CPU back, nil while it is given back
	sending *turns.Turns // where what is made while the answer is sent waits
}

// begin waits until what scans describe may be evaluated.
func (e *Engine) begin(ctx context.Context, scans []scan) (t *turn, err error) {
	who := turns.Who(ctx)
	ctx, cancel := context.WithTimeout(ctx, e.cfg.QueryDuration)
	defer cancel()
	t = &turn{sending: e.lanes.light}
	if t.leave, err = e.lanes.light.Take(ctx, who); err != nil {
		return nil, e.noTurn()
	}
	deadline := searchutil.NewDeadline(time.Now(), e.cfg.QueryDuration, "--limit.query-duration")
	if light, _ := count(scans, min(lightSeries, e.cfg.QueryScan), deadline); light {
		return t, nil
	}
	t.pause()
	t.sending = e.lanes.sending
	if t.away, err = e.lanes.large.Take(ctx, who); err != nil {
		return nil, e.noTurn()
	}
	if t.leave, err = e.lanes.heavy.Take(ctx, who); err != nil {
		t.end()
		return nil, e.noTurn()
	}
	if _, more := count(scans, e.cfg.QueryScan, deadline); more {
		t.end()
		return nil, e.scansTooMuch()
	}
	return t, nil
}

// pause gives the CPU back.
func (t *turn) pause() {
	if t.leave != nil {
		t.leave()
		t.leave = nil
	}
}

// resume waits for it again.
func (t *turn) resume(ctx context.Context) (err error) {
	t.leave, err = t.sending.Take(ctx, turns.Who(ctx))
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

// pieceTimeout is how long a client may take for each piece of an answer, of 64 KiB; what the system keeps for it is beside that.
const pieceTimeout = 20 * time.Second

// turnWriter gives the turn back for each piece of the answer that is sent, as the client may be slow to read it.
type turnWriter struct {
	http.ResponseWriter
	turn *turn
	ctx  context.Context
}

// Write implements http.ResponseWriter. The library writes from one goroutine at a time.
func (w *turnWriter) Write(b []byte) (int, error) {
	w.turn.pause()
	// Without effect where the writer has no connection, as in tests.
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(pieceTimeout))
	n, err := w.ResponseWriter.Write(b)
	if err == nil {
		err = w.turn.resume(w.ctx)
	}
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *turnWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
