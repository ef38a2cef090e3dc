package main

import "github.com/plimsoll/plimsoll/dashboards/internal/board"

const (
	fromAgents    = site + `, node!=""` // what agents tell of themselves
	fromCollector = `collector!=""`
)

// pipeline answers: can I trust what I see?
func pipeline() board.Dashboard {
	return board.Dashboard{
		UID:         "cont-pipeline",
		Title:       "Plimsoll itself",
		Description: "Can I trust what I see? Agents, what they send and lose, the collector, its rules and messages.",
		Tags:        tags(),
		From:        "now-6h",
		Refresh:     "1m",
		Variables:   sites(),
		Annotations: append(marks(`alertname=~"Agent.*|Collector.*|Cluster.*|Rule.*|Notification.*|Grafana.*|Containers.*|Node.*", `+alertsInScope, ""), starts()...),
		Rows: []board.Row{
			{Title: "Now", Panels: pipelineNow()},
			{Title: "From agent to collector", Panels: flow()},
			{Title: "What agents cannot see", Panels: sight()},
			{Title: "What agents cost", Panels: agentCost()},
			{Title: "The collector", Panels: collectorItself()},
			{Title: "Versions", Panels: []board.Panel{agentVersions(), collectorVersions()}},
		},
	}
}

// starts marks when agents and collectors were started.
func starts() []board.Annotation {
	started := func(selector string) string {
		metric := series("process_start_time_seconds", selector)
		return metric + " and time() - " + metric + " < 60"
	}
	return []board.Annotation{
		{Name: "Agent starts", Color: board.Blue, Expr: started(fromAgents), Title: "Agent started", Text: "on {{node}}"},
		{Name: "Collector starts", Color: board.Blue, Expr: started(fromCollector), Title: "Collector started", Text: "on {{collector}}"},
	}
}

func agentLag() string {
	return by("max", perNode, series("plimsoll_agent_remote_write_lag_seconds", site))
}

func lost() string {
	return "sum(" + rate("plimsoll_agent_samples_dropped_total", site) + ")"
}

func refused() string {
	return "sum(rate(plimsoll_collector_samples_rejected_total[$__rate_interval]))"
}

func groupLate() string {
	return by("max", "group", "plimsoll_collector_rule_group_last_duration_seconds / plimsoll_collector_rule_group_interval_seconds")
}

func pipelineNow() []board.Panel {
	const width, height = 4, 4
	stat := func(title, what, normal, do string, unit board.Unit, decimals board.Decimals, thresholds board.Thresholds, expr string) board.Panel {
		return board.Panel{
			Title: title, Width: width, Height: height, Unit: unit, Decimals: decimals, Thresholds: thresholds,
			What: what, Normal: normal, Do: do,
			Queries: []board.Query{{Expr: expr, Legend: title}},
			View:    board.Stat{},
		}
	}
	return []board.Panel{
		nodesReporting(width),
		stat("Worst lag", "How old the newest figures are that the slowest agent has had acknowledged.", "about one interval, 15 seconds.", "see agent lag below; nothing is lost while the spool holds.",
			board.Seconds, "0", good(lateSeconds, farBehind), "max("+agentLag()+")"),
		stat("Samples lost, per second", "Samples that agents gave up because their spool was full or too old.", "0.", "the panel samples lost says which reason; give the spool more room.",
			board.PerSecond, "1", board.Thresholds{Base: board.Green, Steps: []board.Step{{From: 1e-9, Color: board.Red}}}, orZero(lost())),
		stat("Samples refused, share", "Samples the collector did not accept, as a share of all that came.", "0.", "the panel samples refused says why; the collector's log names the agent.",
			board.Ratio, "2", good(1e-9, refusedShare), orZero(share(refused(), "("+refused()+" + sum(rate(plimsoll_collector_samples_ingested_total[$__rate_interval])) > 0)"))),
		stat("Slowest rule group", "How long the slowest group of rules took, as a share of its interval.", "below half.", "above nine tenths alerts come late: see rule groups below.",
			board.Ratio, "0", good(0.5, lateGroup), orZero("max("+groupLate()+")")),
		stat("Messages failed, 24 h", "Notifications that could not be delivered in 24 hours.", "0.", "the log names the receiver and its answer.",
			board.Count, "0", zeroIsGood(board.Red), orZero("round(sum(increase(plimsoll_collector_notifications_failed_total["+recently+"])))")),
	}
}

// worstAgents draws a figure of agents for the ten where it is highest.
func worstAgents(width uint32, title, what, normal, do, expr string, unit board.Unit, decimals board.Decimals, axis string, marks board.Thresholds) board.Panel {
	view := board.Timeseries{Axis: axis, Links: []board.Link{toNode(label)}}
	if len(marks.Steps) > 0 {
		view.Marked = board.Threshold
	}
	return board.Panel{
		Title: title, Width: width, Height: 7, Unit: unit, Decimals: decimals, Thresholds: marks, What: what, Normal: normal, Do: do,
		Queries: []board.Query{{Expr: "topk(10, " + expr + ")", Legend: "{{node}}"}},
		View:    view,
	}
}

func byReason(width uint32, title, what, do, expr, none string) board.Panel {
	return board.Panel{
		Title: title, Width: width, Height: 7, Unit: board.PerSecond, What: what, Normal: "0.", Do: do,
		Queries: []board.Query{{Expr: "topk(5, " + expr + `) or on () label_replace(vector(0), "reason", "` + none + `", "", "")`, Legend: "{{reason}}"}},
		View:    board.Timeseries{Axis: "samples"},
	}
}

func flow() []board.Panel {
	return []board.Panel{
		{
			Title: "Samples taken in", Width: 8, Height: 7, Unit: board.PerSecond,
			What:    "Samples the collector accepted from all agents, per second.",
			Normal:  "flat: it moves only with the number of containers.",
			Do:      "when it drops, look at nodes reporting, then at the agents' lag.",
			Queries: []board.Query{{Expr: "sum(rate(plimsoll_collector_samples_ingested_total[$__rate_interval]))", Legend: "samples"}},
			View:    board.Timeseries{Axis: "samples"},
		},
		worstAgents(8, "Agent lag, ten worst", "How old the newest figures are that an agent has had acknowledged.", "about one interval, 15 seconds.",
			"a growing lag is a collector that cannot be reached or cannot keep up; nothing is lost while the spool holds.", agentLag(), board.Seconds, "", "", line(farBehind, board.Orange)),
		worstAgents(8, "Spool on the nodes, ten largest", "Figures an agent holds on disk because they are not yet acknowledged.", "one batch, some kilobytes.",
			"when it grows, the collector is away or slow; it is emptied by itself afterwards.", by("max", perNode, series("plimsoll_agent_spool_bytes", site)), board.Bytes, "", "", board.Thresholds{}),
		byReason(8, "Samples refused", "Samples the collector did not accept, the five commonest reasons.", "the reason says what: a token, a limit, a bad label; the collector's log names the agent.",
			by("sum", "reason", "rate(plimsoll_collector_samples_rejected_total[$__rate_interval])"), "none refused"),
		byReason(8, "Samples lost by agents", "Samples agents gave up, the five commonest reasons.", "a full spool after a long outage; give it more space or more age.",
			by("sum", "reason", rate("plimsoll_agent_samples_dropped_total", site)), "none lost"),
		clocks(),
	}
}

func clocks() board.Panel {
	skew := series("plimsoll_collector_agent_clock_skew_seconds", site)
	p := worstAgents(8, "Clocks that are off, ten worst", "How far a node's clock is from the collector's.", "below a second.",
		"run a time service on the node: rates and the order of events are wrong there.", by("max", perNode, "abs("+skew+")"), board.Seconds, "", "", line(clockOff, board.Red))
	p.Queries = []board.Query{{Expr: orNobody(p.Queries[0].Expr, series("machine_cpu_cores", site), skew, "no agent tells its clock"), Legend: "{{node}}{{note}}"}}
	return p
}

func sight() []board.Panel {
	return []board.Panel{
		{
			Title: "Sources that are down", Width: 8, Height: 7, Unit: board.Count,
			What: "Agents that cannot use a source they should: the engine, the cgroup tree, the API server.", Normal: "0.",
			Do:      "run agent doctor on such a node; it says why and what to do.",
			Queries: []board.Query{{Expr: by("sum", "source", "1 - "+by("max", "source, "+perNode, series("plimsoll_agent_source_up", site))), Legend: "{{source}}"}},
			View:    board.Timeseries{Drawn: board.Stacked, Axis: "agents"},
		},
		{
			Title: "Containers without a label", Width: 8, Height: 7, Unit: board.Count,
			What: "Containers that came without a project of their own, an IDC, a cluster or a workload.", Normal: "0.",
			Do: "the project map gives projects, flags or node labels the place: agent project-map test says for one container.",
			Queries: []board.Query{
				{Expr: orZero(by("sum", "label", by("max", "label, "+perNode, series("plimsoll_agent_containers_without", site)))), Legend: "without {{label}}"},
				{Expr: orZero("sum(" + by("max", perNode, series("plimsoll_agent_containers_unassigned", site)) + ")"), Legend: "unassigned"},
			},
			View: board.Timeseries{Axis: "containers"},
		},
		worstAgents(8, "Files that could not be read, ten worst", "Readings of kernel files that failed, per second.", "near 0: a container that ends while it is read is no fault.",
			"rights, or a kernel without the file; agent doctor names it.", by("sum", perNode, rate("plimsoll_agent_read_errors_total", site))+" or 0 * "+agentLag(), board.PerSecond, "", "", board.Thresholds{}),
	}
}

func agentCost() []board.Panel {
	return []board.Panel{
		worstAgents(12, "CPU of agents, ten dearest", "CPU time the agents themselves use.", "a few thousandths of a core for a hundred containers.",
			"above the line see which groups of metrics are on, and how many containers the node has.", by("sum", perNode, rate("process_cpu_seconds_total", fromAgents)), board.Cores, "", "cores", line(agentCores, board.Orange)),
		worstAgents(12, "Memory of agents, ten largest", "Resident memory of the agents themselves.", "30 to 60 MiB.",
			"it grows with the number of containers; anything else is a fault of the agent.", by("max", perNode, series("process_resident_memory_bytes", fromAgents)), board.Bytes, "", "", board.Thresholds{}),
	}
}

func collectorItself() []board.Panel {
	const width, height = 8, 8
	return []board.Panel{
		{
			Title: "Rule groups, ten slowest", Width: width, Height: height, Unit: board.Ratio, Thresholds: line(lateGroup, board.Orange),
			What: "How long an evaluation of a group of rules took, as a share of its interval.", Normal: "a few percent.", Do: "at 100 % evaluations are left out and alerts come late: fewer or cheaper rules, a longer interval.",
			Queries: []board.Query{{Expr: "topk(10, " + groupLate() + ")", Legend: "{{group}}"}},
			View:    board.Timeseries{Marked: board.Threshold},
		},
		{
			Title: "Memory of collectors", Width: width, Height: height, Unit: board.Bytes,
			What: "Resident memory of the collectors.", Normal: "a gigabyte or less for 10,000 containers.", Do: "a slope that does not end: too many series; see series stored.",
			Queries: []board.Query{{Expr: by("max", "collector", series("process_resident_memory_bytes", fromCollector)), Legend: "{{collector}}"}},
			View:    board.Timeseries{},
		},
		{
			Title: "CPU of collectors", Width: width, Height: height, Unit: board.Cores,
			What: "CPU time the collectors use: taking in, rules, and the queries of pages.", Normal: "flat, with peaks while people look.", Do: "find the rule group or the page that costs.",
			Queries: []board.Query{{Expr: by("sum", "collector", rate("process_cpu_seconds_total", fromCollector)), Legend: "{{collector}}"}},
			View:    board.Timeseries{Axis: "cores"},
		},
		{
			Title: "Series stored", Width: width, Height: height, Unit: board.Count,
			What: "Series that had a sample within the last hour.", Normal: "about sixty for each container.", Do: "a step without more containers is a label that changes all the time.",
			Queries: []board.Query{{Expr: by("max", "collector", "plimsoll_collector_active_series"), Legend: "{{collector}}"}},
			View:    board.Timeseries{},
		},
		{
			Title: "Disk of collectors", Width: width, Height: height, Unit: board.Bytes,
			What: "What the engine stores, and what is still free on its disk.", Normal: "stored grows until the retention is reached, then stays.", Do: "free space that shrinks to nothing: a larger disk or a shorter retention.",
			Queries: []board.Query{
				{Expr: by("max", "collector", "plimsoll_collector_storage_bytes"), Legend: "{{collector}} stored"},
				{Expr: by("max", "collector", "plimsoll_collector_storage_free_bytes"), Legend: "{{collector}} free", Look: board.Capacity},
			},
			View: board.Timeseries{},
		},
		{
			Title: "Messages to people", Width: width, Height: height, Unit: board.Count,
			What: "Notifications sent and failed in each step of the graph.", Normal: "few, and none failed.", Do: "failed: the log names the receiver and its answer.",
			Queries: []board.Query{
				{Expr: orZero("sum(increase(plimsoll_collector_notifications_total[$__rate_interval]))"), Legend: "sent"},
				{Expr: orZero("sum(increase(plimsoll_collector_notifications_failed_total[$__rate_interval]))"), Legend: "failed", Look: board.Alarm},
			},
			View: board.Timeseries{Drawn: board.Bars},
		},
	}
}

func versionTable(title, who, metric, selector, column string) board.Panel {
	return board.Panel{
		Title: title, Width: 12, Height: 6, Unit: board.Count,
		What: "How many " + who + " run which version.", Normal: "one version, two while they are being updated.", Do: "update those that were left behind.",
		Queries: []board.Query{{Expr: by("count", "version", series(metric, selector))}},
		View: board.Table{
			Labels: []board.Column{{Of: "version", Title: "Version"}},
			Values: []board.Column{{Title: column, Decimals: "0"}},
			Sort:   board.Sort(column),
		},
	}
}

func agentVersions() board.Panel {
	return versionTable("Agents by version", "agents", "plimsoll_agent_build_info", site, "Agents")
}

func collectorVersions() board.Panel {
	return versionTable("Collectors by version", "collectors", "plimsoll_collector_build_info", fromCollector, "Collectors")
}
