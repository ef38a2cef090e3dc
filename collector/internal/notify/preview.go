package notify

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/common/model"

	"github.com/plimsoll/plimsoll/collector/internal/oncall"
)

// Preview writes who would be told at the given moment, by project and severity, according to the oncall.yaml of cfg.
func Preview(w io.Writer, cfg Config, at time.Time) error {
	conf, err := load(cfg)
	if err != nil || conf.plan == nil {
		return err
	}
	route := dispatch.NewRoute(conf.config.Route, nil)
	times := timeinterval.NewIntervener(intervals(conf.config))
	fmt.Fprintf(w, "who is told at %s (%s UTC), by project and severity:\n", at.Format("2006-01-02 15:04 MST"), at.UTC().Format("15:04"))
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "PROJECT\tTEAM\tCRITICAL\tWARNING\tINFO")
	for _, example := range conf.plan.Examples() {
		row := []string{example.What, example.Team}
		for _, severity := range []string{"critical", "warning", "info"} {
			told, err := toldAt(route.Match(labelsOf(example, severity)), times, at)
			if err != nil {
				return err
			}
			row = append(row, told)
		}
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, r := range conf.unused() {
		fmt.Fprintf(w, "receiver %s is told of nothing but failing notifications\n", r)
	}
	return nil
}

// toldAt names the receivers of routes whose hours are on.
func toldAt(routes []*dispatch.Route, times *timeinterval.Intervener, at time.Time) (string, error) {
	var told []string
	for _, r := range routes {
		o := r.RouteOpts
		muted, _, err := times.Mutes(o.MuteTimeIntervals, at)
		if err != nil {
			return "", fmt.Errorf("notify: %w", err)
		}
		if len(o.ActiveTimeIntervals) > 0 {
			active, _, err := times.Mutes(o.ActiveTimeIntervals, at)
			if err != nil {
				return "", fmt.Errorf("notify: %w", err)
			}
			muted = muted || !active
		}
		if !muted && o.Receiver != "nobody" {
			told = append(told, o.Receiver)
		}
	}
	if len(told) == 0 {
		return "nobody", nil
	}
	return strings.Join(told, ", "), nil
}

// unused are receivers that only learn that others fail.
func (l loaded) unused() []string {
	all := map[string]bool{}
	for _, r := range l.config.Receivers {
		all[r.Name] = true
	}
	delete(all, "nobody")
	delete(all, "watchdog")
	route := dispatch.NewRoute(l.config.Route, nil)
	for _, example := range l.plan.Examples() {
		for _, severity := range []string{"critical", "warning", "info"} {
			for _, r := range route.Match(labelsOf(example, severity)) {
				delete(all, r.RouteOpts.Receiver)
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func labelsOf(example oncall.Example, severity string) model.LabelSet {
	labels := model.LabelSet{"alertname": "Example", "severity": model.LabelValue(severity)}
	for name, value := range example.Labels {
		labels[model.LabelName(name)] = model.LabelValue(value)
	}
	return labels
}

// intervals are the named times of a configuration.
func intervals(conf *config.Config) map[string][]timeinterval.TimeInterval {
	named := map[string][]timeinterval.TimeInterval{}
	for _, t := range conf.MuteTimeIntervals {
		named[t.Name] = t.TimeIntervals
	}
	for _, t := range conf.TimeIntervals {
		named[t.Name] = t.TimeIntervals
	}
	return named
}
