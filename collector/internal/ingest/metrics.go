package ingest

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// reason is why a sample was not stored; the label of plimsoll_collector_samples_rejected_total.
type reason string

const (
	reasonMetricName     reason = "metric_name"
	reasonLabelName      reason = "label_name"
	reasonLabelValue     reason = "label_value"
	reasonDuplicateLabel reason = "duplicate_label"
	reasonLabelCount     reason = "label_count"
	reasonLabelLength    reason = "label_length"
	reasonFuture         reason = "future"
	reasonRetention      reason = "retention"
	reasonNaN            reason = "nan"
	reasonRequestSize    reason = "request_size"
	reasonToken          reason = "token"
	reasonAgentSeries    reason = "agent_series"
	reasonProjectSeries  reason = "project_series"
	reasonSeries         reason = "series"
)

// reasons are all of them, so that each counter is there as 0 before it counts.
func reasons() []reason {
	return []reason{reasonMetricName, reasonLabelName, reasonLabelValue, reasonDuplicateLabel, reasonLabelCount, reasonLabelLength,
		reasonFuture, reasonRetention, reasonNaN, reasonRequestSize, reasonToken, reasonAgentSeries, reasonProjectSeries, reasonSeries}
}

type metrics struct {
	ingested      prometheus.Counter
	receivedBytes prometheus.Counter
	requests      *prometheus.CounterVec
	duration      prometheus.Histogram
	unread        prometheus.Counter
	rejected      map[reason]*atomic.Int64
}

func newMetrics(reg prometheus.Registerer, store Store) *metrics {
	m := &metrics{
		ingested: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_collector_samples_ingested_total",
			Help: "Samples received by remote write and given to the engine."}),
		receivedBytes: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_collector_write_received_bytes_total",
			Help: "Bytes of remote write bodies as sent."}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_collector_write_requests_total",
			Help: "Remote write requests by the answer's code."}, []string{"code"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "plimsoll_collector_write_duration_seconds",
			Help: "Time from a remote write request's headers to its answer.", Buckets: []float64{.005, .02, .1, .5, 2, 10}}),
		unread: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_collector_writes_unread_total",
			Help: "Remote write requests answered 429 without a look at what they hold, because too many messages of their sender were refused as too large or as none (--limit.write-refused)."}),
		rejected: map[reason]*atomic.Int64{},
	}
	for _, code := range []string{"204", "400", "413", "415", "429", "503"} {
		m.requests.WithLabelValues(code)
	}
	for _, why := range reasons() {
		m.rejected[why] = new(atomic.Int64)
	}
	reg.MustRegister(m.ingested, m.receivedBytes, m.requests, m.duration, m.unread, rejections{m.rejected, store})
	return m
}

func (m *metrics) reject(why reason, samples int) { m.rejected[why].Add(int64(samples)) }

// rejections is plimsoll_collector_samples_rejected_total: what this package rejected, and what the engine acknowledged
// and did not keep (reason engine_…).
type rejections struct {
	own   map[reason]*atomic.Int64
	store Store
}

func (r rejections) desc() *prometheus.Desc {
	return prometheus.NewDesc("plimsoll_collector_samples_rejected_total", "Samples received and not stored, by reason.", []string{"reason"}, nil)
}

// Describe implements prometheus.Collector.
func (r rejections) Describe(ch chan<- *prometheus.Desc) { ch <- r.desc() }

// Collect implements prometheus.Collector.
func (r rejections) Collect(ch chan<- prometheus.Metric) {
	desc := r.desc()
	for why, n := range r.own {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n.Load()), string(why))
	}
	for why, n := range r.store.IgnoredSamples() {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, n, "engine_"+why)
	}
}
