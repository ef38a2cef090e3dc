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
func newVmalertGroup(def definition, cfg Config, query QueryFunc) *rule.Group {
	limit := def.Limit
	if limit == 0 {
		limit = cfg.MaxSeriesPerRule
	}
	g := rule.NewGroup(config.Group{
		Type:     config.NewPrometheusType(),
		File:     def.File,
		Name:     def.Name,
		Interval: promutil.NewDuration(def.Interval),
		Limit:    &limit,
		Rules:    slices.Clone(def.Rules),
	}, querier{query: query, timeout: cfg.QueryTimeout, offset: def.QueryOffset}, cfg.Interval, nil)
	g.Init()
	return g
}

// closeVmalertGroup unregisters the metrics Init has registered. Close waits for Start to have returned, and Start returns
// at once when its context is over.
func closeVmalertGroup(g *rule.Group) {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	g.Start(over, nil, nil)
	g.Close()
}

// querier is a datasource.Querier and its own builder over a QueryFunc.
type querier struct {
	query   QueryFunc
	timeout time.Duration
	offset  time.Duration
}

func (q querier) BuildWithParams(datasource.QuerierParams) datasource.Querier { return q }

func (q querier) Query(ctx context.Context, expr string, at time.Time) (datasource.Result, *http.Request, error) {
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	at = at.Add(-q.offset)
	series, err := q.query(ctx, expr, at)
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
	fetched := len(result.Data)
	result.SeriesFetched = &fetched
	return result, nil, nil
}

func (q querier) QueryRange(context.Context, string, time.Time, time.Time) (datasource.Result, error) {
	return datasource.Result{}, errors.New("rules are evaluated at single moments")
}

// results is a remotewrite.RWClient that collects what one evaluation of a group yields.
type results struct{ series []prompb.TimeSeries }

func (r *results) Push(ts prompb.TimeSeries) error {
	r.series = append(r.series, ts)
	return nil
}

func (r *results) Close() error { return nil }
