package ingest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/collector/internal/journal"
)

// An agent names its spool and numbers the batches in it from 1. First is the lowest number that it may still send to this
// receiver: what is below and did not come will not come.
const (
	agentHeader    = "X-Plimsoll-Agent"
	sequenceHeader = "X-Plimsoll-Sequence"
	firstHeader    = "X-Plimsoll-First-Sequence"
	// runHeader tells one start of the agent from others.
	runHeader = "X-Plimsoll-Run"

	mostAgentBytes = 64
)

// sequence reads the headers; all are empty when one of them makes no sense.
func sequence(h http.Header) (agent string, number, first uint64) {
	agent = h.Get(agentHeader)
	number, err := strconv.ParseUint(h.Get(sequenceHeader), 10, 63)
	first, errFirst := strconv.ParseUint(h.Get(firstHeader), 10, 63)
	if err != nil || errFirst != nil || first < 1 || first > number || !isAgentName(agent) {
		return "", 0, 0
	}
	return agent, number, first
}

func isAgentName(s string) bool {
	return s != "" && len(s) <= mostAgentBytes && isName("_"+strings.ReplaceAll(s, "-", "_"), false)
}

// run reads the header of that name; empty when it makes no sense.
func run(h http.Header) string {
	if name := h.Get(runHeader); isAgentName(name) {
		return name
	}
	return ""
}

// Deliveries is what has come of the batches of a node's agent.
type Deliveries struct {
	// Agent is the name of the spool; it changes when the agent lost its disk.
	Agent        string `json:"agent_id,omitempty"`
	AgentChanges uint64 `json:"agent_changes"`
	// AgentConflicts counts how often one of the Former names came back, newest last: two agents write under one node name. And how often the
	// name came back from another node, or from an earlier run of the agent: two agents write under one agent's name.
	AgentConflicts uint64   `json:"agent_conflicts"`
	Former         []string `json:"former_agent_ids,omitempty"`
	// LastSequence is the highest number received.
	LastSequence uint64 `json:"last_seq"`
	// Gaps are the numbers below it that did not come yet, as ranges from low to high.
	Gaps [][2]uint64 `json:"gaps,omitempty"`
	// Missing counts those that will not come, Repeated those that came again.
	Missing  uint64 `json:"missing_batches"`
	Repeated uint64 `json:"repeated_batches"`

	lentTo NodeID // the node that the agent's name came with after it had come with this one

	run        string   // of the newest batch
	formerRuns []string // newest last
}

// mostGaps bounds the ranges kept of a node. The two oldest become one when there are more, with what came between them
// counted as late too.
const mostGaps = 64

// mostFormer bounds the names kept of a node, and so how many agents under one node name are told from one that starts anew again and again.
const mostFormer = 4

// late is how many batches are still to come.
func (d *Deliveries) late() uint64 {
	var n uint64
	for _, gap := range d.Gaps {
		n += gap[1] - gap[0] + 1
	}
	return n
}

// received notes one batch.
func (d *Deliveries) received(agent string, number, first uint64) {
	if d.Agent != agent {
		d.succeeded(agent)
		d.Agent, d.LastSequence, d.Gaps = agent, first-1, nil
	}
	// The slice may be shared with a copy that was handed out, so a changed one is a new one.
	var gaps [][2]uint64
	switch {
	case number > d.LastSequence+1:
		gaps = append(append(gaps, d.Gaps...), [2]uint64{d.LastSequence + 1, number - 1})
		d.LastSequence = number
	case number == d.LastSequence+1:
		gaps = d.Gaps
		d.LastSequence = number
	default:
		gaps = d.fill(number)
	}
	for len(gaps) > 0 && gaps[0][0] < first {
		lost := min(gaps[0][1], first-1)
		d.Missing += lost - gaps[0][0] + 1
		rest := [2]uint64{lost + 1, gaps[0][1]}
		gaps = gaps[1:]
		if rest[0] <= rest[1] {
			gaps = append([][2]uint64{rest}, gaps...)
		}
	}
	if len(gaps) > mostGaps {
		gaps = append([][2]uint64{{gaps[0][0], gaps[1][1]}}, gaps[2:]...)
	}
	d.Gaps = gaps
}

// rivals notes which run of the agent speaks. It reports whether that one had been succeeded by another before: both live.
func (d *Deliveries) rivals(run string) bool {
	if run == "" || run == d.run {
		return false
	}
	back := slices.Contains(d.formerRuns, run)
	if d.run != "" {
		d.formerRuns = push(d.formerRuns, d.run, run)
	}
	d.run = strings.Clone(run)
	return back
}

// push returns the names with one more and without the one that is in use now.
func push(names []string, name, used string) []string {
	names = append(slices.DeleteFunc(slices.Clone(names), func(one string) bool { return one == used }), name)
	return names[max(0, len(names)-mostFormer):]
}

// succeeded notes that another agent speaks for the node. One that spoke for it before has not lost its disk, and the other one lives.
func (d *Deliveries) succeeded(by string) {
	switch {
	case d.Agent == "":
		return
	case slices.Contains(d.Former, by):
		d.AgentConflicts++
	default:
		d.AgentChanges++
		d.Missing += d.late()
	}
	d.Former = push(d.Former, d.Agent, by)
}

// fill returns the gaps without number.
func (d *Deliveries) fill(number uint64) [][2]uint64 {
	for i, gap := range d.Gaps {
		if number < gap[0] || number > gap[1] {
			continue
		}
		gaps := append([][2]uint64(nil), d.Gaps[:i]...)
		if gap[0] < number {
			gaps = append(gaps, [2]uint64{gap[0], number - 1})
		}
		if number < gap[1] {
			gaps = append(gaps, [2]uint64{number + 1, gap[1]})
		}
		return append(gaps, d.Gaps[i+1:]...)
	}
	d.Repeated++
	return d.Gaps
}

// deliver notes a batch of a node. The presence metric in it says whose it is, or an earlier batch of the agent did.
func (n *Nodes) deliver(id NodeID, known bool, batch journal.Batch) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !known {
		if id, known = n.byAgent[batch.Agent]; !known {
			return
		}
	}
	node, known := n.table[id]
	if !known {
		return
	}
	before := node.Agent
	missing, conflicts := node.Missing, node.AgentConflicts
	if holder, held := n.byAgent[batch.Agent]; before == batch.Agent && holder != node.NodeID {
		if held && node.lentTo == holder { // an agent that has moved does not come back
			node.AgentConflicts++
		}
		n.lend(node)
	}
	if node.rivals(batch.Run) && before == batch.Agent {
		node.AgentConflicts++
	}
	node.received(batch.Agent, batch.Sequence, batch.First)
	if node.Agent != before {
		node.Agent = strings.Clone(node.Agent)
		if n.byAgent[before] == node.NodeID {
			delete(n.byAgent, before)
		}
		n.lend(node)
		if before != "" && node.AgentConflicts == conflicts { // of a conflict an alert tells, not a line a batch
			n.log.Warn("the agent of a node starts anew, as after a reinstallation", "idc", id.IDC, "cluster", id.Cluster, "node", id.Node)
		}
	}
	if lost := node.Missing - missing; lost > 0 {
		n.log.Warn("batches of an agent will not come", "idc", id.IDC, "cluster", id.Cluster, "node", id.Node, "batches", lost)
	}
	n.table[node.NodeID] = node
}

// lend gives the name of a node's agent to that node. The one that had it may still use it.
func (n *Nodes) lend(to Node) {
	if holder, known := n.table[n.byAgent[to.Agent]]; known && holder.NodeID != to.NodeID && holder.Agent == to.Agent {
		holder.lentTo = to.NodeID
		n.table[holder.NodeID] = holder
	}
	n.byAgent[to.Agent] = to.NodeID
}
