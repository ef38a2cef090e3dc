package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// Figures of containers whose cgroups can not be read here, because the engine runs on another host or in another tree. Asking costs
// 3 ms of CPU for each container, most of it the engine's, fifty times what its files cost, so nothing is asked of containers that are
// read themselves.

// How many containers' figures are asked for at once. An engine collects them once a second for all who wait, so that an answer takes a
// second: as many wait together as it takes to be through in half an interval.
const (
	fewestAskers = 4
	mostAskers   = 128
)

func (e *Engine) askers(due int) int {
	half := max(1, int(e.cfg.StatsInterval.Seconds()/2))
	return min(max(fewestAskers, (due+half-1)/half), mostAskers, due)
}

// limitsEvery is after how many answers the limits are asked for anew: `docker update` changes them.
const limitsEvery = 8

// freshFor is how many intervals figures are good for.
const freshFor = 3

// Figures are one container's, asked for every Config.StatsInterval from Engine.Figures to Close. Safe for concurrent use.
type Figures struct {
	id       cgroup.ContainerID
	engine   *Engine
	answered func(cgroup.ContainerID)

	mu      sync.Mutex // guards the rest
	newest  cgroup.Stats
	at      time.Time // of newest; zero: none yet
	gone    bool      // the engine does not run it any more
	limits  limits
	answers int
}

// Figures begins to ask for a container's figures while the engine is followed. answered is called, from another goroutine, after each
// answer; it must not block.
func (e *Engine) Figures(id cgroup.ContainerID, answered func(cgroup.ContainerID)) *Figures {
	f := &Figures{id: id, engine: e, answered: answered}
	e.figuresMu.Lock()
	e.figures[f] = struct{}{}
	e.figuresMu.Unlock()
	select {
	case e.figuresNew <- struct{}{}:
	default:
	}
	return f
}

// Close ends the asking.
func (f *Figures) Close() {
	f.engine.figuresMu.Lock()
	defer f.engine.figuresMu.Unlock()
	delete(f.engine.figures, f)
}

// Read gives the newest figures, none where those are not fresh. ErrGone: the engine does not run the container.
func (f *Figures) Read(st *cgroup.Stats, _ []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		*st = cgroup.Stats{IO: st.IO[:0], Net: st.Net[:0]}
		return cgroup.ErrGone
	}
	if !f.fresh() {
		*st = cgroup.Stats{IO: st.IO[:0], Net: st.Net[:0]}
		return nil
	}
	f.copyTo(st)
	return nil
}

// Last gives the newest figures however old; false where there never were any.
func (f *Figures) Last(st *cgroup.Stats) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.copyTo(st)
	return !f.at.IsZero()
}

// Fresh tells that the newest figures are good and were shown when they came: Read has no news.
func (f *Figures) Fresh() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.gone && f.fresh()
}

func (f *Figures) fresh() bool {
	return !f.at.IsZero() && time.Since(f.at) <= freshFor*f.engine.cfg.StatsInterval
}

func (f *Figures) copyTo(st *cgroup.Stats) {
	io, net := append(st.IO[:0], f.newest.IO...), append(st.Net[:0], f.newest.Net...)
	*st = f.newest
	st.IO, st.Net = io, net
}

// ReadCPU has nothing to say between two answers.
func (f *Figures) ReadCPU([]byte) (time.Duration, bool, error) { return 0, false, nil }

// ReadMemory neither.
func (f *Figures) ReadMemory([]byte) (uint64, bool, error) { return 0, false, nil }

// ask makes one request, or two.
func (f *Figures) ask(ctx context.Context, conn connection) error {
	f.mu.Lock()
	given, again := f.limits, f.answers%limitsEvery == 0
	f.mu.Unlock()
	var err error
	if again {
		given, err = conn.limits(ctx, f.id)
	}
	if err == nil {
		in, statsErr := conn.stats(ctx, f.id)
		if errors.Is(statsErr, errNoFigures) {
			statsErr = f.whyNone(ctx, conn)
		}
		if err = statsErr; err == nil {
			f.mu.Lock()
			statsOf(&in, given, &f.newest)
			f.at, f.limits, f.gone = time.Now(), given, false
			f.answers++
			f.mu.Unlock()
		}
	}
	if errors.Is(err, errNoSuchContainer) {
		f.mu.Lock()
		f.gone = true
		f.mu.Unlock()
		err = nil
	}
	if err == nil && f.answered != nil {
		f.answered(f.id)
	}
	return err
}

// whyNone tells errNoSuchContainer where the container does not run, and that its figures could not be had this time where it does: those
// are asked for again.
func (f *Figures) whyNone(ctx context.Context, conn connection) error {
	found, err := conn.inspect(ctx, f.id)
	switch {
	case err != nil:
		return err
	case !found.running:
		return errNoSuchContainer
	default:
		f.engine.metrics.failures.WithLabelValues("stats").Inc()
		return fmt.Errorf("stats of the running %s: %w", f.id, errNoFigures)
	}
}

// due are the figures to ask for now: all, or those that were never asked for.
func (e *Engine) due(all bool) (due []*Figures) {
	e.figuresMu.Lock()
	defer e.figuresMu.Unlock()
	for f := range e.figures {
		f.mu.Lock()
		if !f.gone && (all || f.at.IsZero()) {
			due = append(due, f)
		}
		f.mu.Unlock()
	}
	return due
}

// askAll asks for the figures of many, a few at a time. What fails is counted and asked again in the next round.
func (e *Engine) askAll(ctx context.Context, conn connection, due []*Figures) (firstErr error) {
	next := make(chan *Figures)
	var workers sync.WaitGroup
	var mu sync.Mutex
	for range e.askers(len(due)) {
		workers.Go(func() {
			for f := range next {
				if err := f.ask(ctx, conn); err != nil {
					mu.Lock()
					firstErr = cmp.Or(firstErr, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, f := range due {
		select {
		case next <- f:
		case <-ctx.Done():
		}
	}
	close(next)
	workers.Wait()
	return firstErr
}

// followFigures asks every StatsInterval while the connection lasts.
func (e *Engine) followFigures(ctx context.Context, conn connection) {
	tick := time.NewTicker(e.cfg.StatsInterval)
	defer tick.Stop()
	_ = e.askAll(ctx, conn, e.due(true)) // what fails is counted by request
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = e.askAll(ctx, conn, e.due(true)) // likewise
		}
	}
}

// followNewFigures asks for the first time, beside a round that is under way.
func (e *Engine) followNewFigures(ctx context.Context, conn connection) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.figuresNew:
			_ = e.askAll(ctx, conn, e.due(false)) // counted, and asked again in the next round
		}
	}
}

// AskFigures connects once and asks for all figures, for those who do not Run. It returns how many those are.
func (e *Engine) AskFigures(ctx context.Context) (int, error) {
	due := e.due(true)
	if len(due) == 0 {
		return 0, nil
	}
	conn, _, err := e.connect(ctx)
	if err != nil {
		return len(due), e.explain(err)
	}
	defer conn.close()
	if err := e.askAll(ctx, conn, due); err != nil {
		return len(due), e.explain(err)
	}
	return len(due), nil
}
