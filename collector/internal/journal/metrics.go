package journal

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	refused, errors                        *prometheus.CounterVec
	replayed, damagedBytes, damagedSamples prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, j *Journal) metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_collector_journal_" + name, Help: help})
	}
	vector := func(name, help, label string, values ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_collector_journal_" + name, Help: help}, []string{label})
		for _, value := range values {
			v.WithLabelValues(value)
		}
		return v
	}
	gauge := func(name, help string, read func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plimsoll_collector_journal_" + name, Help: help}, read)
	}
	m := metrics{
		refused:        vector("refused_batches_total", "Batches answered 503 (too_large: 413) because the journal could not keep them.", "reason", "full", "disk", "too_large"),
		errors:         vector("errors_total", "Failed operations on the journal's files.", "operation", "sync", "read", "remove"),
		replayed:       counter("replayed_samples_total", "Samples given to the engine again at the start, those included that it had already."),
		damagedBytes:   counter("damaged_bytes_total", "Bytes of the journal that a start could not give back; the end of the last segment after a crash among them."),
		damagedSamples: counter("damaged_samples_total", "Samples in them, as far as they are known."),
	}
	reg.MustRegister(m.refused, m.errors, m.replayed, m.damagedBytes, m.damagedSamples,
		gauge("bytes", "Size of the journal on disk.", func() float64 {
			j.mu.Lock()
			defer j.mu.Unlock()
			return float64(j.bytes)
		}),
		gauge("replay_remaining_bytes", "What is left of the replay at the start.", func() float64 { return float64(j.Remaining()) }),
		gauge("up", "1 while the journal can be written.", func() float64 {
			if j.Fault() != nil {
				return 0
			}
			return 1
		}))
	return m
}
