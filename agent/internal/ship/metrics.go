package ship

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of one receiver.
type metrics struct {
	shipped  prometheus.Counter
	requests *prometheus.CounterVec // code
}

// newMetrics registers them; reg may be nil.
func newMetrics(reg prometheus.Registerer, receiver string, s *Shipper) (metrics, error) {
	labels := prometheus.Labels{"receiver": receiver}
	m := metrics{
		shipped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plimsoll_agent_samples_shipped_total", ConstLabels: labels,
			Help: "Samples that the receiver has acknowledged.",
		}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_agent_remote_write_requests_total", ConstLabels: labels,
			Help: "Remote-write requests by HTTP status code, or timeout or error when there was no answer.",
		}, []string{"code"}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.shipped, m.requests,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "plimsoll_agent_remote_write_lag_seconds", ConstLabels: labels,
			Help: "How long the oldest new batch waits that the receiver does not have, seconds; 0 when it has the newest.",
		}, func() float64 { return s.State().Lag.Seconds() }),
	} {
		if err := reg.Register(c); err != nil {
			return metrics{}, fmt.Errorf("register the metrics of receiver %q: %w", receiver, err)
		}
	}
	return m, nil
}
