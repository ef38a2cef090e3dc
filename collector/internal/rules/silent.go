package rules

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert/datasource"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert/notifier"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert/rule"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/VictoriaMetrics/metricsql"
)

// Nothing is known of the containers of an agent that is silent. What the last samples said stays visible for five minutes and
// then is gone, so without care alerts would fire on what stands still, and end for want of data. Hence, while an agent is
// silent, or known to be lost, the alerts of its node neither fire nor end, for holdSilent at the most; AgentLost, NodeLost, AgentAbsent
// and ClusterTelemetryLost tell of the silence. Rules that look at what the collector itself measures are not touched: that goes on.
const (
	silentAfter   = 60 * time.Second
	silentRefresh = 10 * time.Second
	// silentSettle is how long after start agents are given to be heard again before they are taken for silent.
	silentSettle = silentAfter + 30*time.Second
	holdSilent   = time.Hour
	// ownPrefix begins the names of what the collector measures.
	ownPrefix = "plimsoll_collector_"
	// silences is the time in seconds since each known agent was heard.
	silences = `time() - max by (idc, cluster, node) (plimsoll_collector_agent_last_received_timestamp_seconds)`
	// lost are the agents that are lost for sure, which is known within seconds.
	lost = `max by (idc, cluster, node) (plimsoll_collector_agent_lost) == 1`
)

type node struct{ idc, cluster, name string }

// silence knows which agents are silent. It is for concurrent use; nil knows of none.
type silence struct {
	query QueryFunc

	mu    sync.Mutex
	from  time.Time // nobody is silent before, unless it is known to be lost
	at    time.Time // when asked last
	nodes map[node]bool
	half  map[node]bool // clusters, without name, of which more than half is silent
}

// begin notes when the collector began to listen.
func (s *silence) begin(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from = now.Add(silentSettle)
}

// covers tells whether what has these labels belongs to an agent, or a cluster, that is silent.
func (s *silence) covers(ctx context.Context, labels []prompb.Label, now time.Time) bool {
	if s == nil {
		return false
	}
	var n node
	for _, l := range labels {
		switch l.Name {
		case "idc":
			n.idc = l.Value
		case "cluster":
			n.cluster = l.Value
		case "node":
			n.name = l.Value
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at.IsZero() || now.Sub(s.at) >= silentRefresh {
		s.refresh(ctx, now)
	}
	if n.name == "" {
		return s.half[n]
	}
	return s.nodes[n]
}

func (s *silence) refresh(ctx context.Context, now time.Time) {
	s.at = now
	heard, err := s.query(ctx, silences, now)
	if err != nil {
		return // what was known stays
	}
	gone, err := s.query(ctx, lost, now)
	if err != nil {
		return
	}
	s.nodes, s.half = map[node]bool{}, map[node]bool{}
	for _, one := range gone {
		s.nodes[nodeOf(one.Labels)] = true
	}
	known, silent := map[node]int{}, map[node]int{}
	for _, one := range heard {
		if len(one.Values) == 0 {
			continue
		}
		n := nodeOf(one.Labels)
		cluster := node{idc: n.idc, cluster: n.cluster}
		known[cluster]++
		if one.Values[len(one.Values)-1] > silentAfter.Seconds() && !now.Before(s.from) {
			s.nodes[n] = true
		}
		if s.nodes[n] {
			silent[cluster]++
		}
	}
	for cluster, n := range silent {
		s.half[cluster] = 2*n > known[cluster]
	}
}

func nodeOf(labels []prompb.Label) node {
	return node{labelOf(labels, "idc"), labelOf(labels, "cluster"), labelOf(labels, "node")}
}

func labelOf(labels []prompb.Label, name string) string {
	for _, l := range labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

// freezer keeps the results of one alert's expression as they were for silent agents.
type freezer struct {
	silence *silence
	last    map[string]held // what the expression yielded and what is held, by labels
}

type held struct {
	metric datasource.Metric
	since  time.Time // zero: it is still yielded
}

// freeze takes out of data what a silent agent's node has that does not fire, and puts back what does.
func (f *freezer) freeze(ctx context.Context, data []datasource.Metric, fires func(labels []prompb.Label) bool, now time.Time) []datasource.Metric {
	kept := data[:0:0]
	next := map[string]held{}
	for _, m := range data {
		if f.silence.covers(ctx, m.Labels, now) && !fires(m.Labels) {
			continue
		}
		kept = append(kept, m)
		next[labelKey(m.Labels)] = held{metric: m}
	}
	for key, before := range f.last {
		if _, there := next[key]; there || !f.silence.covers(ctx, before.metric.Labels, now) || !fires(before.metric.Labels) {
			continue
		}
		if before.since.IsZero() {
			before.since = now
		}
		if now.Sub(before.since) < holdSilent {
			before.metric.Timestamps = []int64{now.Unix()}
			kept = append(kept, before.metric)
			next[key] = before
		}
	}
	f.last = next
	return kept
}

func labelKey(labels []prompb.Label) string {
	flat := make([]string, len(labels))
	for i, l := range labels {
		flat[i] = l.Name + "\xff" + l.Value
	}
	slices.Sort(flat)
	return strings.Join(flat, "\xfe")
}

// firing tells whether an alert of r whose labels include the given ones fires. A label without a value is none.
func firing(r *rule.AlertingRule, labels []prompb.Label) bool {
	for _, a := range r.GetAlerts() {
		if a.State == notifier.StateFiring && !slices.ContainsFunc(labels, func(l prompb.Label) bool {
			return l.Name != "__name__" && a.Labels[l.Name] != l.Value
		}) {
			return true
		}
	}
	return false
}

// ownInputs tells for which expressions of defs the collector's own metrics matter, also through what is recorded.
func ownInputs(defs []definition) func(expr string) bool {
	records := map[string][]string{}
	for _, d := range defs {
		for _, r := range d.Rules {
			if r.Record != "" {
				records[r.Record] = append(records[r.Record], r.Expr)
			}
		}
	}
	var own func(expr string, depth int) bool
	own = func(expr string, depth int) bool {
		found := false
		metricsql.VisitAll(parsed(expr), func(e metricsql.Expr) {
			selector, ok := e.(*metricsql.MetricExpr)
			if !ok || found {
				return
			}
			name := metricName(selector)
			found = strings.HasPrefix(name, ownPrefix) || depth < mostRecords && slices.ContainsFunc(records[name], func(made string) bool { return own(made, depth+1) })
		})
		return found
	}
	return func(expr string) bool { return own(expr, 0) }
}
