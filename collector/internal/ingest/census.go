package ingest

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// censusWindow is how long a series counts after its last sample. So the caps bound both how many series there are at once
// and how many new ones an hour brings.
const censusWindow = time.Hour

// CensusConfig holds the caps: distinct series that may get samples within an hour. A zero field means its default.
type CensusConfig struct {
	// AgentSeries is the cap of one agent, told by the labels idc, cluster and node. Series without node count together for
	// their idc and cluster. Default 300,000: some 4,000 containers with all they have.
	AgentSeries int
	// ProjectSeries is the cap of one project. Default 1,000,000. Series without the label project have no such cap.
	ProjectSeries int
	// Series is the cap of all together. Default 3,000,000, of which this table takes about 150 MB.
	Series int
	// Owners bounds the agents and the projects told apart; those beyond share one cap and one name. Default 10,000.
	Owners int
	// File keeps the census over a restart. Empty: not kept.
	File string
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (c CensusConfig) withDefaults() CensusConfig {
	fill(&c.AgentSeries, 300_000)
	fill(&c.ProjectSeries, 1_000_000)
	fill(&c.Series, 3_000_000)
	fill(&c.Owners, 10_000)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Census counts the series of agents and projects, and refuses new ones past the caps. Series that are known go on, over a
// restart too.
type Census struct {
	cfg    CensusConfig
	log    *slog.Logger
	start  time.Time
	secret []byte

	shards  [64]censusShard
	total   atomic.Int64
	entered atomic.Uint64 // series so far

	savedEntered uint64 // of the file, as are the next; only Run and what it calls look at them
	savedAt      time.Time

	swept atomic.Int32 // the minute in which ended series were last looked for

	mu       sync.Mutex // of owners; taken for new and for ended series only
	agents   owners[NodeID]
	projects owners[string]
}

// censusShard holds the series whose hash ends alike.
type censusShard struct {
	mu     sync.Mutex
	series map[uint64]counted
}

// counted is one series. Times are whole minutes since the start of the census.
type counted struct {
	agent, project uint32 // where in owners.list
	seen           int32
}

// owner is an agent or a project.
type owner[K comparable] struct {
	name    K
	series  int
	refused uint64 // samples
}

// owners are told apart up to a number; place 0 is all others. The place of one that has nothing any more is given again.
type owners[K comparable] struct {
	list  []owner[K]
	place map[K]uint32
	free  []uint32
}

// others is the node, or the project, that stands for all beyond the number told apart.
const others = "(others)"

func newOwners[K comparable](others K) owners[K] {
	return owners[K]{list: []owner[K]{{name: others}}, place: map[K]uint32{}}
}

// of returns the place of name, which clone makes independent of the request's memory.
func (o *owners[K]) of(name K, most int, clone func(K) K) uint32 {
	if at, known := o.place[name]; known {
		return at
	}
	if len(o.place) >= most || name == o.list[0].name {
		return 0
	}
	name = clone(name)
	at := uint32(len(o.list))
	if last := len(o.free) - 1; last >= 0 {
		at, o.free = o.free[last], o.free[:last]
		o.list[at] = owner[K]{name: name}
	} else {
		o.list = append(o.list, owner[K]{name: name})
	}
	o.place[name] = at
	return at
}

// leave takes one series from the owner at a place.
func (o *owners[K]) leave(at uint32) {
	o.list[at].series--
	if o.list[at].series <= 0 && at != 0 {
		delete(o.place, o.list[at].name)
		o.list[at] = owner[K]{}
		o.free = append(o.free, at)
	}
}

// OpenCensus reads the census of the run before. A file that can not be read is reported and costs the memory, not the start.
func OpenCensus(cfg CensusConfig, log *slog.Logger, reg prometheus.Registerer) *Census {
	cfg = cfg.withDefaults()
	c := &Census{cfg: cfg, log: log, start: cfg.Now(), secret: newSecret(), agents: newOwners(NodeID{Node: others}), projects: newOwners(others)}
	for i := range c.shards {
		c.shards[i].series = map[uint64]counted{}
	}
	if err := c.load(); err != nil {
		log.Warn("the census of series starts empty", "error", err)
	}
	reg.MustRegister(c)
	return c
}

// admit moves the series that may be stored to the front of tss and returns them. The others are noted in out.
func (c *Census) admit(tss []prompb.TimeSeries, out *faults) []prompb.TimeSeries {
	minute := c.minute()
	c.sweep(minute)
	valid := tss[:0]
	for i := range tss {
		why, problem := c.count(tss[i].Labels, len(tss[i].Samples), minute)
		if why == "" {
			valid = append(valid, tss[i])
			continue
		}
		out.leaveOut(why, tss[i], problem)
	}
	return valid
}

// note counts what is stored whatever the caps say: a replay.
func (c *Census) note(tss []prompb.TimeSeries) {
	minute := c.minute()
	for i := range tss {
		hash := c.hash(tss[i].Labels)
		shard := &c.shards[hash%uint64(len(c.shards))]
		shard.mu.Lock()
		if _, known := shard.series[hash]; !known {
			c.mu.Lock()
			c.enter(shard, hash, tss[i].Labels, minute)
			c.mu.Unlock()
		}
		shard.mu.Unlock()
	}
}

func (c *Census) minute() int32 { return int32(c.cfg.Now().Sub(c.start) / time.Minute) }

// count notes that a series got samples, or says which cap keeps it out.
func (c *Census) count(labels []prompb.Label, samples int, minute int32) (reason, string) {
	hash := c.hash(labels)
	shard := &c.shards[hash%uint64(len(c.shards))]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if s, known := shard.series[hash]; known {
		if s.seen != minute {
			s.seen = minute
			shard.series[hash] = s
		}
		return "", ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	agent, project := c.ownersOf(labels)
	var why reason
	var problem string
	switch {
	case c.agents.list[agent].series >= c.cfg.AgentSeries:
		why, problem = reasonAgentSeries, fmt.Sprintf("%s has %d series within an hour, the most is %d (--limit.agent-series); new ones are not stored",
			agentWords(c.agents.list[agent].name), c.agents.list[agent].series, c.cfg.AgentSeries)
	case project != none && c.projects.list[project].series >= c.cfg.ProjectSeries:
		why, problem = reasonProjectSeries, fmt.Sprintf("%s has %d series within an hour, the most is %d (--limit.project-series); new ones are not stored",
			projectWords(c.projects.list[project].name), c.projects.list[project].series, c.cfg.ProjectSeries)
	case int(c.total.Load()) >= c.cfg.Series:
		why, problem = reasonSeries, fmt.Sprintf("there are %d series within an hour, the most is %d (--limit.series); new ones are not stored. Most has %s",
			c.total.Load(), c.cfg.Series, c.largest())
	default:
		c.enter(shard, hash, labels, minute)
		return "", ""
	}
	c.agents.list[agent].refused += uint64(samples)
	if project != none {
		c.projects.list[project].refused += uint64(samples)
	}
	c.leaveIfEmpty(agent, project)
	return why, problem
}

// none is the place of a project that a series does not have.
const none = ^uint32(0)

// enter adds a series. Both locks are held.
func (c *Census) enter(shard *censusShard, hash uint64, labels []prompb.Label, minute int32) {
	agent, project := c.ownersOf(labels)
	c.place(shard, hash, agent, project, minute)
}

func (c *Census) place(shard *censusShard, hash uint64, agent, project uint32, minute int32) {
	shard.series[hash] = counted{agent: agent, project: project, seen: minute}
	c.agents.list[agent].series++
	if project != none {
		c.projects.list[project].series++
	}
	c.total.Add(1)
	c.entered.Add(1)
}

// leaveIfEmpty gives back the places of owners that came with a refused series and have no other.
func (c *Census) leaveIfEmpty(agent, project uint32) {
	if agent != 0 && c.agents.list[agent].series == 0 {
		c.agents.leave(agent)
	}
	if project != none && project != 0 && c.projects.list[project].series == 0 {
		c.projects.leave(project)
	}
}

func (c *Census) ownersOf(labels []prompb.Label) (agent, project uint32) {
	var id NodeID
	var name string
	for _, l := range labels {
		switch l.Name {
		case "idc":
			id.IDC = l.Value
		case "cluster":
			id.Cluster = l.Value
		case "node":
			id.Node = l.Value
		case "project":
			name = l.Value
		}
	}
	agent = c.agents.of(id, c.cfg.Owners, func(n NodeID) NodeID {
		return NodeID{IDC: strings.Clone(n.IDC), Cluster: strings.Clone(n.Cluster), Node: strings.Clone(n.Node)}
	})
	return agent, c.projectOf(name)
}

func (c *Census) projectOf(name string) uint32 {
	if name == "" {
		return none
	}
	return c.projects.of(name, c.cfg.Owners, strings.Clone)
}

// sweepEvery is in minutes; looking at a million series takes some 30 ms.
const sweepEvery = 5

// sweep forgets the series that got no sample within the window, when it is time to look.
func (c *Census) sweep(minute int32) {
	last := c.swept.Load()
	if minute-last < sweepEvery || !c.swept.CompareAndSwap(last, minute) {
		return
	}
	for i := range c.shards {
		c.shards[i].mu.Lock()
		c.mu.Lock()
		for hash, s := range c.shards[i].series {
			if minute-s.seen > int32(censusWindow/time.Minute) {
				delete(c.shards[i].series, hash)
				c.agents.leave(s.agent)
				if s.project != none {
					c.projects.leave(s.project)
				}
				c.total.Add(-1)
			}
		}
		c.mu.Unlock()
		c.shards[i].mu.Unlock()
	}
}

// hash tells series apart. An empty value is an absent label; the order matters, and senders keep to one.
func (c *Census) hash(labels []prompb.Label) uint64 {
	var room [1 << 10]byte // on the stack; long label sets take memory
	key := append(room[:0], c.secret...)
	for _, l := range labels {
		if l.Value != "" {
			key = append(append(append(append(key, l.Name...), 0), l.Value...), 0)
		}
	}
	return xxhash.Sum64(key)
}
