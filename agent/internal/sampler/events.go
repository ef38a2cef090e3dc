package sampler

import (
	"errors"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/series"
	"github.com/plimsoll/plimsoll/agent/wire"
)

// takeEvents brings the targets up to date and adds what can not wait to the batch.
func (s *Sampler) takeEvents() {
	var lost int
	s.events, lost = s.cfg.Containers.Drain(s.events[:0])
	if len(s.events) == 0 && lost == 0 {
		return
	}
	for i := range s.events {
		s.take(&s.events[i])
	}
	if lost > 0 {
		s.reconcile()
	}
	s.sampleSlots()
}

func (s *Sampler) take(e *inventory.Event) {
	if e.NewSlot {
		s.slotZeros(e.Container, e.At)
	}
	t := s.targets[e.Container.ID]
	switch e.Kind {
	case inventory.Born:
		s.born(e.Container)
	case inventory.Died:
		if t != nil {
			s.died(t)
		}
	case inventory.Relabelled:
		if t == nil {
			s.born(e.Container)
			return
		}
		s.relabel(t, e.Container)
	case inventory.Health, inventory.Resized, inventory.OOMKilled:
		if t != nil {
			t.container = e.Container
			s.sample(t)
		}
	}
}

// born opens the container's cgroup and samples it. One that is already gone has nothing to read: its exit is counted by its slot.
func (s *Sampler) born(c inventory.Container) {
	if old := s.targets[c.ID]; old != nil { // a new life under the same id
		s.end(old)
	}
	group, err := s.open(c)
	if err != nil {
		if !errors.Is(err, cgroup.ErrGone) {
			s.metrics.targetErrors.Inc()
			s.log.Warn("open cgroup", "container", c.Labels.Container, "cgroup", c.CgroupPath, "error", err)
		} else {
			s.metrics.unread.Inc()
		}
		return
	}
	t := &target{source: group, container: c, set: series.New(containerLabels(c.Labels))}
	s.targets[c.ID] = t
	s.sample(t)
	if c.PID > 0 && s.targets[c.ID] == t {
		s.watch(t, c.PID)
	}
}

// watch asks to be told when the container's first process ends.
func (s *Sampler) watch(t *target, pid int) {
	if s.cfg.Exits == nil {
		return
	}
	if ended, err := s.cfg.Exits.Watch(t.container.ID, pid); err != nil {
		s.metrics.exitsUnwatched.Inc()
	} else if ended {
		s.exited(t)
	}
}

// Exited takes the final reading of a container whose first process has just ended: its cgroup is gone in a moment.
func (s *Sampler) Exited(id cgroup.ContainerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.targets[id]; t != nil && t.exited.IsZero() {
		s.exited(t)
		s.batch.flush()
	}
}

func (s *Sampler) exited(t *target) {
	s.sample(t)
	t.exited = time.Now()
}

func (s *Sampler) open(c inventory.Container) (*cgroup.Group, error) {
	options := cgroup.Options{Budget: s.cfg.Budget, Faults: s.cfg.Faults, NetPID: c.PID}
	if !c.OwnNetwork() {
		options.NetPID = 0
	}
	if c.PID > 0 {
		if paths, err := s.cfg.FS.PathsOf(c.PID); err == nil {
			return s.cfg.FS.Open(paths, options)
		} else if !errors.Is(err, cgroup.ErrGone) {
			return nil, err
		}
	}
	if c.CgroupPath == "" {
		return nil, cgroup.ErrGone
	}
	options.NetPID = 0
	return s.cfg.FS.Open(s.cfg.FS.PathsFor(c.CgroupPath), options)
}

// died takes the final reading while the cgroup is still there and ends the series.
func (s *Sampler) died(t *target) {
	if err := t.read(s.buf, s.cfg.Node.DeviceName); err == nil || t.stats.Has != 0 {
		if t.stats.Has&cgroup.HasOOMKills != 0 {
			s.cfg.Containers.ReportOOMKills(t.container.ID, t.container.Life, t.stats.OOMKills)
		}
		if !errors.Is(err, cgroup.ErrGone) {
			s.batch.add(t.set, t.at.UnixMilli())
		}
	}
	s.end(t)
}

// gone ends a target whose cgroup vanished before anybody said so.
func (s *Sampler) gone(t *target) {
	if t.container.ID != "" && s.cfg.Vanished != nil {
		s.cfg.Vanished(t.container.ID)
	}
	s.end(t)
}

// end writes the staleness markers and forgets the target.
func (s *Sampler) end(t *target) {
	s.batch.end(t.set, max(time.Now().UnixMilli(), t.at.UnixMilli()+1))
	if s.cfg.Exits != nil {
		s.cfg.Exits.Forget(t.container.ID)
	}
	t.source.Close()
	delete(s.targets, t.container.ID)
}

func (s *Sampler) relabel(t *target, c inventory.Container) {
	if c.PID != t.container.PID && c.PID > 0 {
		if group, held := t.source.(*cgroup.Group); held && c.OwnNetwork() {
			group.SetNetPID(c.PID)
		}
		s.watch(t, c.PID)
	}
	t.container = c
	s.batch.relabel(t.set, containerLabels(c.Labels), max(time.Now().UnixMilli(), t.at.UnixMilli()+1))
	s.sample(t)
}

// reconcile replaces lost events by comparing with what is live.
func (s *Sampler) reconcile() {
	s.live = s.cfg.Containers.Live(s.live[:0])
	running := make(map[cgroup.ContainerID]bool, len(s.live))
	for _, c := range s.live {
		running[c.ID] = true
		t := s.targets[c.ID]
		switch {
		case t == nil || t.container.Life != c.Life:
			s.born(c)
		case t.container.Labels != c.Labels:
			s.relabel(t, c)
		}
	}
	for id, t := range s.targets {
		if !running[id] {
			s.died(t)
		}
	}
}

func containerLabels(l identity.Labels) []wire.Label {
	labels := make([]wire.Label, 0, 11)
	for name, value := range l.All() {
		labels = append(labels, wire.Label{Name: name, Value: value})
	}
	return labels
}
