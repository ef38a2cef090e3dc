package dashboards

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/VictoriaMetrics/metricsql"
)

// missing says why an expression gives nothing: which of its series are not there at all, and which not with these labels.
func missing(ctx context.Context, expr string, query Instant) ([]string, error) {
	parsed, err := metricsql.Parse(expr)
	if err != nil {
		return nil, fmt.Errorf("read the expression: %w", err)
	}
	var selectors []*metricsql.MetricExpr
	metricsql.VisitAll(parsed, func(e metricsql.Expr) {
		if selector, ok := e.(*metricsql.MetricExpr); ok {
			selectors = append(selectors, selector)
		}
	})
	var found []string
	for _, selector := range selectors {
		why, err := missingSelector(ctx, selector, query)
		if err != nil {
			return found, err
		}
		if why != "" && !slices.Contains(found, why) {
			found = append(found, why)
		}
	}
	if len(found) == 0 {
		found = []string{"all its series are there; their labels do not match each other, or no value passes its comparison"}
	}
	return found, nil
}

func missingSelector(ctx context.Context, selector *metricsql.MetricExpr, query Instant) (string, error) {
	if len(selector.LabelFilterss) != 1 {
		return "", nil // none of ours has alternatives
	}
	var name string
	var filters []metricsql.LabelFilter
	for _, f := range selector.LabelFilterss[0] {
		if f.Label == "__name__" {
			name = f.Value
		} else {
			filters = append(filters, f)
		}
	}
	there := func(filters []metricsql.LabelFilter) (bool, error) {
		series, err := query(ctx, "count("+write(name, filters)+")")
		return len(series) > 0, err
	}
	if ok, err := there(filters); ok || err != nil {
		return "", err
	}
	if ok, err := there(nil); !ok || err != nil {
		return "no series " + name, err
	}
	for i, f := range filters {
		ok, err := there(slices.Delete(slices.Clone(filters), i, i+1))
		if err != nil {
			return "", err
		}
		if ok {
			return fmt.Sprintf("no series %s with %s", name, matcher(f)), nil
		}
	}
	return "no series " + write(name, filters), nil
}

func write(name string, filters []metricsql.LabelFilter) string {
	parts := make([]string, len(filters))
	for i, f := range filters {
		parts[i] = matcher(f)
	}
	return name + "{" + strings.Join(parts, ", ") + "}"
}

func matcher(f metricsql.LabelFilter) string {
	operator := "="
	switch {
	case f.IsRegexp && f.IsNegative:
		operator = "!~"
	case f.IsRegexp:
		operator = "=~"
	case f.IsNegative:
		operator = "!="
	}
	return fmt.Sprintf("%s%s%q", f.Label, operator, f.Value)
}
