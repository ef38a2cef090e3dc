package inventory

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	unresolvedRefused, containersRefused, slotsRefused, slotsThinned, eventsLost, truncated, sanitised, walkErrors prometheus.Counter
	valuesRefused                                                                                                  *prometheus.CounterVec
}

func (m *metrics) refuse(label string) { m.valuesRefused.WithLabelValues(label).Inc() }

func newMetrics(registerer prometheus.Registerer, t *Table) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_" + name, Help: help})
	}
	m := &metrics{
		unresolvedRefused: counter("containers_unresolved_refused_total", "Unnamed containers of the cgroup tree not even held back, because the limit was reached."),
		containersRefused: counter("containers_refused_total", "Container starts left out because the limit of containers was reached."),
		slotsRefused:      counter("slots_refused_total", "Containers without slot counters because the limit of slots was reached."),
		slotsThinned:      counter("slots_forgotten_early_total", "Empty slots whose series ended before their 15 minutes, because the limit of empty slots was reached."),
		eventsLost:        counter("inventory_events_lost_total", "Births, changes and deaths that had no room until the sampler drained them; the sampler compares the tables then."),
		truncated:         counter("label_values_truncated_total", "Label values cut to the longest allowed."),
		sanitised:         counter("label_values_sanitised_total", "Label values that held bytes that are no UTF-8, or control characters."),
		valuesRefused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_agent_label_values_refused_total",
			Help: "Times a container got no value for a label, or no project, because the label had as many different values as it may.",
		}, []string{"label"}),
		walkErrors: counter("cgroup_walk_errors_total", "Walks of the cgroup tree that failed or hit a limit."),
	}
	for _, label := range []string{"project", "team", "tier"} { // there as 0 from the start, so that the first refusal is an increase
		m.valuesRefused.WithLabelValues(label)
	}
	if registerer == nil {
		return m, nil
	}
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plimsoll_agent_" + name, Help: help}, func() float64 {
			t.mu.Lock()
			defer t.mu.Unlock()
			return float64(value())
		})
	}
	without := func(label string) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "plimsoll_agent_containers_without", ConstLabels: prometheus.Labels{"label": label},
			Help: "Real containers that run without a project, an idc or a cluster, or whose workload had to be read off the pod's name.",
		}, func() float64 {
			t.mu.Lock()
			defer t.mu.Unlock()
			return float64(t.count(func(e *entry) bool { return e.shown() && t.lacks(e, label) }))
		})
	}
	collectors := []prometheus.Collector{
		m.unresolvedRefused, m.containersRefused, m.slotsRefused, m.slotsThinned, m.eventsLost, m.truncated, m.sanitised, m.valuesRefused, m.walkErrors,
		gauge("containers", "Real containers that run.", func() int { return t.count((*entry).shown) }),
		gauge("containers_unassigned", "Real containers that run and belong to no project.", func() int {
			return t.count(func(e *entry) bool { return e.shown() && t.lacks(e, "project") })
		}),
		gauge("containers_unresolved", "Containers that no runtime names; they are held back.", func() int {
			return len(t.unnamed()) + t.count(func(e *entry) bool { return e.live && !e.resolved && !e.sandbox })
		}),
		gauge("slots", "Places in workloads that are counted for, the empty ones of the last 15 minutes included.", func() int { return len(t.slots) }),
		gauge("containers_contradictory", "Real containers that run and that labels of two runtimes claim.", func() int {
			return t.count(func(e *entry) bool { return e.shown() && e.facts.Contradictory() })
		}),
	}
	for _, label := range Lacking() {
		collectors = append(collectors, without(label))
	}
	for _, c := range collectors {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (t *Table) count(which func(*entry) bool) (n int) {
	for _, e := range t.containers {
		if which(e) {
			n++
		}
	}
	return n
}

// Lacking lists the labels whose absence is counted.
func Lacking() [4]string { return [...]string{"project", "idc", "cluster", "workload"} }

// lacks tells that a container belongs to no project, is in no idc or cluster, or that its workload had to be read off the pod's name.
func (t *Table) lacks(e *entry, label string) bool {
	switch label {
	case "project":
		return e.Labels.Project == t.resolver.Unassigned()
	case "idc":
		return e.Labels.IDC == ""
	case "cluster":
		return e.Labels.Cluster == ""
	default:
		return e.facts.Kubernetes.Pod != "" && e.facts.Kubernetes.Workload == ""
	}
}

// With counts the real containers that run, and those among them that do not lack a label.
func (t *Table) With(label string) (with, all int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count(func(e *entry) bool { return e.shown() && !t.lacks(e, label) }), t.count((*entry).shown)
}
