package sampler

import "github.com/prometheus/client_golang/prometheus"

// metrics are the sampler's own.
type metrics struct {
	samples        prometheus.Counter
	rounds         prometheus.Counter
	roundSeconds   prometheus.Histogram
	targetErrors   prometheus.Counter
	unread         prometheus.Counter
	exitsUnwatched prometheus.Counter
	seriesRefused  prometheus.Counter
	cgroupsRefused prometheus.Gauge
	slowDeferred   prometheus.Counter
	ownErrors      prometheus.Counter
	bySource       *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		samples:        prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_samples_total", Help: "Samples taken, staleness markers included."}),
		rounds:         prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_rounds_total", Help: "Full rounds of readings."}),
		roundSeconds:   prometheus.NewHistogram(prometheus.HistogramOpts{Name: "plimsoll_agent_round_seconds", Help: "Wall time of a full round.", Buckets: []float64{.001, .003, .01, .03, .1, .3, 1, 3}}),
		targetErrors:   prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_target_errors_total", Help: "Containers and cgroups that could not be opened or read."}),
		unread:         prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_containers_unread_total", Help: "Containers that were gone before their cgroup could be read, or the engine had told their figures, once."}),
		exitsUnwatched: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_exits_unwatched_total", Help: "Containers whose exit is learnt from the engine alone, so that the final reading may come too late."}),
		seriesRefused:  prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_series_refused_total", Help: "Readings of interfaces or devices past the limit of series per container."}),
		cgroupsRefused: prometheus.NewGauge(prometheus.GaugeOpts{Name: "plimsoll_agent_cgroups_refused", Help: "Top-level cgroups past the limit, not shown."}),
		ownErrors:      prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_own_metrics_errors_total", Help: "Failed gatherings of the agent's own metrics."}),
		slowDeferred:   prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_slow_readings_deferred_total", Help: "Readings of the slow groups put off to the next round because this one's budget was spent."}),
		bySource:       prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "plimsoll_agent_containers_by_source", Help: "Containers watched, by where their figures come from: their cgroup, or the Docker engine (--docker.stats)."}, []string{"source"}),
	}
	for _, source := range [...]string{byCgroup, byEngine} {
		m.bySource.WithLabelValues(source)
	}
	if reg != nil {
		reg.MustRegister(m.samples, m.rounds, m.roundSeconds, m.targetErrors, m.unread, m.exitsUnwatched, m.seriesRefused, m.cgroupsRefused, m.ownErrors, m.slowDeferred, m.bySource)
	}
	return m
}

// The sources of a container's figures, as a label says them.
const (
	byCgroup = "cgroup"
	byEngine = "docker"
)

// count adds containers that are read from there.
func (m *metrics) count(from reader, n float64) {
	source := byCgroup
	if isAsked(from) {
		source = byEngine
	}
	m.bySource.WithLabelValues(source).Add(n)
}

// Faults counts kernel files that could not be read or parsed, by file and reason; it is the cgroup.Faults of all that is opened.
type Faults struct{ errors *prometheus.CounterVec }

// NewFaults registers plimsoll_agent_read_errors_total.
func NewFaults(reg prometheus.Registerer) *Faults {
	f := &Faults{prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_agent_read_errors_total", Help: "Kernel files that could not be read or parsed; each costs its own fields only."}, []string{"file", "reason"})}
	if reg != nil {
		reg.MustRegister(f.errors)
	}
	return f
}

// ReadFault counts one fault.
func (f *Faults) ReadFault(file, reason string) { f.errors.WithLabelValues(file, reason).Inc() }
