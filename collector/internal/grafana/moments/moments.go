// Package moments finds in the stored series what happened to the fleet and when: releases, OOM storms, alerts that fired.
//
// It remembers nothing: asked twice about the same time it gives the same answer, after a restart and on another collector too.
package moments

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/releases"
)

// Kind is what sort of thing happened.
type Kind string

const (
	Release Kind = "release"
	Storm   Kind = "oom-storm" // many OOM kills of one project in one cluster within minutes
	Alert   Kind = "alert"     // an alert of one name for one project in one cluster, however many containers it names
)

// Moment is one thing that happened.
type Moment struct {
	Kind Kind
	// Start is zero when it began before the time that was asked about.
	Start time.Time
	// End is zero for what has no length, and while it goes on.
	End time.Time
	// GoesOn is whether it had not ended at the end of the time that was asked about.
	GoesOn bool
	Text   string
	Labels []Label // what it happened to, and what identifies it besides its start
}

// Label is a name and its value.
type Label struct{ Name, Value string }

// Key identifies a moment among those that do not begin at the same time.
func (m Moment) Key() string {
	parts := []string{string(m.Kind)}
	for _, l := range m.Labels {
		parts = append(parts, l.Name, l.Value)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\xff")))
	return hex.EncodeToString(sum[:8])
}

// Together is how close two moments of one key begin that are the same, seen by two collectors or twice; and for how long
// an alert or a storm may be over before it counts as another one.
const Together = 5 * time.Minute

// Series is one line of a range query's answer. A moment without a value has no sample.
type Series struct {
	Labels map[string]string
	Times  []time.Time
	Values []float64
}

// Sources answers the questions.
type Sources struct {
	// Range evaluates a MetricsQL expression between two times.
	Range func(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Series, error)
	// Releases lists the releases between two times.
	Releases func(ctx context.Context, from, to time.Time) ([]releases.Release, error)
}

const (
	step = 30 * time.Second
	// stormKills are the OOM kills of one project in one cluster within stormWindow that make a storm.
	stormKills  = 5
	stormWindow = "5m"
)

// Find gives what happened between two times, by start.
func (s Sources) Find(ctx context.Context, from, to time.Time) ([]Moment, error) {
	released, err := s.Releases(ctx, from, to)
	if err != nil {
		return nil, fmt.Errorf("moments: %w", err)
	}
	all := make([]Moment, 0, len(released))
	for _, r := range released {
		all = append(all, ofRelease(r))
	}
	awake, err := s.awake(ctx, from, to)
	if err != nil {
		return nil, err
	}
	storms, err := s.spans(ctx, stormQuery(), from, to, awake, Storm, func(l map[string]string, most float64) string {
		return fmt.Sprintf("OOM storm: %.0f kills or more within 5 minutes in project %s, %s/%s", most, l["project"], l["idc"], l["cluster"])
	})
	if err != nil {
		return nil, err
	}
	fired, err := s.spans(ctx, alertQuery(), from, to, awake, Alert, func(l map[string]string, most float64) string {
		return strings.TrimSuffix(fmt.Sprintf("%s (%s) fires: project %s, %s/%s", l["alertname"], l["severity"], cmp.Or(l["project"], "none"), l["idc"], l["cluster"]), ", /")
	})
	if err != nil {
		return nil, err
	}
	all = append(append(all, storms...), fired...)
	slices.SortStableFunc(all, func(a, b Moment) int { return a.Start.Compare(b.Start) })
	return all, nil
}

func ofRelease(r releases.Release) Moment {
	return Moment{
		Kind: Release, Start: r.At,
		Text: fmt.Sprintf("Release of %s/%s, container %s: %s → %s", r.Project, r.Workload, r.Container, r.OldImage, r.NewImage),
		Labels: []Label{
			{"project", r.Project}, {"idc", r.IDC}, {"cluster", r.Cluster}, {"namespace", r.Namespace}, {"workload", r.Workload}, {"container", r.Container}, {"image", r.NewImage},
		},
	}
}

// stormQuery counts by what is recorded of each slot that was killed: it reads nothing of those that were not. Without a count of
// five minutes ago the collector was away, and nothing is known of when the kills of the day were.
func stormQuery() string {
	const killed = "slot:oom_kills:increase1d"
	return fmt.Sprintf("sum by (project, idc, cluster) (clamp_min(%[1]s - (%[1]s offset %[2]s or 0 * %[1]s), 0)) >= %[3]d and on () count(%[1]s offset %[2]s)", killed, stormWindow, stormKills)
}

func alertQuery() string {
	return `count by (alertname, severity, project, idc, cluster) (ALERTS{alertstate="firing", severity=~"critical|warning", alertname!="Watchdog"})`
}

// awake is when rules were evaluated, by the alert that always fires; empty where it is switched off.
func (s Sources) awake(ctx context.Context, from, to time.Time) ([]time.Time, error) {
	found, err := s.Range(ctx, `count(ALERTS{alertname="Watchdog", alertstate="firing"})`, from.Add(-Together), to, step)
	if err != nil {
		return nil, fmt.Errorf("moments: %w", err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found[0].Times, nil
}

// spans gives one moment for each stretch of time in which a series of the expression has values.
func (s Sources) spans(ctx context.Context, expr string, from, to time.Time, awake []time.Time, kind Kind, text func(labels map[string]string, most float64) string) ([]Moment, error) {
	found, err := s.Range(ctx, expr, from.Add(-Together), to, step)
	if err != nil {
		return nil, fmt.Errorf("moments: %w", err)
	}
	var all []Moment
	for _, series := range found {
		for _, stretch := range stretches(series, from, to, awake) {
			m := Moment{Kind: kind, Start: stretch.start, Text: text(series.Labels, stretch.first)}
			for _, name := range []string{"alertname", "severity", "project", "idc", "cluster"} {
				if value := series.Labels[name]; value != "" {
					m.Labels = append(m.Labels, Label{name, value})
				}
			}
			if m.GoesOn = to.Sub(stretch.end) <= Together; !m.GoesOn {
				m.End = stretch.end
			}
			all = append(all, m)
		}
	}
	return all, nil
}

// stretch is a time without a gap longer than Together. start is zero when it may have begun before from.
type stretch struct {
	start, end time.Time
	first      float64
}

// stretches bridges a gap in which no rule was evaluated at all: the collector was away, and nothing ended.
func stretches(s Series, from, to time.Time, awake []time.Time) []stretch {
	var all []stretch
	for i, at := range s.Times {
		if len(all) > 0 {
			last := &all[len(all)-1]
			if at.Sub(last.end) <= Together || asleep(awake, last.end, at) {
				last.end = at
				continue
			}
		}
		all = append(all, stretch{start: at, end: at, first: s.Values[i]})
	}
	kept := all[:0]
	for _, one := range all {
		if one.end.Before(from) || one.start.After(to) {
			continue
		}
		if one.start.Before(from) {
			one.start = time.Time{}
		}
		kept = append(kept, one)
	}
	return kept
}

// asleep says that no rule was evaluated between two times, but for a step at either side.
func asleep(awake []time.Time, after, before time.Time) bool {
	for _, at := range awake {
		if at.After(after.Add(step)) && at.Before(before.Add(-step)) {
			return false
		}
	}
	return len(awake) > 0
}
