package rules

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert/config"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert/datasource"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert/notifier"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert/rule"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert/templates"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/promutil"
)

// prepareVmalert sets vmalert's process-wide state: templates with the external URL, alerts labelled as Prometheus labels
// them, and its own way of sending switched off, because group.tell sends.
func prepareVmalert(external *url.URL) error {
	for name, value := range map[string]string{"disableAlertgroupLabel": "true", "notifier.blackhole": "true"} {
		if err := flag.Set(name, value); err != nil {
			return fmt.Errorf("rules: set vmalert's %s: %w", name, err)
		}
	}
	if err := notifier.Init(nil, external.String()); err != nil {
		return fmt.Errorf("rules: prepare vmalert: %w", err)
	}
	if err := templates.Load(nil, *external); err != nil {
		return fmt.Errorf("rules: prepare templates: %w", err)
	}
	templates.Reload()
	return nil
}

// newVmalertGroup builds vmalert's group. It is driven with ExecOnce alone: Start would keep its own clock.
// The limit is the querier's: past its own vmalert forgets all alerts of the rule, which would end them.
func newVmalertGroup(g *group) *rule.Group {
	unlimited := 0
	builder := &queriers{group: g}
	made := rule.NewGroup(config.Group{
		Type:     config.NewPrometheusType(),
		File:     g.def.File,
		Name:     g.def.Name,
		Interval: promutil.NewDuration(g.def.Interval),
		Limit:    &unlimited,
		Rules:    slices.Clone(g.def.Rules),
	}, builder, g.cfg.Interval, nil)
	for i, r := range made.Rules {
		if alerting, ok := r.(*rule.AlertingRule); ok {
			builder.built[i].alert = alerting
		}
	}
	made.Init()
	return made
}

// closeVmalertGroup unregisters the metrics Init has registered. Close waits for Start to have returned, and Start returns
// at once when its context is over.
func closeVmalertGroup(g *rule.Group) {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	g.Start(over, nil, nil)
	g.Close()
}

// queriers builds a datasource.Querier for each rule of a group, in the order of the rules.
type queriers struct {
	group *group
	built []*querier
}

func (b *queriers) BuildWithParams(datasource.QuerierParams) datasource.Querier {
	q := &querier{group: b.group, rule: b.group.def.Rules[len(b.built)]}
	if q.rule.Alert != "" && b.group.silence != nil && !b.group.ownInputs(q.rule.Expr) {
		q.freezer = &freezer{silence: b.group.silence}
	}
	b.built = append(b.built, q)
	return q
}

// querier asks for one rule.
type querier struct {
	group   *group
	rule    config.Rule
	alert   *rule.AlertingRule // nil for a recording rule
	freezer *freezer           // nil where agents do not matter
}

// Query implements datasource.Querier. Templates ask through it too, with expressions of their own.
func (q *querier) Query(ctx context.Context, expr string, at time.Time) (datasource.Result, *http.Request, error) {
	ctx, cancel := context.WithTimeout(ctx, q.group.cfg.QueryTimeout)
	defer cancel()
	at = at.Add(-q.group.def.QueryOffset)
	series, err := q.group.ports.Query(ctx, expr, at)
	if err != nil {
		return datasource.Result{}, nil, err
	}
	result := datasource.Result{Data: make([]datasource.Metric, 0, len(series))}
	for _, s := range series {
		if len(s.Values) == 0 {
			continue
		}
		last := len(s.Values) - 1
		result.Data = append(result.Data, datasource.Metric{
			Labels: s.Labels, Values: s.Values[last:], Timestamps: []int64{at.Unix()},
		})
	}
	if expr == q.rule.Expr && q.freezer != nil {
		fires := func(labels []prompb.Label) bool { return firing(q.alert, labels) }
		result.Data = q.freezer.freeze(ctx, result.Data, fires, at)
	}
	if most := q.limit(); len(result.Data) > most {
		return datasource.Result{}, nil, fmt.Errorf("%d series, the limit is %d: what was known before stays", len(result.Data), most)
	}
	fetched := len(result.Data)
	result.SeriesFetched = &fetched
	return result, nil, nil
}

// limit is how many series the rule may yield.
func (q *querier) limit() int {
	switch {
	case q.group.def.Limit > 0:
		return q.group.def.Limit
	case q.alert != nil:
		return q.group.cfg.MaxAlertsPerRule
	}
	return q.group.cfg.MaxSeriesPerRule
}

func (q *querier) QueryRange(context.Context, string, time.Time, time.Time) (datasource.Result, error) {
	return datasource.Result{}, errors.New("rules are evaluated at single moments")
}

// results is a remotewrite.RWClient that collects what one evaluation of a group yields.
type results struct{ series []prompb.TimeSeries }

func (r *results) Push(ts prompb.TimeSeries) error {
	r.series = append(r.series, ts)
	return nil
}

func (r *results) Close() error { return nil }
