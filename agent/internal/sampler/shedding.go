package sampler

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/shed"
)

// restraint keeps the process within its limits: what is left out, and the count of it.
type restraint struct {
	limit   *shed.Limiter
	used    func() (shed.Use, error)
	unbegun map[cgroup.ContainerID]bool // containers born while births are left out
	left    [shed.Works]prometheus.Counter
	now     [shed.Works]prometheus.Gauge
	cores   prometheus.Gauge
	errors  prometheus.Counter
}

func newRestraint(cfg Config) (restraint, error) {
	limit, err := shed.New(cfg.Limits)
	if err != nil {
		return restraint{}, err
	}
	r := restraint{
		limit: limit, used: cfg.Used, unbegun: map[cgroup.ContainerID]bool{},
		cores:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "plimsoll_agent_cpu_cores", Help: "CPU the agent took in the newest interval of at least 15 s, held against --limit.cpu."}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_own_use_errors_total", Help: "Times the kernel did not say what the agent itself has used; the limits are not held then."}),
	}
	if r.used == nil {
		r.used = new(shed.Meter).Used
	}
	left := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_agent_shed_total", Help: "Work left out to stay within --limit.cpu and --limit.memory, in the order of shedding: one-second passes without memory, without throttling and pressure, not made at all; readings of slow groups; full readings of containers; containers not begun."}, []string{"what"})
	now := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "plimsoll_agent_shedding", Help: "1 for work that is left out now to stay within --limit.cpu and --limit.memory, else 0."}, []string{"what"})
	for w := range shed.Works {
		r.left[w], r.now[w] = left.WithLabelValues(w.String()), now.WithLabelValues(w.String())
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(left, now, r.cores, r.errors,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plimsoll_agent_limit_cpu_cores", Help: "--limit.cpu; 0 is none."}, func() float64 { return cfg.Limits.CPUCores }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plimsoll_agent_limit_memory_bytes", Help: "--limit.memory; 0 is none. It is held against process_resident_memory_bytes."}, func() float64 { return float64(cfg.Limits.MemoryBytes) }))
	}
	return r, nil
}

// restrain looks at what the process has used and decides what the next interval leaves out.
func (s *Sampler) restrain(now time.Time) {
	used, err := s.restraint.used()
	if err != nil {
		s.restraint.errors.Inc()
		return
	}
	before, left := s.view.left, s.restraint.limit.Step(now, used)
	s.restraint.cores.Set(s.restraint.limit.Cores())
	if left == before {
		return
	}
	s.view.left = left
	for w, g := range s.restraint.now {
		g.Set(truth(left.Has(shed.Work(w))))
	}
	limits := s.restraint.limit.Limits()
	if left.Len() > before.Len() {
		s.log.Warn("over its limits the agent leaves out more work", "left_out", left.String(), "cpu_cores", s.restraint.limit.Cores(), "limit_cpu_cores", limits.CPUCores,
			"resident_bytes", used.ResidentBytes, "limit_memory_bytes", limits.MemoryBytes)
	} else {
		s.log.Info("within its limits the agent takes work up again", "left_out", left.String(), "cpu_cores", s.restraint.limit.Cores(), "resident_bytes", used.ResidentBytes)
	}
	if before.Has(shed.Births) && !left.Has(shed.Births) {
		clear(s.restraint.unbegun)
		s.reconcile()
	}
}

// leavesOut counts work left out, if it is, and tells whether it is.
func (s *Sampler) leavesOut(w shed.Work) bool {
	if !s.view.left.Has(w) {
		return false
	}
	s.restraint.left[w].Inc()
	return true
}

// skips tells that a container's full reading is left out in this round: which of them, its turn decides, so that each round has its share.
func (s *Sampler) skips(t *target) bool {
	switch {
	case s.view.left.Has(shed.QuarterRounds):
		return (s.round+t.turn)%4 != 0 && s.leavesOut(shed.QuarterRounds)
	case s.view.left.Has(shed.HalfRounds):
		return (s.round+t.turn)%2 != 0 && s.leavesOut(shed.HalfRounds)
	}
	return false
}

// unbegin notes a birth that is left out. The cgroup held back for it is let go.
func (s *Sampler) unbegin(c inventory.Container) {
	if !s.restraint.unbegun[c.ID] {
		s.restraint.unbegun[c.ID] = true
		s.restraint.left[shed.Births].Inc()
	}
	if one := s.lives.adopt(c.ID, c.Life, c.StartedAt); one != nil {
		s.lives.release(c.ID, one)
	}
}

// shedSlow ends the series of the slow groups, gives their memory back and counts the readings that fall due meanwhile.
func (s *Sampler) shedSlow(now time.Time) {
	if s.cfg.Layers != nil {
		s.cfg.Layers.Suspend(now.Add(2 * s.cfg.Interval))
	}
	s.batch.endSlow(s.node.set, now.UnixMilli())
	for _, t := range s.targets {
		s.batch.endSlow(t.set, now.UnixMilli())
		if s.round >= t.slowDue && t.exited.IsZero() && !t.ended {
			t.slowDue = s.round + s.slow.every
			s.leavesOut(shed.SlowGroups)
		}
	}
}
