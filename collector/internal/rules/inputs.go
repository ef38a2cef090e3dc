package rules

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metricsql"
)

// A rule is armed when every input it cannot do without has had a series within inputLookback. Inputs that are there are
// looked for again every inputRecheck, those that are missing at every inputInterval: a query that finds nothing costs nothing.
const (
	inputInterval = 30 * time.Second
	inputRecheck  = 20 * time.Minute
	inputLookback = time.Hour
)

// Input is what is known of a metric apart from its series.
type Input struct {
	// StandIn is a metric of the same source that is always there. Where it is, this one is delivered as soon as there is
	// something to tell: a limit, a quota, an exit. Empty: there is none.
	StandIn string
	// Hint says why the metric may be missing and what would bring it. May be empty.
	Hint string
}

// Missing is an input without which a rule can yield nothing.
type Missing struct {
	Selector string `json:"selector"`
	Hint     string `json:"hint,omitempty"`
}

// inputs knows which selectors have series. One goroutine uses it.
type inputs struct {
	query    QueryFunc
	describe func(metric string) Input
	seen     map[string]time.Time // when a selector last had a series
	checked  map[string]time.Time
	records  map[string][]metricsql.Expr // what the loaded rules record, by name
}

func newInputs(query QueryFunc, describe func(string) Input) *inputs {
	if describe == nil {
		describe = func(string) Input { return Input{} }
	}
	return &inputs{query: query, describe: describe, seen: map[string]time.Time{}, checked: map[string]time.Time{}}
}

// take makes the recording rules of defs known; selectors that no rule uses any more are forgotten with time.
func (in *inputs) take(groups []*group) {
	in.records = map[string][]metricsql.Expr{}
	for _, g := range groups {
		for _, r := range g.def.Rules {
			if r.Record != "" {
				in.records[r.Record] = append(in.records[r.Record], parsed(r.Expr))
			}
		}
	}
}

// parsed is expr of a rule that was loaded, so it parses; a template that does not is no expression.
func parsed(expr string) metricsql.Expr {
	e, err := metricsql.Parse(expr)
	if err != nil {
		return nil
	}
	return e
}

// missing lists what keeps e from yielding anything, each selector once.
func (in *inputs) missing(ctx context.Context, e metricsql.Expr, now time.Time) ([]Missing, error) {
	return in.walk(ctx, e, now, 0)
}

// mostRecords bounds how far records are followed to what they are made from.
const mostRecords = 8

func (in *inputs) walk(ctx context.Context, e metricsql.Expr, now time.Time, depth int) ([]Missing, error) {
	all := func(parts ...metricsql.Expr) (list []Missing, err error) {
		for _, part := range parts {
			more, err := in.walk(ctx, part, now, depth)
			if err != nil {
				return nil, err
			}
			list = append(list, more...)
		}
		return compact(list), nil
	}
	switch e := e.(type) {
	case *metricsql.MetricExpr:
		return in.selector(ctx, e, now, depth)
	case *metricsql.RollupExpr:
		return all(e.Expr)
	case *metricsql.AggrFuncExpr:
		return all(e.Args...)
	case *metricsql.FuncExpr:
		if name := strings.ToLower(e.Name); name == "absent" || name == "absent_over_time" {
			return nil, nil
		}
		return all(e.Args...)
	case *metricsql.BinaryOpExpr:
		switch strings.ToLower(e.Op) {
		case "or", "default": // either will do
			left, err := all(e.Left)
			if err != nil || len(left) == 0 {
				return nil, err
			}
			right, err := all(e.Right)
			if err != nil || len(right) == 0 {
				return nil, err
			}
			return compact(append(left, right...)), nil
		case "unless", "ifnot":
			return all(e.Left)
		}
		return all(e.Left, e.Right)
	}
	return nil, nil
}

func (in *inputs) selector(ctx context.Context, e *metricsql.MetricExpr, now time.Time, depth int) ([]Missing, error) {
	name := metricName(e)
	if made, ok := in.records[name]; ok && depth < mostRecords {
		var list []Missing
		for _, expr := range made {
			more, err := in.walk(ctx, expr, now, depth+1)
			if err != nil || len(more) == 0 {
				return nil, err
			}
			list = append(list, more...)
		}
		return compact(list), nil
	}
	text := string(e.AppendString(nil))
	known := in.describe(name)
	for _, candidate := range []string{text, standIn(e, known.StandIn)} {
		if candidate == "" {
			continue
		}
		there, err := in.there(ctx, candidate, now)
		if err != nil || there {
			return nil, err
		}
	}
	if name != "" && text != name {
		there, err := in.there(ctx, name, now)
		if err != nil {
			return nil, err
		}
		if there {
			return []Missing{{Selector: text, Hint: "series of " + name + " are there, but none with these labels"}}, nil
		}
	}
	return []Missing{{Selector: text, Hint: known.Hint}}, nil
}

// there tells whether selector had a series within the look-back.
func (in *inputs) there(ctx context.Context, selector string, now time.Time) (bool, error) {
	seen, ever := in.seen[selector]
	fresh := ever && now.Sub(seen) < inputLookback
	wait := inputInterval / 2 // asked by several rules in one round
	if fresh {
		wait = inputRecheck
	}
	if at, ok := in.checked[selector]; ok && now.Sub(at) < wait {
		return fresh, nil
	}
	found, err := in.query(ctx, "count("+selector+")", now)
	if err != nil {
		return false, fmt.Errorf("look for %s: %w", selector, err)
	}
	in.checked[selector] = now
	if len(found) > 0 {
		in.seen[selector] = now
		return true, nil
	}
	return fresh, nil
}

func metricName(e *metricsql.MetricExpr) string {
	for _, filters := range e.LabelFilterss {
		for _, f := range filters {
			if f.Label == "__name__" && !f.IsRegexp && !f.IsNegative {
				return f.Value
			}
		}
	}
	return ""
}

// standIn is e under another name, with the filters that tell real containers and nodes apart alone.
func standIn(e *metricsql.MetricExpr, name string) string {
	if name == "" || len(e.LabelFilterss) == 0 {
		return ""
	}
	same := []metricsql.LabelFilter{{Label: "__name__", Value: name}}
	for _, f := range e.LabelFilterss[0] {
		if slices.Contains([]string{"container", "id", "workload"}, f.Label) {
			same = append(same, f)
		}
	}
	return string((&metricsql.MetricExpr{LabelFilterss: [][]metricsql.LabelFilter{same}}).AppendString(nil))
}

func compact(list []Missing) []Missing {
	slices.SortStableFunc(list, func(a, b Missing) int { return strings.Compare(a.Selector, b.Selector) })
	return slices.CompactFunc(list, func(a, b Missing) bool { return a.Selector == b.Selector })
}
