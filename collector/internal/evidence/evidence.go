// Package evidence adds to an alert what the one who is woken asks first: of a container what it uses of which limit, how it last
// ended and what was released; of a node, a cluster and a collector their figures, whose containers are there, and when the agent was heard.
//
// It stands between the rules and whoever notifies. What cannot be found in time is left out and counted: an alert is never lost
// for want of it, and waits no longer than the budget of its round.
package evidence

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/plimsoll/plimsoll/collector/internal/releases"
)

// The annotations that are added. One that a rule sets itself stays as the rule has it.
const (
	Usage       = "usage"
	LastExit    = "last_exit"
	LastRelease = "last_release"
	Agent       = "agent"
)

const (
	window   = time.Hour // how old an exit or a release may be
	budget   = 200 * time.Millisecond
	fresh    = 30 * time.Second
	mostKept = 20_000 // containers, nodes and others that are remembered
)

// NotifyFunc takes alerts as Prometheus sends them to an Alertmanager.
type NotifyFunc func(ctx context.Context, alerts ...*model.Alert) error

// Filler adds evidence to alerts and hands them on.
type Filler struct {
	query  releases.QueryFunc
	next   NotifyFunc
	log    *slog.Logger
	failed *prometheus.CounterVec

	mu    sync.Mutex
	known map[string]found
}

// found is what was found of what an alert is about.
type found struct {
	at       time.Time
	usage    string
	lastExit string
	release  *releases.Release
	agent    string
}

// New returns a Filler that asks query and hands alerts to next.
func New(query releases.QueryFunc, next NotifyFunc, log *slog.Logger, reg prometheus.Registerer) (*Filler, error) {
	f := &Filler{
		query: query, next: next, log: log, known: map[string]found{},
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_collector_alert_evidence_missing_total",
			Help: "Alerts told without the figures, exits and releases of what they are about, because a query failed or there was no time.",
		}, []string{"reason"}),
	}
	for _, reason := range []string{"query", "time"} {
		f.failed.WithLabelValues(reason)
	}
	return f, reg.Register(f.failed)
}

// Put hands the alerts on, with their evidence. The alerts given are not changed.
func (f *Filler) Put(ctx context.Context, alerts ...*model.Alert) error {
	filled := make([]*model.Alert, len(alerts))
	round, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	for i, a := range alerts {
		filled[i] = f.fill(round, a)
	}
	return f.next(ctx, filled...)
}

func (f *Filler) fill(round context.Context, a *model.Alert) *model.Alert {
	about := subjectOf(a.Labels)
	if about == nil {
		return a
	}
	what, err := f.of(round, a, about)
	if err != nil {
		reason := "query"
		if round.Err() != nil {
			reason = "time"
		}
		f.failed.WithLabelValues(reason).Inc()
		f.log.Debug("an alert goes without evidence", "alert", a.Labels, "err", err)
		return a
	}
	copied := *a
	copied.Annotations = maps.Clone(a.Annotations)
	if copied.Annotations == nil {
		copied.Annotations = model.LabelSet{}
	}
	for name, text := range map[model.LabelName]string{Usage: what.usage, LastExit: what.lastExit, LastRelease: told(what.release, a.StartsAt), Agent: what.agent} {
		if _, own := copied.Annotations[name]; text != "" && !own {
			copied.Annotations[name] = model.LabelValue(text)
		}
	}
	return &copied
}

// told says what a release was and how long before the alert.
func told(r *releases.Release, began time.Time) string {
	if r == nil {
		return ""
	}
	text := fmt.Sprintf("%s replaced %s at %s", r.NewImage, r.OldImage, r.At.Format(time.DateTime+" MST"))
	if before := began.Sub(r.At).Round(time.Second); before > 0 {
		text += fmt.Sprintf(", %s before this began", before)
	}
	return text
}

// of returns what is known of what the alert is about, asking anew when that is old or from before the alert.
func (f *Filler) of(round context.Context, a *model.Alert, about subject) (found, error) {
	matches := map[string]string{}
	key := ""
	for _, name := range []string{"project", "idc", "cluster", "namespace", "workload", "container", "node", "pod", "collector"} {
		if value := string(a.Labels[model.LabelName(name)]); value != "" {
			matches[name] = value
			key += name + "\xff" + value + "\xff"
		}
	}
	now := time.Now()
	f.mu.Lock()
	known, ok := f.known[key]
	f.mu.Unlock()
	if ok && now.Sub(known.at) < fresh && known.at.After(a.StartsAt) {
		return known, nil
	}
	if round.Err() != nil {
		return found{}, round.Err()
	}
	type outcome struct {
		found
		err error
	}
	done := make(chan outcome, 1)
	go func() { // a query may come back later than it was asked to
		what, err := about(round, f.query, matches, now)
		if err == nil {
			f.keep(key, what)
		}
		done <- outcome{what, err}
	}()
	select {
	case o := <-done:
		return o.found, o.err
	case <-round.Done():
		return found{}, round.Err()
	}
}

func (f *Filler) keep(key string, what found) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.known) >= mostKept {
		maps.DeleteFunc(f.known, func(_ string, old found) bool { return what.at.Sub(old.at) >= fresh })
	}
	if len(f.known) < mostKept {
		f.known[key] = what
	}
}
