package ingest

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// agentWords names an agent for a message.
func agentWords(id NodeID) string {
	switch {
	case id == NodeID{Node: others}:
		return "all agents beyond --limit.nodes together"
	case id.Node == "":
		return fmt.Sprintf("what comes from idc %q cluster %q without a node", id.IDC, id.Cluster)
	}
	return fmt.Sprintf("the agent of node %q in idc %q cluster %q", id.Node, id.IDC, id.Cluster)
}

func projectWords(name string) string {
	if name == others {
		return "all projects beyond --limit.nodes together"
	}
	return fmt.Sprintf("project %q", name)
}

// largest names the agent and the project with most series. The lock of the owners is held.
func (c *Census) largest() string {
	most := 0
	for at := range c.agents.list {
		if c.agents.list[at].series > c.agents.list[most].series {
			most = at
		}
	}
	words := fmt.Sprintf("%s with %d", agentWords(c.agents.list[most].name), c.agents.list[most].series)
	most = 0
	for at := range c.projects.list {
		if c.projects.list[at].series > c.projects.list[most].series {
			most = at
		}
	}
	if c.projects.list[most].series > 0 {
		words += fmt.Sprintf(", and %s with %d", projectWords(c.projects.list[most].name), c.projects.list[most].series)
	}
	return words
}

// Usage is how many series an agent has, and how many samples of further ones were refused since it has any.
type Usage struct {
	Series      int    `json:"series"`
	SeriesLimit int    `json:"series_limit"`
	Refused     uint64 `json:"samples_over_series_limit"`
}

// Agent is the usage of one agent.
func (c *Census) Agent(id NodeID) Usage {
	u := Usage{SeriesLimit: c.cfg.AgentSeries}
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, known := c.agents.place[id]; known {
		u.Series, u.Refused = c.agents.list[at].series, c.agents.list[at].refused
	}
	return u
}

type censusDescs struct{ total, limit, agent, project, agentRefused, projectRefused *prometheus.Desc }

func newCensusDescs() censusDescs {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("plimsoll_collector_"+name, help, labels, nil)
	}
	return censusDescs{
		total:          desc("series", "Distinct series that got samples by remote write within an hour."),
		limit:          desc("series_limit", "Most distinct series within an hour, of one agent (--limit.agent-series), one project (--limit.project-series) and all together (--limit.series).", "scope"),
		agent:          desc("agent_series", "Distinct series of one agent within an hour; node is empty for what comes without one.", "idc", "cluster", "node"),
		project:        desc("project_series", "Distinct series of one project within an hour.", "project"),
		agentRefused:   desc("agent_series_refused_samples_total", "Samples of this agent's new series that were not stored because a cap of series was reached.", "idc", "cluster", "node"),
		projectRefused: desc("project_series_refused_samples_total", "Samples of this project's new series that were not stored because a cap of series was reached.", "project"),
	}
}

// Describe implements prometheus.Collector.
func (c *Census) Describe(ch chan<- *prometheus.Desc) {
	d := newCensusDescs()
	for _, desc := range []*prometheus.Desc{d.total, d.limit, d.agent, d.project, d.agentRefused, d.projectRefused} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *Census) Collect(ch chan<- prometheus.Metric) {
	c.sweep(c.minute()) // nobody may write any more
	d := newCensusDescs()
	gauge := func(desc *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(v), labels...)
	}
	counter := func(desc *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(d.total, int(c.total.Load()))
	gauge(d.limit, c.cfg.AgentSeries, "agent")
	gauge(d.limit, c.cfg.ProjectSeries, "project")
	gauge(d.limit, c.cfg.Series, "total")
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.agents.list {
		if o.series > 0 {
			gauge(d.agent, o.series, o.name.IDC, o.name.Cluster, o.name.Node)
			counter(d.agentRefused, o.refused, o.name.IDC, o.name.Cluster, o.name.Node)
		}
	}
	for _, o := range c.projects.list {
		if o.series > 0 {
			gauge(d.project, o.series, o.name)
			counter(d.projectRefused, o.refused, o.name)
		}
	}
}
