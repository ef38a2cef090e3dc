package ingest

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/wire"
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
}

// NodesConfig of the table.
type NodesConfig struct {
	// File keeps the table over a restart, so that an agent that fell silent meanwhile is still missed. Empty: not kept.
	File string
	// Most bounds the table; a new agent then takes the place of the one silent longest. Default 10,000.
	Most int
	// ForgetAfter drops an agent silent this long. Default 7 days.
	ForgetAfter time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Nodes is the table of agents that ever wrote, as plimsoll_collector_agent_last_received_timestamp_seconds and as JSON.
type Nodes struct {
	cfg       NodesConfig
	log       *slog.Logger
	forgotten *prometheus.CounterVec

	mu    sync.Mutex
	table map[NodeID]Node
}

// OpenNodes reads the table of the run before. A file that can not be read is reported and costs the memory, not the start.
func OpenNodes(cfg NodesConfig, log *slog.Logger, reg prometheus.Registerer) *Nodes {
	fill(&cfg.Most, 10_000)
	fill(&cfg.ForgetAfter, 7*24*time.Hour)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	n := &Nodes{cfg: cfg, log: log, table: map[NodeID]Node{}, forgotten: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "plimsoll_collector_nodes_forgotten_total", Help: "Agents dropped from the table of nodes: silent too long, or the table full."}, []string{"reason"})}
	n.forgotten.WithLabelValues("silent")
	n.forgotten.WithLabelValues("table_full")
	if err := n.load(); err != nil {
		log.Warn("the table of nodes starts empty", "error", err)
	}
	reg.MustRegister(n.forgotten, n)
	return n
}

// observe notes the agents whose presence metric is among tss. It keeps none of its memory.
func (n *Nodes) observe(tss []prompb.TimeSeries, now time.Time) {
	for i := range tss {
		if id, version, ok := presence(&tss[i]); ok {
			n.note(id, version, now)
		}
	}
}

// presence is the agent of a live sample of the presence metric. A stale marker ends the series of an agent's former version.
func presence(ts *prompb.TimeSeries) (id NodeID, version string, ok bool) {
	for _, l := range ts.Labels {
		switch l.Name {
		case "__name__":
			if l.Value != presenceMetric {
				return id, "", false
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
	return id, version, ok && id.Node != "" && last >= 0 && !wire.IsStale(ts.Samples[last].Value)
}

func (n *Nodes) note(id NodeID, version string, now time.Time) {
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
	node.LastReceived = now
	n.table[node.NodeID] = node
}

func (n *Nodes) makeRoom(now time.Time) {
	n.forgetSilent(now)
	if len(n.table) < n.cfg.Most {
		return
	}
	oldest := slices.MinFunc(slices.Collect(maps.Values(n.table)), func(a, b Node) int { return a.LastReceived.Compare(b.LastReceived) })
	delete(n.table, oldest.NodeID)
	n.forgotten.WithLabelValues("table_full").Inc()
	n.log.Warn("the table of nodes is full", "limit.nodes", n.cfg.Most, "forgotten", oldest.Node)
}

func (n *Nodes) forgetSilent(now time.Time) {
	for id, node := range n.table {
		if now.Sub(node.LastReceived) > n.cfg.ForgetAfter {
			delete(n.table, id)
			n.forgotten.WithLabelValues("silent").Inc()
		}
	}
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

// ServeHTTP answers as the Prometheus API does, data being the list of nodes, times in RFC 3339.
func (n *Nodes) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(struct {
		Status string `json:"status"`
		Data   []Node `json:"data"`
	}{"success", n.List()})
}

func lastReceivedDesc() *prometheus.Desc {
	return prometheus.NewDesc("plimsoll_collector_agent_last_received_timestamp_seconds", "When the collector last received samples of this agent.",
		[]string{"idc", "cluster", "node"}, nil)
}

// Describe implements prometheus.Collector.
func (n *Nodes) Describe(ch chan<- *prometheus.Desc) { ch <- lastReceivedDesc() }

// Collect implements prometheus.Collector.
func (n *Nodes) Collect(ch chan<- prometheus.Metric) {
	desc := lastReceivedDesc()
	for _, node := range n.List() {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(node.LastReceived.UnixMilli())/1000, node.IDC, node.Cluster, node.Node)
	}
}
