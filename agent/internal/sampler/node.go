package sampler

import (
	"errors"
	"time"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/series"
)

// machineEvery is how often CPUs, memory and swap are looked for anew: they change by hot-plug and swapon.
const machineEvery = 5 * time.Minute

// sampleNode adds the node's own series (id="/") and the machine's to the batch.
func (s *Sampler) sampleNode() {
	if now := time.Now(); now.Sub(s.machineAt) >= machineEvery {
		s.machineAt = now
		if err := s.cfg.Node.Refresh(); err != nil {
			s.metrics.targetErrors.Inc() // the figures of the last reading stay
		}
	}
	m := s.cfg.Node.Machine()
	if err := s.node.read(s.buf, s.view); err != nil {
		s.failing = true
		s.metrics.targetErrors.Inc()
	}
	if !m.BootTime.IsZero() {
		s.node.set.Put(catalog.StartTime, float64(m.BootTime.Unix()))
	}
	s.node.set.Put(catalog.ScrapeError, truth(s.failing))
	at := s.node.at.UnixMilli()
	s.batch.add(s.node.set, at)

	s.machine.Begin()
	for _, one := range [...]struct {
		id    catalog.ID
		value float64
	}{
		{catalog.MachineCores, float64(m.Cores)}, {catalog.MachinePhysicalCores, float64(m.PhysicalCores)},
		{catalog.MachineSockets, float64(m.Sockets)}, {catalog.MachineMemory, float64(m.MemoryBytes)},
	} {
		if one.value > 0 {
			s.machine.Put(one.id, one.value)
		}
	}
	if m.MemoryBytes > 0 {
		s.machine.Put(catalog.MachineSwap, float64(m.SwapBytes)) // a machine without swap has 0 of it
	}
	s.batch.add(s.machine, at)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// sampleCgroups follows SetCgroups and samples what it named.
func (s *Sampler) sampleCgroups() {
	for _, path := range s.wanted {
		if t := s.cgroups[path]; t != nil {
			t.round = s.round
			continue
		}
		group, err := s.cfg.FS.Open(s.cfg.FS.PathsFor(path), cgroup.Options{Budget: s.cfg.Budget, Faults: s.cfg.Faults})
		if err != nil {
			continue // gone again, or not readable: the walk says so
		}
		s.cgroups[path] = &target{source: group, set: series.New(cgroupLabels(s.cfg.NodeLabels, path)), round: s.round}
	}
	for path, t := range s.cgroups {
		err := t.read(s.buf, s.view)
		if t.round != s.round || errors.Is(err, cgroup.ErrGone) {
			s.batch.end(t.set, t.at.UnixMilli())
			t.source.Close()
			delete(s.cgroups, path)
			continue
		}
		s.batch.add(t.set, t.at.UnixMilli())
	}
}
