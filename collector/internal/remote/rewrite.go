package remote

import (
	"fmt"

	"github.com/VictoriaMetrics/metricsql"

	"github.com/plimsoll/plimsoll/collector/internal/view"
)

// rewrite adds the selectors of v to every selector of expr: what each matches is also in the view. The text that is sent is
// made of what was parsed, so that nothing reaches the other side that was not looked at.
func rewrite(expr string, v *view.View) (string, error) {
	parsed, err := metricsql.Parse(expr)
	if err != nil {
		return "", err
	}
	groups, err := groupsOf(v)
	if err != nil {
		return "", err
	}
	metricsql.VisitAll(parsed, func(e metricsql.Expr) {
		if selector, ok := e.(*metricsql.MetricExpr); ok {
			selector.LabelFilterss = both(selector.LabelFilterss, groups)
		}
	})
	return string(parsed.AppendString(nil)), nil
}

// groupsOf are the filters of v's selectors.
func groupsOf(v *view.View) ([][]metricsql.LabelFilter, error) {
	var groups [][]metricsql.LabelFilter
	for _, text := range v.Selectors() {
		parsed, err := metricsql.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("filter %s of the reader: %w", text, err)
		}
		selector, ok := parsed.(*metricsql.MetricExpr)
		if !ok {
			return nil, fmt.Errorf("filter %s of the reader is no selector", text)
		}
		groups = append(groups, selector.LabelFilterss...)
	}
	return groups, nil
}

// both matches what a group of each list matches.
func both(asked, allowed [][]metricsql.LabelFilter) [][]metricsql.LabelFilter {
	if len(asked) == 0 {
		asked = [][]metricsql.LabelFilter{nil}
	}
	var all [][]metricsql.LabelFilter
	for _, a := range asked {
		for _, b := range allowed {
			all = append(all, append(append([]metricsql.LabelFilter(nil), a...), b...))
		}
	}
	return all
}
