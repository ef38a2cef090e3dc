package engine

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmselect/netstorage"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmselect/promql"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmselect/searchutil"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/storage"

	"github.com/plimsoll/plimsoll/collector/internal/turns"
)

// instantStep is the step of an instant query: how far back a sample counts as current when the series' own interval
// can not be told. The same as Prometheus' lookback and as the library's default.
const instantStep = 5 * time.Minute

// Query evaluates expr (MetricsQL, a superset of PromQL) at one time, within the view of ctx; each series of the answer has one value.
func (e *Engine) Query(ctx context.Context, expr string, at time.Time) ([]Series, error) {
	return e.evaluate(ctx, expr, at, at, instantStep)
}

// QueryRange evaluates expr, within the view of ctx, at from, from+step, … up to to. A series has no value where it has no sample.
func (e *Engine) QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Series, error) {
	if step < time.Millisecond {
		return nil, fmt.Errorf("%w: step %s is below 1ms", ErrQuery, step)
	}
	if to.Before(from) {
		return nil, fmt.Errorf("%w: end %s is before start %s", ErrQuery, to.UTC().Format(time.RFC3339), from.UTC().Format(time.RFC3339))
	}
	if points := to.Sub(from)/step + 1; points > time.Duration(e.cfg.QueryPoints) {
		return nil, fmt.Errorf("%w: %s", ErrQuery, e.inOwnWords(fmt.Sprintf("%d points per series, the most is --limit.query-points=%d; take a longer step", points, e.cfg.QueryPoints)))
	}
	return e.evaluate(ctx, expr, from, to, step)
}

func (e *Engine) evaluate(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Series, error) {
	if err := e.enter(); err != nil {
		return nil, err
	}
	defer e.leave()
	filters, err := filtersOf(ctx)
	if err != nil {
		return nil, err
	}
	leave, err := e.admit(ctx, expr, from, to, step, filters)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrQuery, err)
	}
	defer leave()
	timeout := e.cfg.QueryDuration
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	if timeout <= 0 || ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrQuery, context.Cause(ctx))
	}
	ec := &promql.EvalConfig{
		EnforcedTagFilterss: filters,
		Start:               from.UnixMilli(), End: to.UnixMilli(), Step: step.Milliseconds(),
		MaxPointsPerSeries: e.cfg.QueryPoints, MaxSeries: e.cfg.QueryScan,
		Deadline:      searchutil.NewDeadline(time.Now(), timeout, "--limit.query-duration"),
		RoundDigits:   100, // none
		GetRequestURI: func() string { return "in-process" },
	}
	ec.QueryStats = promql.NewQueryStats(expr, nil, ec)
	results, err := promql.Exec(nil, ec, expr, from.Equal(to))
	if tooMany(err) {
		return nil, fmt.Errorf("%w: %w", ErrQuery, e.scansTooMuch())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrQuery, e.inOwnWords(err.Error()))
	}
	return toSeries(results), nil
}

// admit waits until a query may be evaluated: one of a reader for its turn, one of the program itself for a slot that readers
// can not take.
func (e *Engine) admit(ctx context.Context, expr string, from, to time.Time, step time.Duration, filters [][]storage.TagFilter) (leave func(), err error) {
	if turns.Who(ctx) != "" {
		turn, err := e.begin(ctx, scansOf(expr, from.UnixMilli(), to.UnixMilli(), step.Milliseconds(), filters), false)
		if err != nil {
			return nil, err
		}
		return turn.end, nil
	}
	select {
	case e.slots <- struct{}{}:
		return func() { <-e.slots }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", e.inOwnWords(fmt.Sprintf("waiting for one of --limit.query-concurrency=%d slots", cap(e.slots))), ctx.Err())
	}
}

// toSeries copies the answer out of the library's memory and leaves out points without a value.
func toSeries(results []netstorage.Result) []Series {
	out := make([]Series, 0, len(results))
	for i := range results {
		r := &results[i]
		s := Series{Labels: make([]prompb.Label, 0, len(r.MetricName.Tags)+1)}
		if len(r.MetricName.MetricGroup) > 0 {
			s.Labels = append(s.Labels, prompb.Label{Name: "__name__", Value: string(r.MetricName.MetricGroup)})
		}
		for _, tag := range r.MetricName.Tags {
			s.Labels = append(s.Labels, prompb.Label{Name: string(tag.Key), Value: string(tag.Value)})
		}
		for j, v := range r.Values {
			if !math.IsNaN(v) {
				s.Values = append(s.Values, v)
				s.TimestampsMillis = append(s.TimestampsMillis, r.Timestamps[j])
			}
		}
		if len(s.Values) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// Label returns the value of a label, empty when absent.
func (s Series) Label(name string) string {
	for _, l := range s.Labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}
