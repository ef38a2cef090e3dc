package ingest

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// sentHeader is the agent's clock when it sent the batch, in milliseconds since 1970. A sample's own time would not do: it may have
// waited in the spool.
const sentHeader = "X-Plimsoll-Sent"

// Clock is how an agent's clock compares with the collector's.
type Clock struct {
	// SkewSeconds is by how much the agent's clock was ahead when its newest batch came; the way here is in it.
	SkewSeconds float64 `json:"clock_skew_seconds"`
	known       bool    // since the collector's start
}

// compareClock notes the clock of the agent whose request came at a moment. Samples too far in the future are refused, but this is noted.
func (n *Nodes) compareClock(agent string, h http.Header, came time.Time) {
	sentMillis, err := strconv.ParseInt(h.Get(sentHeader), 10, 64)
	if err != nil || agent == "" {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	id, known := n.byAgent[agent]
	node, listed := n.table[id]
	if !known || !listed {
		return
	}
	node.Clock = Clock{SkewSeconds: float64(sentMillis-came.UnixMilli()) / 1000, known: true}
	n.table[id] = node
}

func clockSkewDesc() *prometheus.Desc {
	return prometheus.NewDesc("plimsoll_collector_agent_clock_skew_seconds", "By how much the clock of this agent is ahead of the collector's; less than 0 when it is behind.", []string{"idc", "cluster", "node"}, nil)
}

func collectClocks(nodes []Node, ch chan<- prometheus.Metric) {
	desc := clockSkewDesc()
	for i := range nodes {
		if node := &nodes[i]; node.Clock.known {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, node.SkewSeconds, node.IDC, node.Cluster, node.Node)
		}
	}
}
