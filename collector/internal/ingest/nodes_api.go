package ingest

import (
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// ServeHTTP answers as the Prometheus API does, data being the list of nodes, times in RFC 3339.
func (n *Nodes) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	type shown struct {
		Node
		LagSeconds  float64 `json:"lag_seconds"`
		LateBatches uint64  `json:"late_batches"`
		*Usage
	}
	now := n.cfg.Now()
	data := []shown{}
	for _, node := range n.List() {
		node.Token = ""
		one := shown{node, node.lagSeconds(now), node.late(), nil}
		if n.cfg.Census != nil {
			usage := n.cfg.Census.Agent(node.NodeID)
			one.Usage = &usage
		}
		data = append(data, one)
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(struct {
		Status string  `json:"status"`
		Data   []shown `json:"data"`
	}{"success", data})
}

// nodeMetrics are the figures told of each node.
func nodeMetrics() []nodeMetric {
	return []nodeMetric{
		{"last_received_timestamp_seconds", prometheus.GaugeValue, "When the collector last received samples of this agent.",
			func(node Node, _ float64) float64 { return float64(node.LastReceived.UnixMilli()) / 1000 }},
		{"lag_seconds", prometheus.GaugeValue, "Age of the newest sample of this agent.",
			func(_ Node, lag float64) float64 { return lag }},
		{"late_batches", prometheus.GaugeValue, "Batches of this agent that newer ones have overtaken and that are still to come.",
			func(node Node, _ float64) float64 { return float64(node.late()) }},
		{"missing_batches_total", prometheus.CounterValue, "Batches of this agent that will not come: dropped at the agent's bounds, refused, or lost with its disk.",
			func(node Node, _ float64) float64 { return float64(node.Missing) }},
		{"changes_total", prometheus.CounterValue, "How often this node's agent came back with an empty disk, as after a reinstallation.",
			func(node Node, _ float64) float64 { return float64(node.AgentChanges) }},
		{"conflicts_total", prometheus.CounterValue, "How often an agent of this node wrote after another one of the same node or agent name had: two agents that share one.",
			func(node Node, _ float64) float64 { return float64(node.AgentConflicts) }},
	}
}

type nodeMetric struct {
	name string
	kind prometheus.ValueType
	help string
	read func(node Node, lagSeconds float64) float64
}

func (m nodeMetric) desc() *prometheus.Desc {
	return prometheus.NewDesc("plimsoll_collector_agent_"+m.name, m.help, []string{"idc", "cluster", "node"}, nil)
}

// Describe implements prometheus.Collector.
func (n *Nodes) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range nodeMetrics() {
		ch <- m.desc()
	}
	ch <- clockSkewDesc()
}

// Collect implements prometheus.Collector.
func (n *Nodes) Collect(ch chan<- prometheus.Metric) {
	nodes, now := n.List(), n.cfg.Now()
	for _, m := range nodeMetrics() {
		desc := m.desc()
		for i := range nodes {
			node := &nodes[i]
			ch <- prometheus.MustNewConstMetric(desc, m.kind, m.read(*node, node.lagSeconds(now)), node.IDC, node.Cluster, node.Node)
		}
	}
	collectClocks(nodes, ch)
}
