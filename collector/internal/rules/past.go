package rules

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert/notifier"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert/rule"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/common/model"
)

// past is what is known of a group's alerts before its first evaluation: from the ALERTS series after a restart, from the
// group it replaces after a reload.
type past struct {
	activeAt map[model.Fingerprint]time.Time
	firing   map[model.Fingerprint]told
}

// told is a firing alert the receiver knows of.
type told struct {
	alert *model.Alert
	at    time.Time
	// heldUntil is set when only the ALERTS series tell of the alert: until then it is not reported as resolved.
	heldUntil time.Time
}

func (t told) resolved(at time.Time) *model.Alert {
	alert := *t.alert
	alert.EndsAt = at
	return &alert
}

func newPast() past {
	return past{activeAt: map[model.Fingerprint]time.Time{}, firing: map[model.Fingerprint]told{}}
}

// resume puts the alerts that are active now where they stood. Without it a restart would begin every `for` anew.
func (g *group) resume(ctx context.Context, now time.Time, before past) {
	g.told = before.firing
	if len(before.activeAt) == 0 {
		return
	}
	for range g.vmalert.ExecOnce(ctx, nil, now) { // finds the active alerts; evaluate follows and counts
	}
	for _, state := range []notifier.AlertState{notifier.StatePending, notifier.StateFiring} {
		for a := range g.active(state) {
			if at, ok := before.activeAt[labelSet(a.Labels).Fingerprint()]; ok && at.Before(a.ActiveAt) {
				a.ActiveAt, a.Restored = at, true
			}
		}
	}
}

// active yields the group's alerts in the given state.
func (g *group) active(state notifier.AlertState) iter.Seq[*notifier.Alert] {
	return func(yield func(*notifier.Alert) bool) {
		for _, r := range g.vmalert.Rules {
			alerting, ok := r.(*rule.AlertingRule)
			if !ok {
				continue
			}
			for _, a := range alerting.GetAlerts() {
				if a.State == state && !yield(a) {
					return
				}
			}
		}
	}
}

// remember is what a group that takes this one's place has to know.
func (g *group) remember() past {
	p := newPast()
	for _, state := range []notifier.AlertState{notifier.StatePending, notifier.StateFiring} {
		for a := range g.active(state) {
			p.activeAt[labelSet(a.Labels).Fingerprint()] = a.ActiveAt
		}
	}
	p.firing = g.told
	return p
}

// leave is remember for a reload: the group that comes sees nothing of an alert that keep_firing_for alone still holds.
func (g *group) leave() past {
	p := g.remember()
	p.firing = maps.Clone(p.firing)
	for fingerprint, until := range g.keepUntil() {
		if told, known := p.firing[fingerprint]; known {
			told.heldUntil = until
			p.firing[fingerprint] = told
		}
	}
	return p
}

// keepUntil is until when alerts fire on although their condition is over.
func (g *group) keepUntil() map[model.Fingerprint]time.Time {
	keepFor := map[string]time.Duration{}
	for _, r := range g.def.Rules {
		if r.Alert != "" {
			keepFor[r.Alert] = max(keepFor[r.Alert], r.KeepFiringFor.Duration())
		}
	}
	until := map[model.Fingerprint]time.Time{}
	for a := range g.active(notifier.StateFiring) {
		if !a.KeepFiringSince.IsZero() {
			labels := labelSet(a.Labels)
			until[labels.Fingerprint()] = a.KeepFiringSince.Add(keepFor[a.Name])
		}
	}
	return until
}

// pastOf is what the state file knows of the group or, when that is nothing, the ALERTS series.
func (g *group) pastOf(ctx context.Context, now time.Time) past {
	if p, known := g.state.past(g.def.key(), now, g.cfg.RestoreGrace); known {
		return p
	}
	return g.pastFromEngine(ctx, now)
}

// pastFromEngine reads what the group wrote before the program ended.
func (g *group) pastFromEngine(ctx context.Context, now time.Time) past {
	p := newPast()
	holdFor := alertNames(g.def)
	if len(holdFor) == 0 {
		return p
	}
	var names []string
	for name := range holdFor {
		names = append(names, name)
	}
	for _, s := range g.lastOf(ctx, `ALERTS_FOR_STATE{alertname=~%q}`, names, now) {
		p.activeAt[alertLabels(s.Labels).Fingerprint()] = time.Unix(int64(s.Values[0]), 0)
	}
	for _, s := range g.lastOf(ctx, `ALERTS{alertstate="firing",alertname=~%q}`, g.recallable, now) {
		labels := alertLabels(s.Labels)
		fingerprint := labels.Fingerprint()
		since, ok := p.activeAt[fingerprint]
		if !ok {
			continue
		}
		p.firing[fingerprint] = told{
			alert: &model.Alert{
				Labels:   labels,
				StartsAt: since.Add(holdFor[string(labels[model.AlertNameLabel])]),
			},
			heldUntil: now.Add(g.cfg.RestoreGrace),
		}
	}
	return p
}

// lastOf asks for the last value of alert series within the restore window, unless they ended before. Engines that do not
// speak MetricsQL are asked with the selector alone, which reaches back as far as their look-back, usually 5 minutes.
func (g *group) lastOf(ctx context.Context, selector string, names []string, now time.Time) []Series {
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = regexp.QuoteMeta(name)
	}
	selector = fmt.Sprintf(selector, strings.Join(quoted, "|"))
	ctx, cancel := context.WithTimeout(ctx, g.cfg.QueryTimeout)
	defer cancel()
	series, err := g.ports.Query(ctx, fmt.Sprintf("default_rollup(%s[%ds])", selector, int(g.cfg.RestoreWindow.Seconds())), now)
	if err != nil {
		series, err = g.ports.Query(ctx, selector, now)
	}
	if err != nil {
		g.log.Warn("state of alerts not restored", "err", err)
		return nil
	}
	return slices.DeleteFunc(series, func(s Series) bool { return len(s.Values) == 0 })
}

// alertLabels drops the labels that ALERTS has and the alert has not.
func alertLabels(labels []prompb.Label) model.LabelSet {
	set := model.LabelSet{}
	for _, l := range labels {
		if l.Name != model.MetricNameLabel && l.Name != "alertstate" {
			set[model.LabelName(l.Name)] = model.LabelValue(l.Value)
		}
	}
	return set
}

func labelSet(labels map[string]string) model.LabelSet {
	set := make(model.LabelSet, len(labels))
	for name, value := range labels {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	return set
}

// generatorURL shows the expression in vmui.
func generatorURL(external, expr string) string {
	return external + "/vmui/#/?g0.tab=1&g0.expr=" + url.QueryEscape(expr)
}
