package population

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	notices   *prometheus.CounterVec
	refused   *prometheus.CounterVec
	overflows prometheus.Counter
}

func newMetrics() *metrics {
	return &metrics{
		notices:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_agent_cgroup_notices_total", Help: "Notices of the kernel about containers' cgroups: appeared, emptied, removed."}, []string{"what"}),
		refused:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_agent_cgroup_watches_refused_total", Help: "Directories, containers and processes not watched: past a limit of the agent or the kernel. Births and deaths there are heard of from the runtime alone."}, []string{"reason"}),
		overflows: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_cgroup_notices_overflows_total", Help: "Times the kernel dropped notices; the tree is read anew then."}),
	}
}

func (w *Watcher) register(reg prometheus.Registerer) error {
	watches := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plimsoll_agent_cgroup_watches", Help: "Inotify watches held on the cgroup tree: one for each directory that may hold containers, one for each container and one more while it is young."}, func() float64 {
		w.mu.Lock()
		defer w.mu.Unlock()
		return float64(len(w.dirs) + len(w.marks))
	})
	for _, c := range []prometheus.Collector{w.metrics.notices, w.metrics.refused, w.metrics.overflows, watches} {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}
