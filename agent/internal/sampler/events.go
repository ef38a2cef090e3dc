package sampler

import (
	"errors"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/series"
	"github.com/plimsoll/plimsoll/agent/internal/shed"
	"github.com/plimsoll/plimsoll/agent/wire"
)

// takeEvents brings the targets up to date and adds what can not wait to the batch.
func (s *Sampler) takeEvents() {
	s.ended = s.lives.takeEnded(s.ended[:0])
	for _, id := range s.ended {
		if t := s.targets[id]; t != nil {
			s.finished(t)
		}
	}
	s.takeAnswers()
	var lost int
	s.events, lost = s.cfg.Containers.Drain(s.events) // behind those that wait
	if len(s.events) == 0 && lost == 0 {
		return
	}
	s.takeSome(lost > 0)
	if lost > 0 {
		s.reconcile()
	}
	s.sampleSlots(changedSlots)
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
		if t != nil && t.container.Life != e.Container.Life {
			t = nil
		}
		s.died(t, e)
	case inventory.Relabelled:
		if t == nil {
			s.born(e.Container)
			return
		}
		s.relabel(t, e.Container)
	case inventory.Health, inventory.Resized, inventory.OOMKilled:
		if t != nil && t.container.Life == e.Container.Life {
			t.container = e.Container
			if t.exited.IsZero() {
				s.sample(t)
			}
		}
	}
}

// born begins the series of a container: with what was read since its cgroup appeared, or by opening it now. One whose cgroup is gone
// unread has nothing to show: its exit is counted by its slot all the same.
func (s *Sampler) born(c inventory.Container) {
	if old := s.targets[c.ID]; old != nil { // a new life under the same id
		s.end(old)
	}
	if s.view.left.Has(shed.Births) {
		s.unbegin(c)
		return
	}
	one := s.lives.adopt(c.ID, c.Life, c.StartedAt)
	if one != nil && s.askFirst(c) {
		s.lives.release(c.ID, one)
		one = nil
	}
	if one != nil {
		one.complete(s.openPath)
	}
	if one == nil {
		from, err := s.reader(c)
		if err != nil {
			if !errors.Is(err, cgroup.ErrGone) {
				s.metrics.targetErrors.Inc()
				s.log.Warn("open cgroup", "container", c.Labels.Container, "cgroup", c.CgroupPath, "error", err)
			} else {
				s.metrics.unread.Inc()
			}
			return
		}
		one = &life{reader: from, openedAt: time.Now()}
		s.lives.name(c.ID, c.Life, one)
	} else if c.PID > 0 && c.OwnNetwork() {
		one.SetNetPID(c.PID)
	}
	t := &target{source: one, life: one, container: c, set: series.New(containerLabels(c.Labels)), turn: turnOf(c.ID)}
	s.targets[c.ID] = t
	s.metrics.count(one.reader, 1)
	if isAsked(one.reader) {
		return // there is nothing to show before the engine has answered
	}
	s.join(t, one.CPUAbove())
	if !one.first.at.IsZero() {
		s.show(t, one.first)
	}
	if !s.finished(t) {
		s.sample(t)
	}
	if c.PID > 0 && t.exited.IsZero() {
		s.watch(t, c.PID)
	}
}

// show adds a reading made earlier.
func (s *Sampler) show(t *target, taken snapshot) {
	t.round = s.round
	t.stats = taken.stats
	t.put(taken.at, s.view)
	s.batch.add(t.set, t.at.UnixMilli())
}

// finished adds the final reading, if there is one that is not shown yet.
func (s *Sampler) finished(t *target) bool {
	final, ok := t.life.last()
	if !ok || t.ended || !final.at.After(t.exited) {
		return false
	}
	s.show(t, final)
	t.had |= t.life.gives(final.at, s.cfg.Interval)
	t.exited = final.at
	s.reportOOMKills(t)
	return true
}

func (s *Sampler) reportOOMKills(t *target) {
	if t.stats.Has&cgroup.HasOOMKills != 0 {
		s.cfg.Containers.ReportOOMKills(t.container.ID, t.container.Life, t.stats.OOMKills)
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
		s.Exited(t.container.ID)
	}
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

// died takes the final reading, if nobody has and the cgroup is still there, writes the exit record and ends the series. t is nil for
// a container whose cgroup could not be read once.
func (s *Sampler) died(t *target, e *inventory.Event) {
	delete(s.restraint.unbegun, e.Container.ID)
	if t != nil && t.exited.IsZero() && t.life.finish(s.buf) {
		s.finished(t)
	}
	counted := false
	if t != nil {
		_, final := t.life.last()
		counted = final && t.stats.Has&cgroup.HasOOMKills != 0
	}
	if reason, known := s.cfg.Containers.Settle(e.Container.ID, e.Container.Life, counted); known {
		e.Exit.Reason = reason
	}
	if t == nil {
		s.lives.metrics.missed.Inc()
		s.record(e, &cgroup.Stats{})
		return
	}
	if _, ok := t.life.last(); !ok && isAsked(t.life.reader) {
		s.metrics.unread.Inc()
	}
	last, whole := t.atExit()
	if !whole {
		s.lives.metrics.missed.Inc()
	}
	s.record(e, &last)
	s.end(t)
}

// gone takes note of a cgroup that vanished. Its end, or its runtime's word of it, may be on the way; if not, the runtime is asked.
func (s *Sampler) gone(t *target) {
	if s.finished(t) || t.ended {
		return
	}
	if t.life.finish(s.buf) { // with what was read, or told by the engine, last
		s.finished(t)
	}
	if t.exited.IsZero() {
		t.exited = time.Now()
	}
	if s.cfg.Vanished != nil {
		s.cfg.Vanished(t.container.ID)
	}
	s.hide(t)
}

// hide writes the staleness markers and gives the files back.
func (s *Sampler) hide(t *target) {
	if t.ended {
		return
	}
	t.ended = true
	s.metrics.count(t.life.reader, -1)
	s.batch.end(t.set, max(time.Now().UnixMilli(), t.at.UnixMilli()+1))
	if s.cfg.Exits != nil {
		s.cfg.Exits.Forget(t.container.ID)
	}
	s.lives.release(t.container.ID, t.life)
}

// end hides the target and forgets it.
func (s *Sampler) end(t *target) {
	s.hide(t)
	s.leave(t)
	delete(s.targets, t.container.ID)
}

// linger looks after a target whose process has ended and of which no runtime has said so yet.
func (s *Sampler) linger(t *target) {
	switch since := time.Since(t.exited); {
	case since > heldOver:
		s.end(t)
	case since > exitGrace:
		s.gone(t)
	}
}

func (s *Sampler) relabel(t *target, c inventory.Container) {
	if c.CgroupPath != t.container.CgroupPath && c.CgroupPath != t.life.ID() && t.exited.IsZero() {
		s.moved(t, c)
	}
	if c.PID != t.container.PID && c.PID > 0 && !isAsked(t.life.reader) {
		if c.OwnNetwork() {
			t.life.SetNetPID(c.PID)
		}
		s.watch(t, c.PID)
	}
	t.container = c
	s.batch.relabel(t.set, containerLabels(c.Labels), max(time.Now().UnixMilli(), t.at.UnixMilli()+1))
	if t.exited.IsZero() {
		s.sample(t)
	}
}

// moved opens the cgroup a container was moved to. Its counters begin there anew.
func (s *Sampler) moved(t *target, c inventory.Container) {
	if isAsked(t.life.reader) {
		return // the engine finds it wherever it is
	}
	group, err := s.open(c)
	if err != nil {
		return // it stays where it was; when that is gone it is gone
	}
	s.lives.release(c.ID, t.life)
	t.life = &life{reader: group, openedAt: time.Now()}
	t.source = t.life
	s.leave(t)
	s.join(t, t.life.CPUAbove())
	s.lives.name(c.ID, c.Life, t.life)
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
			if t.exited.IsZero() && t.life.finish(s.buf) {
				s.finished(t)
			}
			s.end(t)
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
