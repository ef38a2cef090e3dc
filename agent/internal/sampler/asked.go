package sampler

import (
	"errors"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
)

// Containers whose cgroup can not be read here: their figures are asked of the engine, in the background, and shown when they come. No
// round waits for them, and there is no one-second pass: their peaks are those of whole intervals.

// Figures are what the engine tells of one container. A docker.Figures is one.
type Figures interface {
	source // Read gives what was told newest, nothing where that is too old, cgroup.ErrGone where the engine does not run it
	// Last gives what was told last however old, false where there is nothing.
	Last(st *cgroup.Stats) bool
	// Fresh tells that what was told newest is not too old.
	Fresh() bool
}

// Ask begins to ask for a container's figures, until they are closed. answered is Sampler.Answered.
type Ask func(id cgroup.ContainerID, answered func(id cgroup.ContainerID)) Figures

// asked is the reader over Figures: it has no files, and no cgroup that is known here.
type asked struct{ Figures }

// ID implements reader.
func (asked) ID() string { return "" }

// CPUAbove implements reader.
func (asked) CPUAbove() string { return "" }

// ReadLast implements reader with what was told last.
func (a asked) ReadLast(st *cgroup.Stats, _ []byte) error {
	if !a.Last(st) {
		return cgroup.ErrGone
	}
	return nil
}

// Gives implements reader: what the engine tells is known once it has told it.
func (asked) Gives() cgroup.Has { return 0 }

// SetNetPID implements reader: the figures of the network come with the others.
func (asked) SetNetPID(int) {}

func isAsked(r reader) bool {
	_, ok := r.(asked)
	return ok
}

// askFirst tells whether the engine is asked without a look at the cgroup. One with a process of this host is not the engine's alone: it is
// a pod's.
func (s *Sampler) askFirst(c inventory.Container) bool {
	return s.cfg.Ask != nil && s.cfg.AskFirst && c.PID == 0
}

// reader opens the container's cgroup, or asks the engine where there is none to be read although the container is told to run.
func (s *Sampler) reader(c inventory.Container) (reader, error) {
	if !s.askFirst(c) {
		group, err := s.open(c)
		if err == nil {
			return group, nil
		}
		if s.cfg.Ask == nil || !errors.Is(err, cgroup.ErrGone) {
			return nil, err
		}
	}
	return asked{s.cfg.Ask(c.ID, s.Answered)}, nil
}

// Answered tells that the engine has told new figures of a container, or that it does not run.
func (s *Sampler) Answered(id cgroup.ContainerID) {
	s.lives.mu.Lock()
	s.lives.answered = append(s.lives.answered, id)
	s.lives.mu.Unlock()
	s.poke()
}

// takeAnswers shows what the engine has told since.
func (s *Sampler) takeAnswers() {
	s.lives.mu.Lock()
	s.answered = append(s.answered[:0], s.lives.answered...)
	s.lives.answered = s.lives.answered[:0]
	s.lives.mu.Unlock()
	for _, id := range s.answered {
		if t := s.targets[id]; t != nil && isAsked(t.life.reader) && t.exited.IsZero() && !t.ended {
			s.sample(t)
		}
	}
}

// shownAsAnswered tells that a round has nothing to add to what was shown when the engine answered. What is not fresh any more is read, so
// that its series end; before the first answer nothing is shown.
func shownAsAnswered(t *target) bool {
	from, ok := t.life.reader.(asked)
	return ok && (from.Fresh() || t.at.IsZero() && time.Since(t.life.openedAt) < exitGrace)
}
