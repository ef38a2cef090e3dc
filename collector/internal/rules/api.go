package rules

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert/notifier"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert/rule"
)

// The JSON of Prometheus, https://prometheus.io/docs/prometheus/latest/querying/api/#rules.
type (
	groupView struct {
		Name           string      `json:"name"`
		File           string      `json:"file"`
		Interval       float64     `json:"interval"` // seconds
		Limit          int         `json:"limit"`
		EvaluationTime float64     `json:"evaluationTime"` // seconds
		LastEvaluation time.Time   `json:"lastEvaluation"`
		Rules          []*ruleView `json:"rules"`
	}
	ruleView struct {
		State          string            `json:"state,omitempty"` // alerts only: inactive, pending, firing
		Name           string            `json:"name"`
		Query          string            `json:"query"`
		Duration       *float64          `json:"duration,omitempty"`      // seconds, alerts only
		KeepFiringFor  *float64          `json:"keepFiringFor,omitempty"` // seconds, alerts only
		Labels         map[string]string `json:"labels,omitempty"`
		Annotations    map[string]string `json:"annotations,omitempty"`
		Alerts         *[]alertView      `json:"alerts,omitempty"` // alerts only
		Health         string            `json:"health"`           // unknown, ok, err
		LastError      string            `json:"lastError,omitempty"`
		EvaluationTime float64           `json:"evaluationTime"` // seconds
		LastEvaluation time.Time         `json:"lastEvaluation"`
		Type           string            `json:"type"` // alerting, recording

		// Not of Prometheus, whose clients leave it aside: whether every input has series, and which has none. Absent
		// until they were looked for.
		Armed   *bool     `json:"armed,omitempty"`
		Missing []Missing `json:"missing,omitempty"`
	}
	alertView struct {
		Labels          map[string]string `json:"labels"`
		Annotations     map[string]string `json:"annotations"`
		State           string            `json:"state"`
		ActiveAt        *time.Time        `json:"activeAt,omitempty"`
		KeepFiringSince *time.Time        `json:"keepFiringSince,omitempty"`
		Value           string            `json:"value"`
	}
)

// Handler answers GET /api/v1/rules and /api/v1/alerts as Prometheus does.
func (m *Manager) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/rules", m.serveRules)
	mux.HandleFunc("GET /api/v1/alerts", m.serveAlerts)
	return mux
}

func (m *Manager) views() []*groupView {
	m.mu.RLock()
	defer m.mu.RUnlock()
	views := make([]*groupView, len(m.groups))
	for i, g := range m.groups {
		views[i] = g.withInputs(g.view.Load())
	}
	return views
}

func (m *Manager) serveRules(w http.ResponseWriter, r *http.Request) {
	want, err := parseFilter(r)
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"status": "error", "errorType": "bad_data", "error": err.Error()})
		return
	}
	groups := []*groupView{}
	for _, view := range m.views() {
		if kept := want.group(view); kept != nil {
			groups = append(groups, kept)
		}
	}
	answer(w, http.StatusOK, map[string]any{"status": "success", "data": map[string]any{"groups": groups}})
}

func (m *Manager) serveAlerts(w http.ResponseWriter, _ *http.Request) {
	alerts := []alertView{}
	for _, group := range m.views() {
		for _, r := range group.Rules {
			if r.Alerts != nil {
				alerts = append(alerts, *r.Alerts...)
			}
		}
	}
	answer(w, http.StatusOK, map[string]any{"status": "success", "data": map[string]any{"alerts": alerts}})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone: nobody to tell
}

// filter is what the parameters of /api/v1/rules ask for; an empty list asks for all.
type filter struct {
	kind                 string
	names, groups, files []string
	withoutAlerts        bool
}

func parseFilter(r *http.Request) (filter, error) {
	if err := r.ParseForm(); err != nil {
		return filter{}, fmt.Errorf("parameters: %w", err)
	}
	f := filter{names: r.Form["rule_name[]"], groups: r.Form["rule_group[]"], files: r.Form["file[]"]}
	switch kind := strings.ToLower(r.Form.Get("type")); kind {
	case "":
	case "alert":
		f.kind = rule.TypeAlerting
	case "record":
		f.kind = rule.TypeRecording
	default:
		return filter{}, fmt.Errorf("type=%q: alert or record", kind)
	}
	if text := r.Form.Get("exclude_alerts"); text != "" {
		exclude, err := strconv.ParseBool(text)
		if err != nil {
			return filter{}, fmt.Errorf("exclude_alerts=%q: true or false", text)
		}
		f.withoutAlerts = exclude
	}
	return f, nil
}

// group returns the part of view that is asked for, nil when there is none.
func (f filter) group(view *groupView) *groupView {
	wanted := func(list []string, value string) bool { return len(list) == 0 || slices.Contains(list, value) }
	if !wanted(f.groups, view.Name) || !wanted(f.files, view.File) {
		return nil
	}
	kept := *view
	kept.Rules = []*ruleView{}
	for _, r := range view.Rules {
		if !wanted(f.names, r.Name) || (f.kind != "" && f.kind != r.Type) {
			continue
		}
		if f.withoutAlerts && r.Alerts != nil {
			bare := *r
			bare.Alerts = &[]alertView{}
			r = &bare
		}
		kept.Rules = append(kept.Rules, r)
	}
	if len(kept.Rules) == 0 && len(view.Rules) > 0 {
		return nil
	}
	return &kept
}

// newGroupView is the view of a group that was not evaluated yet.
func newGroupView(g *group) *groupView {
	view := &groupView{
		Name: g.def.Name, File: g.def.File, Interval: g.interval.Seconds(), Limit: g.def.Limit, Rules: []*ruleView{},
	}
	for _, r := range g.def.Rules {
		v := &ruleView{Name: r.Name(), Query: r.Expr, Labels: r.Labels, Health: "unknown", Type: rule.TypeRecording}
		if r.Alert != "" {
			v.Type, v.State, v.Annotations, v.Alerts = rule.TypeAlerting, "inactive", r.Annotations, &[]alertView{}
			v.Duration = seconds(r.For.Duration())
			v.KeepFiringFor = seconds(r.KeepFiringFor.Duration())
		}
		view.Rules = append(view.Rules, v)
	}
	return view
}

func seconds(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}

// observe is the view after an evaluation. Nothing in it changes afterwards: vmalert replaces maps, it does not edit them.
func (g *group) observe(at time.Time, took time.Duration) *groupView {
	view := newGroupView(g)
	view.LastEvaluation, view.EvaluationTime = at, took.Seconds()
	count := map[notifier.AlertState]int{}
	for i, r := range g.vmalert.Rules {
		state, v := r.ToAPI(), view.Rules[i]
		v.LastEvaluation, v.EvaluationTime = state.LastEvaluation, state.EvaluationTime
		v.Health, v.LastError = state.Health, state.LastError
		alerting, ok := r.(*rule.AlertingRule)
		if !ok {
			g.metrics.lastSeries.WithLabelValues(g.def.File, g.def.Name, v.Name).Set(float64(state.LastSamples))
			continue
		}
		for _, a := range alerting.GetAlerts() {
			if a.State == notifier.StateInactive {
				continue
			}
			count[a.State]++
			*v.Alerts = append(*v.Alerts, viewAlert(a))
			if v.State != notifier.StateFiring.String() {
				v.State = a.State.String()
			}
		}
		slices.SortFunc(*v.Alerts, func(a, b alertView) int {
			return slices.Compare(sorted(a.Labels), sorted(b.Labels))
		})
	}
	for _, state := range []notifier.AlertState{notifier.StatePending, notifier.StateFiring} {
		g.metrics.alerts.WithLabelValues(g.def.File, g.def.Name, state.String()).Set(float64(count[state]))
	}
	return view
}

func viewAlert(a *notifier.Alert) alertView {
	activeAt := a.ActiveAt.UTC()
	v := alertView{
		Labels: a.Labels, Annotations: a.Annotations, State: a.State.String(), ActiveAt: &activeAt,
		Value: strconv.FormatFloat(a.Value, 'e', -1, 64),
	}
	if since := a.KeepFiringSince.UTC(); !a.KeepFiringSince.IsZero() {
		v.KeepFiringSince = &since
	}
	return v
}

func sorted(labels map[string]string) []string {
	var flat []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		flat = append(flat, name+"\xff"+labels[name])
	}
	return flat
}
