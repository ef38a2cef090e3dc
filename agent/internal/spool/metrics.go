package spool

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the spool's own.
type metrics struct {
	spooled prometheus.Counter
	dropped *prometheus.CounterVec // receiver, reason
	errors  *prometheus.CounterVec // reason
	reg     prometheus.Registerer
}

func newMetrics() metrics {
	return metrics{
		spooled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plimsoll_agent_samples_spooled_total",
			Help: "Samples taken into the spool.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_agent_samples_dropped_total",
			Help: "Samples that a receiver will not get, by reason; receiver is empty while none is configured.",
		}, []string{"receiver", "reason"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_agent_spool_errors_total",
			Help: "Faults of the spool's files, by reason: write, sync, read, remove, cursor, torn_tail, corrupt.",
		}, []string{"reason"}),
	}
}

// register makes the metrics visible. reg may be nil.
func (m *metrics) register(reg prometheus.Registerer, s *Spool) error {
	if reg == nil {
		return nil
	}
	m.reg = reg
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	for _, c := range []prometheus.Collector{
		m.spooled, m.dropped, m.errors,
		gauge("plimsoll_agent_spool_bytes", "Size of the spool's segment files, bytes.", func() float64 {
			return float64(s.Status().Bytes)
		}),
		gauge("plimsoll_agent_spool_limit_bytes", "Most that the spool's segment files may take, bytes.", func() float64 {
			return float64(s.cfg.MaxBytes)
		}),
		gauge("plimsoll_agent_spool_memory_bytes", "Batches that wait in memory because the directory refuses writes, bytes.", func() float64 {
			return float64(s.Status().MemoryBytes)
		}),
		gauge("plimsoll_agent_spool_degraded", "1 while the spool's directory refuses writes, else 0.", func() float64 {
			if s.Status().Err != nil {
				return 1
			}
			return 0
		}),
	} {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("register the spool's metrics: %w", err)
		}
	}
	return nil
}

// registerReader makes one receiver's metrics visible.
func (m *metrics) registerReader(r *Reader) error {
	// The reasons exist as 0 from the start, so that a first drop is an
	// increase.
	for _, reason := range []string{reasonFull, reasonAge, reasonCorrupt, reasonLost, reasonMemoryFull, reasonTooLarge} {
		r.dropped.WithLabelValues(reason)
	}
	if m.reg == nil {
		return nil
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: name, Help: help, ConstLabels: prometheus.Labels{"receiver": r.name},
		}, value)
	}
	for _, c := range []prometheus.Collector{
		gauge("plimsoll_agent_spool_pending_bytes", "What the receiver has not acknowledged, bytes.", func() float64 {
			return float64(r.Backlog().Bytes)
		}),
		gauge("plimsoll_agent_spool_pending_samples", "Samples that the receiver has not acknowledged.", func() float64 {
			return float64(r.Backlog().Samples)
		}),
	} {
		if err := m.reg.Register(c); err != nil {
			return fmt.Errorf("register the metrics of receiver %q: %w", r.name, err)
		}
	}
	return nil
}
