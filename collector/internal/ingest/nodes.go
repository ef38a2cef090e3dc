package ingest

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/wire"
	"github.com/plimsoll/plimsoll/collector/internal/journal"
)

// presenceMetric is the series by which an agent is known; every agent ships it each interval.
const presenceMetric = "plimsoll_agent_build_info"

// NodeID is what tells one agent from another.
type NodeID struct {
	IDC     string `json:"idc"`
	Cluster string `json:"cluster"`
	Node    string `json:"node"`
}

// Node is what the collector knows of an agent.
type Node struct {
	NodeID
	AgentVersion string    `json:"agent_version"`
	LastReceived time.Time `json:"last_received"`
	// NewestSample is the timestamp of the newest sample of the presence metric; its age is the node's lag.
	NewestSample time.Time `json:"newest_sample"`
	// Left is the timestamp with which the agent ended its presence metric, as it does when it is told to stop. What is newer
	// means that it is back. Zero: it never did.
	Left time.Time `json:"left,omitzero"`
	// Token is the name of the token that told of the node last. It is kept in the file and shown to nobody.
	Token string `json:"token,omitempty"`
	Deliveries
	Clock
}

// lagSeconds is how old the newest sample is, 0 when the node's clock is ahead or nothing is known.
func (n *Node) lagSeconds(now time.Time) float64 {
	if n.NewestSample.IsZero() {
		return 0
	}
	return max(0, now.Sub(n.NewestSample).Seconds())
}

// NodesConfig of the table.
type NodesConfig struct {
	// File keeps the table over a restart, so that an agent that fell silent meanwhile is still missed. Empty: not kept.
	File string
	// Most bounds the table; a new agent then takes the place of the one silent longest. Default 10,000.
	Most int
	// ForgetAfter drops an agent silent this long. Default 7 days.
	ForgetAfter time.Duration
	// Census knows how many series each agent has. nil: that is not told.
	Census *Census
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Nodes is the table of agents that ever wrote, as plimsoll_collector_agent_last_received_timestamp_seconds and as JSON.
type Nodes struct {
	cfg       NodesConfig
	log       *slog.Logger
	forgotten *prometheus.CounterVec
	// disownedTotal counts batches with the name of another token's agent.
	disownedTotal prometheus.Counter

	mu      sync.Mutex
	table   map[NodeID]Node
	byAgent map[string]NodeID // of the deliveries' agents
}

// OpenNodes reads the table of the run before. A file that can not be read is reported and costs the memory, not the start.
func OpenNodes(cfg NodesConfig, log *slog.Logger, reg prometheus.Registerer) *Nodes {
	fill(&cfg.Most, 10_000)
	fill(&cfg.ForgetAfter, 7*24*time.Hour)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	n := &Nodes{cfg: cfg, log: log, table: map[NodeID]Node{}, byAgent: map[string]NodeID{}, forgotten: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "plimsoll_collector_nodes_forgotten_total", Help: "Agents dropped from the table of nodes: silent too long, or the table full."}, []string{"reason"}),
		disownedTotal: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plimsoll_collector_foreign_agent_batches_total", Help: "Batches with the agent's name of a node that another token writes; their samples are stored, their numbers count for nobody."})}
	n.forgotten.WithLabelValues("silent")
	n.forgotten.WithLabelValues("table_full")
	if err := n.load(); err != nil {
		log.Warn("the table of nodes starts empty", "error", err)
	}
	reg.MustRegister(n.forgotten, n.disownedTotal, n)
	return n
}

// observe notes the agents whose presence metric is among tss, and the batch of the agent that says who it is. It keeps
// none of their memory. token is whose it is, empty when that is not known.
func (n *Nodes) observe(tss []prompb.TimeSeries, batch journal.Batch, token string) {
	var from NodeID
	known := false
	for i := range tss {
		id, version, sample, ok := presence(&tss[i])
		switch at := time.UnixMilli(sample.Timestamp); {
		case !ok:
		case wire.IsStale(sample.Value):
			n.noteLeft(id, at)
		default:
			n.note(id, version, token, batch.Received, at)
			from, known = id, true
		}
	}
	if batch.Agent != "" {
		n.deliver(from, known, batch)
	}
}

// presence is the agent and the newest sample of its presence metric.
func presence(ts *prompb.TimeSeries) (id NodeID, version string, newest prompb.Sample, ok bool) {
	for _, l := range ts.Labels {
		switch l.Name {
		case "__name__":
			if l.Value != presenceMetric {
				return id, "", newest, false
			}
			ok = true
		case "idc":
			id.IDC = l.Value
		case "cluster":
			id.Cluster = l.Value
		case "node":
			id.Node = l.Value
		case "version":
			version = l.Value
		}
	}
	last := len(ts.Samples) - 1
	if !ok || id.Node == "" || last < 0 {
		return id, "", newest, false
	}
	return id, version, ts.Samples[last], true
}

// noteLeft notes that an agent ended its presence metric, because it stops or has another place or version from now on.
func (n *Nodes) noteLeft(id NodeID, at time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if node, known := n.table[id]; known && at.After(node.Left) {
		node.Left = at
		n.table[node.NodeID] = node
	}
}

func (n *Nodes) note(id NodeID, version, token string, now, newest time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	node, known := n.table[id]
	if !known {
		// The strings point into the request's body, hence the clones.
		node.NodeID = NodeID{IDC: strings.Clone(id.IDC), Cluster: strings.Clone(id.Cluster), Node: strings.Clone(id.Node)}
		n.makeRoom(now)
		n.log.Info("node appeared", "idc", id.IDC, "cluster", id.Cluster, "node", id.Node, "agent_version", version)
	}
	if node.AgentVersion != version {
		node.AgentVersion = strings.Clone(version)
	}
	if token != "" {
		node.Token = token
	}
	if now.After(node.LastReceived) {
		node.LastReceived = now
	}
	if newest.After(node.NewestSample) {
		node.NewestSample = newest
	}
	n.table[node.NodeID] = node
}

func (n *Nodes) makeRoom(now time.Time) {
	n.forgetSilent(now)
	if len(n.table) < n.cfg.Most {
		return
	}
	oldest := slices.MinFunc(slices.Collect(maps.Values(n.table)), func(a, b Node) int { return a.LastReceived.Compare(b.LastReceived) })
	n.forget(oldest)
	n.forgotten.WithLabelValues("table_full").Inc()
	n.log.Warn("the table of nodes is full", "limit.nodes", n.cfg.Most, "forgotten", oldest.Node)
}

func (n *Nodes) forgetSilent(now time.Time) {
	for _, node := range n.table {
		if now.Sub(node.LastReceived) > n.cfg.ForgetAfter {
			n.forget(node)
			n.forgotten.WithLabelValues("silent").Inc()
		}
	}
}

// newest is when the last batch came of those the table knows of.
func (n *Nodes) newest() (last time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, node := range n.table {
		if node.LastReceived.After(last) {
			last = node.LastReceived
		}
	}
	return last
}

func (n *Nodes) forget(node Node) {
	delete(n.table, node.NodeID)
	delete(n.byAgent, node.Agent)
}

// List returns the table sorted by idc, cluster and node.
func (n *Nodes) List() []Node {
	n.mu.Lock()
	n.forgetSilent(n.cfg.Now())
	nodes := slices.AppendSeq(make([]Node, 0, len(n.table)), maps.Values(n.table))
	n.mu.Unlock()
	slices.SortFunc(nodes, func(a, b Node) int {
		return cmp.Or(cmp.Compare(a.IDC, b.IDC), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Node, b.Node))
	})
	return nodes
}
