// Package roster knows which nodes should have an agent, and which of them have none.
//
// It is told by those who know the nodes: the agent that is elected in a Kubernetes cluster, the agent beside the leading manager of a
// Swarm, and a list in a file. An agent that has fallen silent is not its matter: the table of nodes knows that one.
package roster

import (
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/collector/internal/ingest"
)

// source is who says that a node should have an agent.
type source string

const (
	byKubernetes source = "kubernetes"
	bySwarm      source = "swarm"
	byList       source = "list"
)

func sources() []source { return []source{byKubernetes, bySwarm, byList} }

// Config of the roster. Nodes is required.
type Config struct {
	// File lists nodes that should have an agent. Empty: none are listed.
	File string
	// Nodes tells the agents that are known.
	Nodes func() []ingest.Node
	// Most bounds the nodes that are expected; more are left out and counted. Default 10,000.
	Most int
	// Keep is how long a cluster's word is good: its agent says it again every interval. Default 10 minutes.
	Keep time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// node is one that should have an agent. Of a listed one idc and cluster may be empty, which is any.
type node struct {
	ingest.NodeID
	by source
}

// Roster is what is expected, as plimsoll_collector_agents_expected and plimsoll_collector_agent_missing.
type Roster struct {
	cfg     Config
	log     *slog.Logger
	refused prometheus.Counter

	mu     sync.Mutex
	listed []node
	told   map[node]*time.Time // when it was last said
}

// Open reads the file. The error names file and line.
func Open(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Roster, error) {
	if cfg.Most == 0 {
		cfg.Most = 10_000
	}
	if cfg.Keep == 0 {
		cfg.Keep = 10 * time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Roster{cfg: cfg, log: log, told: map[node]*time.Time{}, refused: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "plimsoll_collector_agents_expected_refused_total", Help: "Words of clusters about nodes left out because the limit of nodes was reached."})}
	if err := r.Reload(); err != nil {
		return nil, err
	}
	reg.MustRegister(r.refused, r)
	return r, nil
}

// Reload reads the file again. After an error the list of before stays.
func (r *Roster) Reload() error {
	if r.cfg.File == "" {
		return nil
	}
	listed, err := Read(r.cfg.File, r.cfg.Most)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listed = r.listed[:0]
	for _, id := range listed {
		r.listed = append(r.listed, node{id, byList})
	}
	return nil
}

// Observe takes what clusters say of their nodes among tss. A node that is not ready is not expected: its own alerts tell of it. It
// keeps none of the series' memory.
func (r *Roster) Observe(tss []prompb.TimeSeries) {
	for i := range tss {
		if n, ready, ok := told(&tss[i]); ok {
			r.note(n, ready)
		}
	}
}

// told reads a node off a series of its readiness.
func told(ts *prompb.TimeSeries) (n node, ready, ok bool) {
	for _, l := range ts.Labels {
		switch l.Name {
		case "__name__":
			switch l.Value {
			case "kube_node_status_condition":
				n.by = byKubernetes
			case "swarm_node_ready":
				n.by = bySwarm
			default:
				return n, false, false
			}
		case "condition":
			if l.Value != "Ready" {
				return n, false, false
			}
		case "status":
			if l.Value != "true" {
				return n, false, false
			}
		case "idc":
			n.IDC = l.Value
		case "cluster":
			n.Cluster = l.Value
		case "node":
			n.Node = l.Value
		}
	}
	if n.by == "" || n.Node == "" || len(ts.Samples) == 0 {
		return n, false, false
	}
	return n, ts.Samples[len(ts.Samples)-1].Value == 1, true // a stale marker is no 1
}

func (r *Roster) note(n node, ready bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	said, known := r.told[n]
	now := r.cfg.Now()
	switch {
	case !ready:
		delete(r.told, n)
	case known:
		*said = now // an assignment to the map would put n's strings into it
	case len(r.told)+len(r.listed) >= r.cfg.Most:
		r.refused.Inc()
	default:
		// The strings point into the request's body, hence the clones.
		n.IDC, n.Cluster, n.Node = strings.Clone(n.IDC), strings.Clone(n.Cluster), strings.Clone(n.Node)
		r.told[n] = &now
	}
}

// expected lists what is expected now and forgets what was not said again.
func (r *Roster) expected() []node {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := append([]node(nil), r.listed...)
	for n, said := range r.told {
		if r.cfg.Now().Sub(*said) > r.cfg.Keep {
			delete(r.told, n)
			continue
		}
		all = append(all, n)
	}
	return all
}

// present answers which nodes have an agent that ever wrote.
type present map[ingest.NodeID]bool

// presentOf notes each agent under all that a list may leave out. A cluster's word comes with the idc of the agent that says it, which
// need not be that of the node, so it is compared without.
func presentOf(nodes []ingest.Node) present {
	p := make(present, 4*len(nodes))
	for _, n := range nodes {
		for _, id := range [...]ingest.NodeID{n.NodeID, {Cluster: n.Cluster, Node: n.Node}, {IDC: n.IDC, Node: n.Node}, {Node: n.Node}} {
			p[id] = true
		}
	}
	return p
}

func (p present) has(n node) bool {
	id := n.NodeID
	if n.by != byList {
		id.IDC = ""
	}
	return p[id]
}

func descs() (expected, missing *prometheus.Desc) {
	return prometheus.NewDesc("plimsoll_collector_agents_expected", "Nodes that should have an agent, by who says so.", []string{"source"}, nil),
		prometheus.NewDesc("plimsoll_collector_agent_missing", "1 for each node that should have an agent and from which none ever wrote.", []string{"idc", "cluster", "node", "source"}, nil)
}

// Describe implements prometheus.Collector.
func (r *Roster) Describe(ch chan<- *prometheus.Desc) {
	expected, missing := descs()
	ch <- expected
	ch <- missing
}

// Collect implements prometheus.Collector.
func (r *Roster) Collect(ch chan<- prometheus.Metric) {
	all, agents := r.expected(), presentOf(r.cfg.Nodes())
	expected, missing := descs()
	count := map[source]int{}
	for _, n := range all {
		count[n.by]++
		if !agents.has(n) {
			ch <- prometheus.MustNewConstMetric(missing, prometheus.GaugeValue, 1, n.IDC, n.Cluster, n.Node, string(n.by))
		}
	}
	for _, by := range sources() {
		ch <- prometheus.MustNewConstMetric(expected, prometheus.GaugeValue, float64(count[by]), string(by))
	}
}
