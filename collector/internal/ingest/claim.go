package ingest

import (
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
)

// refusedAgentHeader answers a batch whose X-Plimsoll-Agent counts for nothing; its samples are stored all the same.
const refusedAgentHeader = "X-Plimsoll-Agent-Refused"

// Foreign tells whether an agent's name is that of a node which another token writes. A sender without a token writes where nobody is
// asked for one, and no name is foreign to it.
func (n *Nodes) Foreign(agent, token string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	id, known := n.byAgent[agent]
	if !known || token == "" {
		return false
	}
	owner := n.table[id].Token
	return owner != "" && owner != token
}

// disowned is Foreign for a batch: one that tells of the very node the name belongs to is written by who may write that node, as
// after its token was changed.
func (n *Nodes) disowned(agent, token string, tss []prompb.TimeSeries) bool {
	if agent == "" || !n.Foreign(agent, token) {
		return false
	}
	n.mu.Lock()
	holder := n.byAgent[agent]
	n.mu.Unlock()
	for i := range tss {
		if id, _, _, ok := presence(&tss[i]); ok && id == holder {
			return false
		}
	}
	n.disownedTotal.Inc()
	n.log.Debug("the agent's name of a batch is that of another token's node", "agent", agent, "token", token)
	return true
}
