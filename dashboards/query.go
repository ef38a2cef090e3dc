package dashboards

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Query is one target of one panel with its variables written in: what a data source is asked.
type Query struct {
	Dashboard string // uid
	Panel     string // title
	PanelID   int
	RefID     string
	Expr      string
	Instant   bool
}

// Instant asks for the newest value of every series of an expression; it gives the labels of those that have one.
type Instant func(ctx context.Context, expr string) ([]map[string]string, error)

// Values are what Grafana puts in place of its own variables when the time range is the last hour and figures come
// every 15 seconds.
func Values() map[string]string {
	return map[string]string{"__interval": "15s", "__rate_interval": "1m", "__range": "1h"}
}

// Expand writes values in place of $name and ${name}. A variable without a value stays, so that it is seen.
func Expand(expr string, values map[string]string) string {
	return variablePattern().ReplaceAllStringFunc(expr, func(found string) string {
		if value, known := values[strings.Trim(found, "${}")]; known {
			return value
		}
		return found
	})
}

func variablePattern() *regexp.Regexp { return regexp.MustCompile(`\$\{\w+\}|\$\w+`) }

// Queries gives every target of the dashboard with the variables as they are when the page is first opened: All where
// there is All, else the first value the variable's own query finds.
func (d Dashboard) Queries(ctx context.Context, query Instant) ([]Query, error) {
	values := Values()
	for _, v := range d.Variables {
		switch {
		case v.Type != "query":
		case v.IncludeAll:
			values[v.Name] = v.AllValue
		default:
			value, err := v.first(ctx, query, values)
			if err != nil {
				return nil, fmt.Errorf("dashboard %s: variable %s: %w", d.UID, v.Name, err)
			}
			values[v.Name] = value
		}
	}
	var queries []Query
	for _, p := range d.Panels {
		for _, t := range p.Targets {
			queries = append(queries, Query{
				Dashboard: d.UID, Panel: p.Title, PanelID: p.ID, RefID: t.RefID,
				Expr: Expand(t.Expr, values), Instant: t.Instant,
			})
		}
	}
	return queries, nil
}

// first prefers what was there a minute ago already: a container that has just been started has no rates yet.
func (v Variable) first(ctx context.Context, query Instant, values map[string]string) (string, error) {
	selector, label, err := v.labelValues()
	if err != nil {
		return "", err
	}
	selector = Expand(selector, values)
	for _, expr := range []string{selector + " and " + selector + " offset 1m", selector} {
		series, err := query(ctx, expr)
		if err != nil {
			return "", err
		}
		var found []string
		for _, labels := range series {
			if labels[label] != "" {
				found = append(found, labels[label])
			}
		}
		if len(found) > 0 {
			return slices.Min(found), nil
		}
	}
	return "", fmt.Errorf("no series of %s has the label %s", selector, label)
}

// labelValues takes the query of a variable apart.
func (v Variable) labelValues() (selector, label string, err error) {
	inside, ok := strings.CutPrefix(v.Query, "label_values(")
	inside, ok2 := strings.CutSuffix(inside, ")")
	comma := strings.LastIndex(inside, ",")
	if !ok || !ok2 || comma < 0 {
		return "", "", fmt.Errorf("query %q is not label_values(selector, label)", v.Query)
	}
	return strings.TrimSpace(inside[:comma]), strings.TrimSpace(inside[comma+1:]), nil
}
