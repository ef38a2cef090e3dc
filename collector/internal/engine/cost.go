package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmselect/searchutil"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmstorage"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/storage"
	"github.com/VictoriaMetrics/metricsql"
)

// What a query costs is told from the index before anything is read: how many series its selectors match, and how many
// samples and points that makes. It decides which turn the query waits for, and bounds what it may search, which the library's
// own setting (search.maxUniqueTimeseries) does not do for queries of this version.

// scan is one selector of a query, when it is read, and how many samples and points that makes of each series it matches.
type scan struct {
	filters  [][]storage.TagFilter
	from, to int64 // milliseconds
	values   int64
}

// assumedInterval is between two samples of a series, for an estimate.
const assumedInterval = 10 * time.Second

// What is light: some tens of milliseconds of one CPU at most.
const (
	lightSeries = 3000
	lightValues = 1_000_000
)

// scansOf are the selectors of expr evaluated at from, from+step, … up to to, each with the filters enforced. An expression that can not be
// parsed has none: who evaluates it says what is wrong.
func scansOf(expr string, from, to, step int64, enforced [][]storage.TagFilter) []scan {
	parsed, err := metricsql.Parse(expr)
	if err != nil {
		return nil
	}
	var found []scan
	walk(parsed, reading{from: from, to: to, step: max(step, 1)}, func(selector *metricsql.MetricExpr, r reading) {
		if selector.IsEmpty() {
			return
		}
		filters := searchutil.JoinTagFilterss(searchutil.ToTagFilterss(selector.LabelFilterss), enforced)
		from, to := within(r.from-r.window), within(r.to)
		from = min(from, to)
		points := max(0, within(r.to)-within(r.from))/r.step + 1
		values := (to-from)/assumedInterval.Milliseconds() + points
		if r.whole {
			values += points * (r.window / assumedInterval.Milliseconds())
		}
		found = append(found, scan{filters: filters, from: from, to: to, values: min(values, manyValues)})
	})
	return found
}

// manyValues is more than any estimate needs to tell.
const manyValues = 1 << 40

// within keeps a time that a client named between 1970 and the year 10000.
func within(millis int64) int64 { return min(max(millis, 0), 253402300799999) }

// reading is when, and how, a part of an expression is evaluated. Times are in milliseconds.
type reading struct {
	from, to, step int64
	window         int64 // that each point looks back
	whole          bool  // each point looks at all samples of its window
}

// walk calls do for every selector in e.
func walk(e metricsql.Expr, r reading, do func(*metricsql.MetricExpr, reading)) {
	switch e := e.(type) {
	case *metricsql.MetricExpr:
		r.window = max(r.window, min(r.step, instantStep.Milliseconds()))
		do(e, r)
	case *metricsql.RollupExpr:
		inside := r
		inside.window = within(e.Window.Duration(r.step))
		switch at := e.At.(type) {
		case nil:
		case *metricsql.NumberExpr:
			inside.from, inside.to = int64(at.N*1000), int64(at.N*1000)
		case *metricsql.FuncExpr: // start() or end()
		default:
			inside.from = 0 // some time that only the evaluation knows
		}
		offset := e.Offset.Duration(r.step)
		inside.from, inside.to = inside.from-offset, inside.to-offset
		if _, plain := e.Expr.(*metricsql.MetricExpr); e.ForSubquery() || e.Window != nil && !plain {
			inside.from -= inside.window
			inside.window, inside.whole = 0, false
			if step := e.Step.Duration(r.step); step > 0 {
				inside.step = step
			}
		}
		walk(e.Expr, inside, do)
	case *metricsql.FuncExpr:
		r.whole = !slices.Contains([]string{"rate", "increase", "delta", "irate", "idelta", "deriv_fast", "increase_pure", "first_over_time", "last_over_time", "default_rollup", ""}, e.Name)
		for _, arg := range e.Args {
			walk(arg, r, do)
		}
	case *metricsql.AggrFuncExpr:
		for _, arg := range e.Args {
			walk(arg, r, do)
		}
	case *metricsql.BinaryOpExpr:
		walk(e.Left, r, do)
		walk(e.Right, r, do)
	}
}

// count asks the index how many series the scans match, and whether reading them is light. The search ends early when there are more
// than most, and says so with more.
func count(scans []scan, most int, deadline searchutil.Deadline) (light, more bool) {
	series, values := 0, int64(0)
	for _, s := range scans {
		if series >= most {
			return false, true
		}
		search, n, err := vmstorage.GetSearch(nil, storage.NewSearchQuery(s.from, s.to, s.filters, most-series), deadline.Deadline())
		if err != nil {
			continue // the query itself will say so
		}
		err = search.Error()
		vmstorage.PutSearch(search)
		if tooMany(err) {
			return false, true
		}
		series += n
		values = min(values+s.values*int64(n), manyValues)
	}
	return series <= lightSeries && values <= lightValues, false
}

// tooMany tells whether a search ended because of the number of its series; the library has no other sign than its words.
func tooMany(err error) bool {
	return err != nil && strings.Contains(err.Error(), "the number of matching timeseries exceeds")
}

// errScan is that a query's selectors match too much.
var errScan = errors.New("too many series")

func (e *Engine) scansTooMuch() error {
	return fmt.Errorf("%w: %s", errScan, e.inOwnWords(fmt.Sprintf("the selectors of the query match more than --limit.query-scan=%d series; name more labels or a shorter time", e.cfg.QueryScan)))
}
