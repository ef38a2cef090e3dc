// Package noise says which rules cry wolf: how often each fired over a window, how often what it told of was over before
// anybody could have looked, and whether anybody ever did something about it.
//
// The figures come from the ALERTS series, read at steps of a minute: whatever fired between two steps counts for the later.
package noise

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// Series is one alert with the moments it fired at.
type Series struct {
	Labels           map[string]string
	TimestampsMillis []int64
}

// QueryFunc evaluates expr from..to, both included, at every step. A moment without value is left out.
type QueryFunc func(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Series, error)

// Rule is what one rule did.
type Rule struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	// Fired counts the times an alert began to fire; each container, node or cluster counts for itself.
	Fired int `json:"fired"`
	// Short are those of them that fired for less than five minutes.
	Short      int     `json:"short"`
	ShortShare float64 `json:"shortShare"`
	// Silenced are those of them that fired while somebody made a silence for them, Acknowledged those that somebody said to have
	// dealt with, Released those whose workload got another image while they fired or within an hour. When there are none of all,
	// nobody ever acted on the rule, as far as can be known: a node that was started again leaves no trace here.
	Silenced     int  `json:"silenced"`
	Acknowledged int  `json:"acknowledged"`
	Released     int  `json:"released"`
	NeverActed   bool `json:"neverActed"`
	// FiringSeconds is the time all its alerts fired together, in whole minutes.
	FiringSeconds float64   `json:"firingSeconds"`
	LastFired     time.Time `json:"lastFired"`
}

const (
	step         = time.Minute
	chunk        = 6 * time.Hour // of one query: 360 points of each alert
	shortest     = 5 * time.Minute
	longest      = 31 * 24 * time.Hour
	usual        = 5 * 24 * time.Hour // silences are remembered so long after their end, by default
	requestLimit = 2 * time.Minute
)

// firing is 1 or more for every minute in which an alert fired. Watchdog fires always.
const firing = `count_over_time(ALERTS{alertstate="firing",alertname!="Watchdog"}[1m])`

// Summary lists the rules that fired in the window before now, those with the most short alerts first.
func Summary(ctx context.Context, query QueryFunc, acts ActsFunc, now time.Time, window time.Duration) ([]Rule, error) {
	made, err := acts(ctx, now.Add(-window), now)
	if err != nil {
		return nil, fmt.Errorf("noise: %w", err)
	}
	rules := map[[2]string]*Rule{}
	open := map[string]*episode{}
	last := now.Truncate(step).Add(step) // the minute that runs counts too
	for from := last.Add(-window).Add(step); !from.After(last); from = from.Add(chunk) {
		to := from.Add(chunk - step)
		if to.After(last) {
			to = last
		}
		series, err := query(ctx, firing, from, to, step)
		if err != nil {
			return nil, fmt.Errorf("noise: %w", err)
		}
		for _, s := range series {
			key := [2]string{s.Labels["alertname"], s.Labels["severity"]}
			r := rules[key]
			if r == nil {
				r = &Rule{Rule: key[0], Severity: key[1]}
				rules[key] = r
			}
			id := identity(s.Labels)
			for _, millis := range s.TimestampsMillis {
				at := time.UnixMilli(millis).UTC()
				e := open[id]
				if e == nil || at.Sub(e.last) > 2*step { // one missed minute is a late evaluation
					e.close(r, made)
					e = &episode{first: at, labels: s.Labels}
					open[id] = e
					r.Fired++
				}
				e.rule, e.last = r, at
			}
		}
	}
	for _, e := range open {
		if last.Sub(e.last) > 2*step {
			e.close(e.rule, made)
		} else {
			e.add(e.rule, made) // it fires still: how long it lasts is not known
		}
	}
	list := []Rule{}
	for _, r := range rules {
		r.NeverActed = r.Silenced+r.Acknowledged+r.Released == 0
		r.ShortShare = float64(r.Short) / float64(max(r.Fired, 1))
		list = append(list, *r)
	}
	slices.SortFunc(list, func(a, b Rule) int {
		if a.Short != b.Short {
			return b.Short - a.Short
		}
		if a.Fired != b.Fired {
			return b.Fired - a.Fired
		}
		return strings.Compare(a.Rule+a.Severity, b.Rule+b.Severity)
	})
	return list, nil
}

// episode is one time an alert fired.
type episode struct {
	rule        *Rule
	labels      map[string]string
	first, last time.Time
}

func (e *episode) close(r *Rule, made []Act) {
	if e == nil {
		return
	}
	if e.add(r, made) < shortest {
		r.Short++
	}
}

func (e *episode) add(r *Rule, made []Act) time.Duration {
	lasted := e.last.Sub(e.first) + step
	r.FiringSeconds += lasted.Seconds()
	if e.last.After(r.LastFired) {
		r.LastFired = e.last
	}
	for kind, count := range map[Kind]*int{Silenced: &r.Silenced, Acknowledged: &r.Acknowledged, Released: &r.Released} {
		if slices.ContainsFunc(made, func(a Act) bool { return a.Kind == kind && e.answeredBy(a) }) {
			*count++
		}
	}
	return lasted
}

// answeredBy tells whether a was done for the alert while it fired, a minute before it or some time after it.
func (e *episode) answeredBy(a Act) bool {
	return a.At.After(e.first.Add(-step)) && a.At.Before(e.last.Add(a.Late)) && a.Matches(e.labels)
}

// identity is the same for the same alert in every chunk.
func identity(labels map[string]string) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		text.WriteString(name + "\xff" + labels[name] + "\xff")
	}
	return text.String()
}

// Handler answers GET /api/alerts/noise?window=5d. Over a longer window than silences are remembered, what was silenced before counts
// as not acted on.
func Handler(query QueryFunc, acts ActsFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		window := usual
		if text := r.FormValue("window"); text != "" {
			d, err := model.ParseDuration(text)
			if window = time.Duration(d); err != nil || window < time.Hour || window > longest {
				answer(w, http.StatusBadRequest, map[string]any{"status": "error", "error": fmt.Sprintf("window=%q: want a time between 1h and 31d", text)})
				return
			}
		}
		ctx, cancel := context.WithTimeout(r.Context(), requestLimit)
		defer cancel()
		now := time.Now()
		rules, err := Summary(ctx, query, acts, now, window)
		if err != nil {
			answer(w, http.StatusServiceUnavailable, map[string]any{"status": "error", "error": err.Error()})
			return
		}
		answer(w, http.StatusOK, map[string]any{"status": "success", "data": map[string]any{"from": now.Add(-window).UTC(), "to": now.UTC(), "rules": rules}})
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone: nobody to tell
}
