// Package presence tells within seconds that an agent is lost: that its process ended without a word, or that nothing comes from it
// past the time its next samples were due.
//
// An agent that is told to stop ends its own series, which is a word: it is not lost, and the slower alerts on absence see to it.
// An agent that dies has its connection closed by its kernel. One whose machine or network is gone is heard of no more. In both cases
// the others of its cluster say whether the fault is the agent's: as long as nobody of the cluster is heard, nobody is lost here,
// for then it is the cluster, the way to it, or this collector.
package presence

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// How long after what an agent counts as lost.
const (
	// restartGrace is for an agent that died to be back: systemd starts it after 2 s, a kubelet at once the first time.
	restartGrace = 10 * time.Second
	// lateGrace is for samples to come after they were due.
	lateGrace = 5 * time.Second
	// Connections that are closed within this time of each other may have one cause, such as a proxy that restarts.
	burst = 30 * time.Second
	// settle is how long after the start agents are given to be heard again.
	settle = 90 * time.Second
	// An agent's cadence is the middle one of its last distances, within these bounds: the last round before a stop and the first
	// after a start lie where they will.
	leastCadence, mostCadence = 15 * time.Second, 3 * time.Minute
	unknownCadence            = time.Minute
	distances                 = 5
	// mostLost is how long it takes for a lost agent to count as removed.
	mostLost = 24 * time.Hour
	// pollEvery is how often the table of agents is looked at.
	pollEvery = time.Second
)

// Agent is what the collector knows of an agent.
type Agent struct {
	IDC, Cluster, Node string
	// Name is what it calls itself in its requests; empty when it never did.
	Name string
	// Heard is when its last samples came, Newest the time of the newest of them, Left that of its last word when it was told to stop.
	Heard, Newest, Left time.Time
}

func (a Agent) place() place { return place{a.IDC, a.Cluster, a.Node} }

type place struct{ idc, cluster, node string }

// How an agent was lost.
type How string

// An agent is lost in one of two ways.
const (
	Ended  How = "ended"  // its connection was closed without a word and it did not come back: the process died, the node lives
	Silent How = "silent" // two rounds of samples did not come: the node, the way from it, or an agent that hangs
)

// Config of a Watch.
type Config struct {
	// Agents lists all that are known.
	Agents func() []Agent
	// Changed is called after an agent was lost or came back, one call at a time.
	Changed func()
}

// Watch tells which agents are lost.
type Watch struct {
	cfg Config
	log *slog.Logger

	mu       sync.Mutex
	from     time.Time // nobody is lost before
	agents   map[place]*state
	speakers map[string]*speaker // by the agent's name for itself
	// connections are those that agents speak over.
	connections map[net.Conn]*connection
}

// state is what is followed of one agent.
type state struct {
	Agent
	spacing [distances]time.Duration
	next    int
	lost    How       // empty: it is not
	since   time.Time // when it was lost
	last    time.Time // when it had been heard then
}

// New returns a Watch that sees nothing before Run.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) *Watch {
	w := &Watch{cfg: cfg, log: log, agents: map[place]*state{}, speakers: map[string]*speaker{}, connections: map[net.Conn]*connection{}}
	reg.MustRegister(w)
	return w
}

// Run looks every second until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	w.mu.Lock()
	w.from = time.Now().Add(settle)
	w.mu.Unlock()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if w.look(time.Now(), w.cfg.Agents()) {
				w.cfg.Changed()
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// look takes the table of now and tells whether anybody was lost or came back.
func (w *Watch) look(now time.Time, table []Agent) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.take(table)
	clusters := w.clusters()
	changed := false
	for at, s := range w.agents {
		how := w.judge(s, clusters[place{idc: at.idc, cluster: at.cluster}], now)
		if how == s.lost {
			continue
		}
		changed = true
		w.log.Info("agent lost or back", "idc", at.idc, "cluster", at.cluster, "node", at.node, "lost", cmp.Or(string(how), "no"), "last_heard", w.heard(s))
		s.lost, s.since, s.last = how, now, w.heard(s)
	}
	return changed
}

// take follows the table. An agent that changed its place stands there once more under the old one, which was left.
func (w *Watch) take(table []Agent) {
	newest := map[string]time.Time{}
	for _, a := range table {
		if a.Heard.After(newest[a.Name]) {
			newest[a.Name] = a.Heard
		}
	}
	there := make(map[place]bool, len(table))
	for _, a := range table {
		if a.Name != "" && a.Heard.Before(newest[a.Name]) {
			continue
		}
		at := a.place()
		there[at] = true
		s := w.agents[at]
		if s == nil {
			s = &state{Agent: a}
			w.agents[at] = s
		}
		if moved := a.Newest.Sub(s.Newest); moved > 0 {
			s.spacing[s.next%distances] = moved
			s.next++
		}
		s.Agent = a
	}
	for at := range w.agents {
		if !there[at] {
			delete(w.agents, at)
		}
	}
	w.forgetSpeakers(newest)
}

// heard is when the agent last sent anything.
func (w *Watch) heard(s *state) time.Time {
	if sp := w.speaker(s); sp != nil && sp.heard.After(s.Heard) {
		return sp.heard
	}
	return s.Heard
}

// cadence is how far apart its rounds of samples are.
func (s *state) cadence() time.Duration {
	known := slices.Clone(s.spacing[:min(s.next, distances)])
	if len(known) == 0 {
		return unknownCadence
	}
	slices.Sort(known)
	return min(max(known[len(known)/2], leastCadence), mostCadence)
}

// left tells whether its newest word was that it stops.
func (s *state) left() bool { return !s.Left.IsZero() && !s.Newest.After(s.Left) }

// cluster is what its agents say together.
type cluster struct {
	alive            int         // neither left nor lost
	closings         []time.Time // when each lost its last connection, whatever followed; sorted
	last, secondLast time.Time   // when any two of them were heard last
	lastBy           *state
}

func (w *Watch) clusters() map[place]*cluster {
	all := map[place]*cluster{}
	for at, s := range w.agents {
		key := place{idc: at.idc, cluster: at.cluster}
		c := all[key]
		if c == nil {
			c = &cluster{}
			all[key] = c
		}
		heard := w.heard(s)
		if heard.After(c.last) {
			c.last, c.secondLast, c.lastBy = heard, c.last, s
		} else if heard.After(c.secondLast) {
			c.secondLast = heard
		}
		if s.left() || s.lost != "" {
			continue
		}
		c.alive++
		if sp := w.speaker(s); sp != nil && !sp.closedLast.IsZero() {
			c.closings = append(c.closings, sp.closedLast)
		}
	}
	for _, c := range all {
		slices.SortFunc(c.closings, time.Time.Compare)
	}
	return all
}

// alone tells whether a connection was the only one of the cluster that was closed about then, of several that are.
func (c *cluster) alone(closed time.Time) bool {
	first, _ := slices.BinarySearchFunc(c.closings, closed.Add(-burst), time.Time.Compare)
	return c.alive > 1 && (first+1 >= len(c.closings) || c.closings[first+1].Sub(closed) > burst)
}

// othersSince tells whether another agent than s was heard after a moment.
func (c *cluster) othersSince(s *state, moment time.Time) bool {
	if c.lastBy == s {
		return c.secondLast.After(moment)
	}
	return c.last.After(moment)
}

// judge decides on one agent.
func (w *Watch) judge(s *state, c *cluster, now time.Time) How {
	heard := w.heard(s)
	sp := w.speaker(s)
	switch {
	case s.left(), heard.IsZero(), sp != nil && sp.busy():
		return ""
	case s.lost != "" && !heard.After(s.last): // until it is heard again, or taken for removed
		if now.Sub(s.since) < mostLost {
			return s.lost
		}
		return ""
	case now.Sub(heard) > mostLost:
		return ""
	}
	if sp != nil && !sp.closed.IsZero() {
		due, sure := sp.closed.Add(restartGrace), true
		if !c.alone(sp.closed) { // perhaps for one cause: who lives speaks again when its samples are due
			due = latest(due, heard.Add(s.cadence()+lateGrace))
			sure = c.alive == 1 || c.othersSince(s, sp.closed)
		}
		if sure && !now.Before(due) {
			return Ended
		}
	}
	due := heard.Add(2*s.cadence() + lateGrace)
	if now.Before(due) || now.Before(w.from) || c.alive > 1 && !c.othersSince(s, due) {
		return ""
	}
	return Silent
}

// speaker is the agent as its requests show it, nil when they show nothing.
func (w *Watch) speaker(s *state) *speaker {
	if s.Name == "" {
		return nil
	}
	return w.speakers[s.Name]
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func lostDesc() *prometheus.Desc {
	return prometheus.NewDesc("plimsoll_collector_agent_lost", "1 while this agent is lost: its process ended without a word and is not back, or its samples are overdue while others of its cluster are heard.", []string{"idc", "cluster", "node", "how"}, nil)
}

// Describe implements prometheus.Collector.
func (w *Watch) Describe(to chan<- *prometheus.Desc) { to <- lostDesc() }

// Collect implements prometheus.Collector.
func (w *Watch) Collect(to chan<- prometheus.Metric) {
	w.mu.Lock()
	defer w.mu.Unlock()
	desc := lostDesc()
	for at, s := range w.agents {
		for _, how := range []How{Ended, Silent} {
			value := 0.0
			if s.lost == how {
				value = 1
			}
			to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, at.idc, at.cluster, at.node, string(how))
		}
	}
}
