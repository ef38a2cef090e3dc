package sampler

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// How long lives are held back until their identity is known: one that runs is opened anew when it is named after all, one that is over
// exists nowhere else.
const (
	heldRunning = 30 * time.Second
	heldOver    = 5 * time.Minute
)

// lives are the containers' cgroups by ID: those held back until a runtime names them, oldest first, and the one each target reads.
type lives struct {
	mu   sync.Mutex
	held map[cgroup.ContainerID][]*life
	now  map[cgroup.ContainerID]*life // being read under a name
	kept int                          // number of those held
	most int                          // that may be
	buf  []byte
	// firstBuf is that of Appeared, which has one caller and opens files without the lock: the kernel may let it wait for others.
	firstBuf []byte

	ended    []cgroup.ContainerID // named lives with a final reading that no round has seen yet
	answered []cgroup.ContainerID // those the engine has told new figures of, likewise
	metrics  *lifeMetrics
}

type lifeMetrics struct {
	refused, unopened, unnamed, missed prometheus.Counter
}

func newLives(most int, reg prometheus.Registerer) *lives {
	l := &lives{
		most: most, held: map[cgroup.ContainerID][]*life{}, now: map[cgroup.ContainerID]*life{}, buf: make([]byte, cgroup.BufferSize), firstBuf: make([]byte, cgroup.BufferSize),
		metrics: &lifeMetrics{
			refused:  prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_containers_held_refused_total", Help: "New cgroups not read before their identity was known, because the limit of those held back was reached or they could not be opened."}),
			unopened: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_containers_unopened_total", Help: "New cgroups that were gone, or not there in every hierarchy, when they were to be read for the first time. Those that a runtime names later are opened then, or counted in plimsoll_agent_containers_unread_total."}),
			unnamed:  prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_containers_unnamed_total", Help: "Containers that came and went, or ran for 30 s, without a runtime naming them in time; their held back readings are dropped."}),
			missed:   prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_final_readings_missed_total", Help: "Containers that ended without a final reading, or with a part of one: what they used after the newest one is not counted, and their exit record has the CPU time and memory peak of that, or none."}),
		},
	}
	if reg != nil {
		reg.MustRegister(l.metrics.refused, l.metrics.unopened, l.metrics.unnamed, l.metrics.missed,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plimsoll_agent_containers_held", Help: "Containers whose readings are held back until a runtime names them."}, func() float64 {
				l.mu.Lock()
				defer l.mu.Unlock()
				return float64(l.kept)
			}))
	}
	return l
}

// Appeared opens a container's cgroup the moment its directory is there and takes the first reading. Nothing is shipped before a
// runtime names the container.
func (s *Sampler) Appeared(id cgroup.ContainerID, path string) {
	l := s.lives
	if !l.makeRoom() {
		l.metrics.refused.Inc()
		return
	}
	group, err := s.openPath(path)
	switch {
	case errors.Is(err, cgroup.ErrGone):
		l.metrics.unopened.Inc()
		return
	case err != nil:
		l.metrics.refused.Inc()
		return
	}
	one := &life{reader: group, openedAt: time.Now(), partial: group.Partial()}
	if err := group.Read(&one.first.stats, l.firstBuf); err != nil || one.first.stats.Has&cgroup.HasCPUUsage == 0 {
		group.Close() // a driver that makes the hierarchies one by one is still at it: the runtime's word will open them all
		l.metrics.unopened.Inc()
		return
	}
	one.first.at = one.openedAt
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[id] = append(l.held[id], one)
	l.kept++
}

func (s *Sampler) openPath(path string) (*cgroup.Group, error) {
	return s.cfg.FS.Open(s.cfg.FS.PathsFor(path), cgroup.Options{Budget: s.cfg.Budget, Faults: s.cfg.Faults})
}

// Ending takes a reading of a container of which a process has ended, in case it was the last.
func (s *Sampler) Ending(id cgroup.ContainerID) {
	l := s.lives
	l.mu.Lock()
	defer l.mu.Unlock()
	if one := l.newest(id); one != nil {
		one.note(l.buf)
		if one.named == 0 && one.complete(s.openPath) { // opening takes longer than a reading
			one.note(l.buf)
		}
	}
}

// Continues drops that reading: it was not.
func (s *Sampler) Continues(id cgroup.ContainerID) {
	l := s.lives
	l.mu.Lock()
	defer l.mu.Unlock()
	if one := l.newest(id); one != nil {
		one.mu.Lock()
		one.spare = snapshot{}
		one.mu.Unlock()
	}
}

// Emptied takes the final reading of a container whose last process has just ended.
func (s *Sampler) Emptied(id cgroup.ContainerID) {
	l := s.lives
	l.mu.Lock()
	defer l.mu.Unlock()
	s.over(id, l.newest(id))
}

// Exited takes the final reading of a named container whose first process has just ended: its cgroup is gone in a moment. One held back
// under the same ID is its next life.
func (s *Sampler) Exited(id cgroup.ContainerID) {
	l := s.lives
	l.mu.Lock()
	defer l.mu.Unlock()
	s.over(id, l.now[id])
}

// over takes the final reading of a life, which may be nil; the caller holds the lock of lives.
func (s *Sampler) over(id cgroup.ContainerID, one *life) {
	l := s.lives
	if one == nil {
		return
	}
	read := one.finish(l.buf)
	if one.named == 0 && one.complete(s.openPath) {
		one.finish(l.buf)
	}
	if !read || one.named == 0 {
		return
	}
	if final, _ := one.last(); final.stats.Has&cgroup.HasOOMKills != 0 && final.stats.OOMKills > 0 { // at once, so that its exit is known for one
		s.cfg.Containers.ReportOOMKills(id, one.named, final.stats.OOMKills)
	}
	l.ended = append(l.ended, id)
	s.poke()
}

// Removed gives the files of a cgroup that is gone back, should nobody have named it yet.
func (s *Sampler) Removed(id cgroup.ContainerID) {
	l := s.lives
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.held[id] {
		if !one.removed && one == l.newest(id) {
			one.removed = true
			one.Close()
		}
	}
}

// makeRoom tells whether one more can be held back, for which the oldest goes that is over and was never named.
func (l *lives) makeRoom() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kept < l.most {
		return true
	}
	var of cgroup.ContainerID
	var oldest *life
	for id, held := range l.held {
		if one := held[0]; one.isOver() && (oldest == nil || one.openedAt.Before(oldest.openedAt)) {
			of, oldest = id, one
		}
	}
	if oldest == nil {
		return false
	}
	l.drop(oldest)
	l.hold(of, l.held[of][1:])
	return true
}

// newest is the life that runs now: a container started again has one cgroup after the other under the same ID.
func (l *lives) newest(id cgroup.ContainerID) *life {
	if held := l.held[id]; len(held) > 0 {
		return held[len(held)-1]
	}
	return l.now[id]
}

// adopt takes the life that began at startedAt out of those held back, nil if there is none. What is older goes: it was never named.
func (l *lives) adopt(id cgroup.ContainerID, number uint64, startedAt time.Time) *life {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.held[id]
	if len(held) == 0 {
		return nil
	}
	which := 0
	for i, one := range held {
		if one.openedAt.Before(startedAt) {
			which = i
		}
	}
	for _, one := range held[:which] {
		l.drop(one)
	}
	one := held[which]
	one.named = number
	l.kept--
	l.hold(id, held[which+1:])
	l.now[id] = one
	return one
}

// name registers a life that was opened under its name.
func (l *lives) name(id cgroup.ContainerID, number uint64, one *life) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one.named = number
	l.now[id] = one
}

// release forgets a named life.
func (l *lives) release(id cgroup.ContainerID, one *life) {
	l.mu.Lock()
	if l.now[id] == one {
		delete(l.now, id)
	}
	l.mu.Unlock()
	one.Close()
}

// takeEnded moves the lives with news to dst.
func (l *lives) takeEnded(dst []cgroup.ContainerID) []cgroup.ContainerID {
	l.mu.Lock()
	defer l.mu.Unlock()
	dst = append(dst, l.ended...)
	l.ended = l.ended[:0]
	return dst
}

// expire drops what nobody has named in time.
func (l *lives) expire(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, held := range l.held {
		kept := held[:0]
		for _, one := range held {
			keep := heldRunning
			if one.isOver() {
				keep = heldOver
			}
			if now.Sub(one.openedAt) > keep {
				l.drop(one)
				continue
			}
			kept = append(kept, one)
		}
		l.hold(id, kept)
	}
}

func (l *lives) drop(one *life) {
	one.Close()
	l.kept--
	l.metrics.unnamed.Inc()
}

func (l *lives) hold(id cgroup.ContainerID, held []*life) {
	if len(held) == 0 {
		delete(l.held, id)
		return
	}
	l.held[id] = held
}

func (l *lives) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, held := range l.held {
		for _, one := range held {
			one.Close()
		}
	}
	clear(l.held)
	l.kept = 0
}
