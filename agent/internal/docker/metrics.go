package docker

import (
	"github.com/docker/docker/api/types/events"
	"github.com/prometheus/client_golang/prometheus"
)

// SourceUpHelp is the help of plimsoll_agent_source_up: every source registers that name with its own constant label source,
// and client_golang wants one help per name.
const SourceUpHelp = "1 when the source delivers, 0 when it is degraded."

type metrics struct {
	events   *prometheus.CounterVec // action
	requests *prometheus.CounterVec // request
	failures *prometheus.CounterVec // request
	connects prometheus.Counter
	ignored  prometheus.Counter
	refused  prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer, e *Engine) (*metrics, error) {
	m := &metrics{
		events:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_agent_docker_events_total", Help: "Container events received from the Docker engine."}, []string{"action"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_agent_docker_requests_total", Help: "Requests made to the Docker engine."}, []string{"request"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_agent_docker_request_errors_total", Help: "Requests to the Docker engine that failed; a container that is already gone is no failure."}, []string{"request"}),
		connects: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_docker_connects_total", Help: "Connections made to the Docker engine."}),
		ignored:  prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_docker_containers_ignored_total", Help: "Container starts left out because the limit of containers was reached."}),
	}
	m.refused = prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_swarm_objects_refused_total", Help: "Services and nodes of the Swarm left out, at each reading, because the limit of them was reached."})
	for _, action := range followedActions() {
		if action == events.ActionRemove {
			continue // counted as what it means
		}
		m.events.WithLabelValues(string(action))
	}
	for _, request := range []string{"info", "list", "inspect", "stats", "image", "events", "node", "nodes", "services", "tasks"} {
		m.requests.WithLabelValues(request)
		m.failures.WithLabelValues(request)
	}
	if registerer == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.events, m.requests, m.failures, m.connects, m.ignored, m.refused, newSourceMetrics(e), newSwarmMetrics(e)} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// sourceMetrics are there unless there is no engine and need be none.
type sourceMetrics struct {
	e  *Engine
	up *prometheus.Desc
}

func newSourceMetrics(e *Engine) sourceMetrics {
	return sourceMetrics{e, prometheus.NewDesc("plimsoll_agent_source_up", SourceUpHelp, nil, prometheus.Labels{"source": "docker"})}
}

// Describe implements prometheus.Collector.
func (m sourceMetrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.up }

// Collect implements prometheus.Collector.
func (m sourceMetrics) Collect(ch chan<- prometheus.Metric) {
	if s := m.e.State(); !s.Absent {
		ch <- prometheus.MustNewConstMetric(m.up, prometheus.GaugeValue, number(s.Up))
	}
}

// swarmMetrics are there on a manager of a Swarm only.
type swarmMetrics struct {
	e          *Engine
	up, leader *prometheus.Desc
}

func newSwarmMetrics(e *Engine) swarmMetrics {
	return swarmMetrics{
		e:      e,
		up:     prometheus.NewDesc("plimsoll_agent_source_up", SourceUpHelp, nil, prometheus.Labels{"source": "swarm"}),
		leader: prometheus.NewDesc("plimsoll_agent_swarm_leader", "1 when the engine leads its Swarm, so that this agent reports the services; only on managers.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (m swarmMetrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.up; ch <- m.leader }

// Collect implements prometheus.Collector.
func (m swarmMetrics) Collect(ch chan<- prometheus.Metric) {
	s, _ := m.e.Swarm()
	if !s.Manager {
		return
	}
	m.e.mu.Lock()
	up := m.e.swarmUp
	m.e.mu.Unlock()
	ch <- prometheus.MustNewConstMetric(m.up, prometheus.GaugeValue, number(up))
	ch <- prometheus.MustNewConstMetric(m.leader, prometheus.GaugeValue, number(s.Leader))
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
