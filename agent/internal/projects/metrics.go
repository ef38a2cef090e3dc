package projects

import (
	"cmp"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	failures    *prometheus.CounterVec
	info, valid *prometheus.Desc
	keeper      *Keeper
}

func newMetrics(registerer prometheus.Registerer, k *Keeper) (*metrics, error) {
	m := &metrics{
		keeper: k,
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_agent_project_map_failures_total",
			Help: "Looks at the source of the project map that brought no map, by reason: unreadable, broken, unreachable, denied, refused.",
		}, []string{"reason"}),
		info:  prometheus.NewDesc("plimsoll_agent_project_map_info", "Always 1; the labels say where the project map in force came from and which version it is.", []string{"source", "hash"}, nil),
		valid: prometheus.NewDesc("plimsoll_agent_project_map_valid", "0 while the newest version at the source is broken and an older one is in force.", nil, nil),
	}
	for _, reason := range []string{"unreadable", "broken", "unreachable", "denied", "refused"} {
		m.failures.WithLabelValues(reason)
	}
	if registerer == nil {
		return m, nil
	}
	if err := registerer.Register(m.failures); err != nil {
		return nil, err
	}
	return m, registerer.Register(m)
}

// Describe is of prometheus.Collector.
func (m *metrics) Describe(to chan<- *prometheus.Desc) { to <- m.info; to <- m.valid }

// Collect is of prometheus.Collector.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	k := m.keeper
	k.mu.Lock()
	source, hash, valid := k.source, k.current.Hash(), 1.0
	if k.invalid {
		valid = 0
	}
	k.mu.Unlock()
	to <- prometheus.MustNewConstMetric(m.info, prometheus.GaugeValue, 1, string(source), cmp.Or(hash, string(Builtin)))
	to <- prometheus.MustNewConstMetric(m.valid, prometheus.GaugeValue, valid)
}
