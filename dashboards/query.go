package dashboards

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
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

// Span is the time range of the page when it is opened. The range is checked when the dashboard is loaded.
func (d Dashboard) Span() time.Duration {
	span, err := d.span()
	if err != nil {
		return time.Hour
	}
	return span
}

func (d Dashboard) span() (time.Duration, error) {
	if d.From == "" {
		return time.Hour, nil
	}
	text, ok := strings.CutPrefix(d.From, "now-")
	span, err := model.ParseDuration(text)
	if !ok || err != nil || span <= 0 {
		return 0, fmt.Errorf("time.from %q is not now- and a time", d.From)
	}
	return time.Duration(span), nil
}

// interval is how far apart figures come.
const interval = 15 * time.Second

// Step is the distance of the points of a graph on a screen that has room for a thousand, in whole intervals.
func (d Dashboard) Step() time.Duration {
	return max(interval, (d.Span()/1000+interval-1)/interval*interval)
}

// values are Values for the dashboard's own time range.
func (d Dashboard) values() map[string]string {
	return map[string]string{
		"__interval":      model.Duration(d.Step()).String(),
		"__rate_interval": model.Duration(max(4*interval, d.Step()+interval)).String(),
		"__range":         model.Duration(d.Span()).String(),
	}
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
	return d.QueriesAt(ctx, query, nil)
}

// QueriesAt is Queries with some variables chosen.
func (d Dashboard) QueriesAt(ctx context.Context, query Instant, chosen map[string]string) ([]Query, error) {
	values := d.values()
	for _, v := range d.Variables {
		value, set := chosen[v.Name]
		switch {
		case set:
			values[v.Name] = value
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

// AnnotationQueries are the annotations of the dashboard with the variables as Queries has them, every minute.
func (d Dashboard) AnnotationQueries(ctx context.Context, query Instant) ([]Query, error) {
	page := d
	page.Panels = nil
	for _, a := range d.Annotations {
		expr := Expand(a.Expr, map[string]string{"__interval": "1m", "__rate_interval": "2m"})
		page.Panels = append(page.Panels, Panel{Title: a.Name, Targets: []Target{{RefID: "Anno", Expr: expr, Range: true}}})
	}
	return page.Queries(ctx, query)
}

// first gives the first value of a variable that has one at a time.
func (v Variable) first(ctx context.Context, query Instant, values map[string]string) (string, error) {
	expr, label, err := v.offered()
	if err != nil {
		return "", err
	}
	expr = Expand(expr, values)
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
	if len(found) == 0 {
		return "", fmt.Errorf("no series of %s has the label %s", expr, label)
	}
	return slices.Min(found), nil
}

// offered takes the query of a variable apart: the series whose values of the label are offered.
func (v Variable) offered() (expr, label string, err error) {
	if inside, ok := strings.CutPrefix(v.Query, "query_result("); ok {
		expr, closed := strings.CutSuffix(inside, ")")
		if label, ok := strings.CutSuffix(strings.TrimPrefix(v.Regex, "/"), `="([^"]+)"/`); ok && closed {
			return expr, label, nil
		}
		return "", "", fmt.Errorf("query %q with regex %q is not query_result(expression) and /label=\"([^\"]+)\"/", v.Query, v.Regex)
	}
	inside, ok := strings.CutPrefix(v.Query, "label_values(")
	inside, ok2 := strings.CutSuffix(inside, ")")
	comma := strings.LastIndex(inside, ",")
	if !ok || !ok2 || comma < 0 {
		return "", "", fmt.Errorf("query %q is neither label_values(selector, label) nor query_result(expression)", v.Query)
	}
	return strings.TrimSpace(inside[:comma]), strings.TrimSpace(inside[comma+1:]), nil
}
