package kubernetes

import (
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// SourceUpHelp is the help of plimsoll_agent_source_up, which every source registers with its own label.
const SourceUpHelp = "1 when the source delivers, 0 when it is degraded."

type metrics struct {
	requests *prometheus.CounterVec // verb, resource
	failures *prometheus.CounterVec // verb, resource
	refused  prometheus.Counter
	tracker  atomic.Pointer[tracker]
	leads    atomic.Bool
}

func newMetrics(registerer prometheus.Registerer, s *Source) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_agent_kubernetes_requests_total", Help: "Requests made to the Kubernetes API server."}, []string{"verb", "resource"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_agent_kubernetes_request_errors_total", Help: "Requests to the Kubernetes API server that got no answer, or an error but not-found and conflict."}, []string{"verb", "resource"}),
		refused:  prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_kubernetes_objects_refused_total", Help: "Objects of the cluster left out because the limit of objects was reached."}),
	}
	if registerer == nil {
		return m, nil
	}
	truth := func(name, help string, labels prometheus.Labels, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plimsoll_agent_" + name, Help: help, ConstLabels: labels}, value)
	}
	collectors := []prometheus.Collector{
		m.requests, m.failures, m.refused,
		truth("source_up", SourceUpHelp, prometheus.Labels{"source": "kubernetes"}, func() float64 { return number(s.state.up(Pods)) }),
		truth("kubernetes_leader", "1 when this agent is elected to report the cluster's objects.", nil, func() float64 { return number(m.leads.Load()) }),
		truth("kubernetes_pods", "Pods of this node that the API server has told.", nil, func() float64 {
			if t := m.tracker.Load(); t != nil {
				return float64(t.count())
			}
			return 0
		}),
		&degraded{s: s, desc: prometheus.NewDesc("plimsoll_agent_kubernetes_part_up", "1 when the API server delivers what is asked of it under this name, 0 when it does not.", []string{"part"}, nil)},
	}
	for _, c := range collectors {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (m *metrics) watch(t *tracker) { m.tracker.Store(t) }

// degraded collects the state of every part.
type degraded struct {
	s    *Source
	desc *prometheus.Desc
}

func (d *degraded) Describe(ch chan<- *prometheus.Desc) { ch <- d.desc }

func (d *degraded) Collect(ch chan<- prometheus.Metric) {
	for _, state := range d.s.State() {
		ch <- prometheus.MustNewConstMetric(d.desc, prometheus.GaugeValue, number(state.Up), string(state.Part))
	}
}

// count wraps the transport of every request.
func (m *metrics) count(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		verb, resource := asked(r)
		m.requests.WithLabelValues(verb, resource).Inc()
		answer, err := next.RoundTrip(r)
		if err != nil || answer.StatusCode >= 400 && answer.StatusCode != http.StatusNotFound && answer.StatusCode != http.StatusConflict {
			m.failures.WithLabelValues(verb, resource).Inc()
		}
		return answer, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// asked reads verb and resource off a request: /api/v1[/namespaces/NS]/RESOURCE[/NAME], /apis/GROUP/VERSION/….
// https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
func asked(r *http.Request) (verb, resource string) {
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	skip := 2 // api/v1
	if path[0] == "apis" {
		skip = 3
	}
	path = path[min(skip, len(path)):]
	if len(path) > 2 && path[0] == "namespaces" {
		path = path[2:]
	}
	if len(path) == 0 {
		return "get", "other"
	}
	resource = path[0]
	switch r.Method {
	case http.MethodGet:
		switch {
		case r.URL.Query().Has("watch"):
			verb = "watch"
		case len(path) > 1:
			verb = "get"
		default:
			verb = "list"
		}
	case http.MethodPost:
		verb = "create"
	case http.MethodPut:
		verb = "update"
	default:
		verb = strings.ToLower(r.Method)
	}
	return verb, resource
}
