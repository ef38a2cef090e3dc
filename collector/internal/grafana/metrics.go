package grafana

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/collector/internal/grafana/moments"
)

type metrics struct {
	success *prometheus.CounterVec
	failure *prometheus.CounterVec
	skipped *prometheus.CounterVec
	writes  *prometheus.CounterVec
	posted  *prometheus.CounterVec
	up      prometheus.Gauge
	last    prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, targets []string) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_collector_grafana_" + name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "plimsoll_collector_grafana_" + name, Help: help})
	}
	m := &metrics{
		success: counter("publish_success_total", "Rounds in which a target was found or brought as it is shipped. The target is grafana, datasource, folder, annotations or a dashboard's uid.", "target"),
		failure: counter("publish_failures_total", "Rounds in which a target could not be brought as it is shipped.", "target", "reason"),
		skipped: counter("publish_skipped_total", "Rounds in which a target was left to somebody else.", "target", "reason"),
		writes:  counter("writes_total", "Objects written to or deleted from Grafana.", "action"),
		posted:  counter("annotations_total", "Annotations posted to Grafana: releases, OOM storms, alerts.", "kind"),
		up:      gauge("up", "1 when the last round left everything in Grafana as it is shipped, 0 when Grafana is away or something was refused."),
		last:    gauge("last_publish_timestamp_seconds", "When a round last ended without a problem, Unix seconds."),
	}
	for _, target := range targets {
		m.success.WithLabelValues(target)
	}
	for _, action := range []state{created, updated, repaired, pruned} {
		m.writes.WithLabelValues(string(action))
	}
	for _, kind := range []moments.Kind{moments.Release, moments.Storm, moments.Alert} {
		m.posted.WithLabelValues(string(kind))
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.success, m.failure, m.skipped, m.writes, m.posted, m.up, m.last} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) observe(r Report, now time.Time) {
	for _, o := range r.outcomes {
		switch o.state {
		case provisioned, edited, readOnly:
			m.skipped.WithLabelValues(o.target, string(o.state)).Inc()
		case created, updated, repaired, pruned:
			m.writes.WithLabelValues(string(o.state)).Inc()
			m.success.WithLabelValues(o.target).Inc()
		default:
			m.success.WithLabelValues(o.target).Inc()
		}
	}
	for _, p := range r.Problems {
		m.failure.WithLabelValues(p.Target, p.Reason).Inc()
	}
	if len(r.Problems) > 0 {
		m.up.Set(0)
		return
	}
	m.up.Set(1)
	m.last.Set(float64(now.Unix()))
}

// annotated counts a round of annotations.
func (m *metrics) annotated(posted map[moments.Kind]int, err error) {
	for kind, n := range posted {
		m.posted.WithLabelValues(string(kind)).Add(float64(n))
	}
	if err != nil {
		m.failure.WithLabelValues(targetAnnotations, reasonOf(err)).Inc()
		return
	}
	m.success.WithLabelValues(targetAnnotations).Inc()
}
