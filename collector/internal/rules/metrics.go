package rules

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	evaluations   *prometheus.CounterVec
	failures      *prometheus.CounterVec
	duration      *prometheus.GaugeVec
	interval      *prometheus.GaugeVec
	missed        *prometheus.CounterVec
	alerts        *prometheus.GaugeVec
	unarmed       *prometheus.GaugeVec
	lastSeries    *prometheus.GaugeVec
	kicks         prometheus.Counter
	reloadTotal   *prometheus.CounterVec
	stateFailures prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	rule := []string{"file", "group", "rule"}
	group := []string{"file", "group"}
	m := &metrics{
		evaluations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_collector_rule_evaluations_total",
			Help: "Rules evaluated.",
		}, rule),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_collector_rule_evaluation_failures_total",
			Help: "Rules that failed to evaluate, or whose results could not be stored.",
		}, rule),
		duration: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "plimsoll_collector_rule_group_last_duration_seconds",
			Help: "How long the last evaluation of the group took.",
		}, group),
		interval: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "plimsoll_collector_rule_group_interval_seconds",
			Help: "How often the group is evaluated.",
		}, group),
		missed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_collector_rule_group_iterations_missed_total",
			Help: "Evaluations left out because the one before took longer than the interval.",
		}, group),
		alerts: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "plimsoll_collector_alerts",
			Help: "Alerts by state.",
		}, []string{"file", "group", "state"}),
		unarmed: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "plimsoll_collector_rules_unarmed",
			Help: "1 while an input of the rule has no series, so that it can yield nothing; else 0.",
		}, rule),
		lastSeries: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "plimsoll_collector_recording_rule_last_series",
			Help: "Series the recording rule yielded at its last evaluation.",
		}, rule),
		kicks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plimsoll_collector_rule_event_evaluations_total",
			Help: "Evaluations of the event groups outside their interval, because an event was ingested.",
		}),
		reloadTotal: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_collector_rule_reloads_total",
			Help: "Reloads of the rule files by result.",
		}, []string{"result"}),
		stateFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plimsoll_collector_rule_state_write_failures_total",
			Help: "Writes of the state of alerts that failed: a crash now may begin a `for` anew.",
		}),
	}
	for _, result := range []string{"success", "failure"} {
		m.reloadTotal.WithLabelValues(result)
	}
	reg.MustRegister(m.evaluations, m.failures, m.duration, m.interval, m.missed, m.alerts, m.unarmed, m.lastSeries, m.kicks, m.reloadTotal, m.stateFailures)
	return m
}

func (m *metrics) reloads(ok bool) {
	result := "failure"
	if ok {
		result = "success"
	}
	m.reloadTotal.WithLabelValues(result).Inc()
}

// storing stands for the rule when the results of a whole group could not be stored.
const storing = "(store results)"

// appear makes every series of a group exist as 0 from the start, so that the first failure is an increase.
func (m *metrics) appear(d definition, intervalSeconds float64) {
	for _, r := range d.Rules {
		m.evaluations.WithLabelValues(d.File, d.Name, r.Name())
		m.failures.WithLabelValues(d.File, d.Name, r.Name())
	}
	m.failures.WithLabelValues(d.File, d.Name, storing)
	m.missed.WithLabelValues(d.File, d.Name)
	m.interval.WithLabelValues(d.File, d.Name).Set(intervalSeconds)
}

func (m *metrics) disappear(d definition) {
	group := prometheus.Labels{"file": d.File, "group": d.Name}
	m.evaluations.DeletePartialMatch(group)
	m.failures.DeletePartialMatch(group)
	m.duration.DeletePartialMatch(group)
	m.interval.DeletePartialMatch(group)
	m.missed.DeletePartialMatch(group)
	m.alerts.DeletePartialMatch(group)
	m.unarmed.DeletePartialMatch(group)
	m.lastSeries.DeletePartialMatch(group)
}
