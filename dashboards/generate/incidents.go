package main

import "github.com/plimsoll/plimsoll/dashboards/internal/board"

// incidents answers: what broke in the last hours, and what changed?
func incidents() board.Dashboard {
	return board.Dashboard{
		UID:         "cont-incidents",
		Title:       "Health and incidents",
		Description: "What broke in the last hours, and what changed: alerts, OOM kills, restarts, exits, failing health checks, releases, pressure.",
		Tags:        tags(),
		From:        "now-6h",
		Refresh:     "30s",
		Variables:   sites(),
		Annotations: marks(alertsInScope, project),
		Rows: []board.Row{
			{Title: "Now", Panels: incidentsNow()},
			{Title: "Symptoms", Panels: []board.Panel{firingTable(alertsInScope), oomTable(), restartTable(), exitTable(), unhealthyTable()}},
			{Title: "When", Panels: incidentsWhen()},
			{Title: "What changed", Panels: []board.Panel{releaseTable()}},
			{Title: "Pressure", Panels: pressure(project)},
			{Title: "Network and block I/O", Fold: board.Folded, Panels: traffic("project", project)},
		},
	}
}

// eventStats are the counts of a day that several pages begin with; each leads to what they were.
func oomStat(width uint32, selector string, links ...board.Link) board.Panel {
	return board.Panel{
		Title: "OOM kills, 24 h", Width: width, Height: 4, Unit: board.Count, Decimals: "0", Thresholds: zeroIsGood(board.Red),
		What:    "Processes the kernel killed because their container's memory was full, in 24 hours. 0 also where no agent can see such kills; agent doctor tells.",
		Normal:  "0.",
		Do:      "raise the limit or find the leak, on the container's page; the table of OOM kills says which.",
		Queries: []board.Query{{Expr: orZero("round(sum(" + oomKills(selector) + "))"), Legend: "OOM kills"}},
		View:    board.Stat{Links: links},
	}
}

func restartStat(width uint32, selector string, links ...board.Link) board.Panel {
	return board.Panel{
		Title: "Restarts, 24 h", Width: width, Height: 4, Unit: board.Count, Decimals: "0", Thresholds: zeroIsGood(board.Orange),
		What:    "Containers that were started again by their runtime or orchestrator in 24 hours, releases not counted.",
		Normal:  "near 0.",
		Do:      "many of one container are a crash loop: read its log and its exit codes.",
		Queries: []board.Query{{Expr: orZero("round(sum(" + restarts(selector) + "))"), Legend: "restarts"}},
		View:    board.Stat{Links: links},
	}
}

func unhealthyStat(width uint32, selector string, links ...board.Link) board.Panel {
	return board.Panel{
		Title: "Unhealthy containers", Width: width, Height: 4, Unit: board.Count, Decimals: "0", Thresholds: zeroIsGood(board.Red),
		What:    "Containers whose own health check fails or has not yet passed. Containers without a check do not count.",
		Normal:  "0, and a few for a minute during a release.",
		Do:      "when it stays, run the health check inside the container by hand.",
		Queries: []board.Query{{Expr: orZero("sum(" + series("project_cluster:containers_unhealthy:count", selector) + ")"), Legend: "unhealthy"}},
		View:    board.Stat{Links: links},
	}
}

func firingStat(width uint32, scope string, links ...board.Link) board.Panel {
	return board.Panel{
		Title: "Firing alerts", Width: width, Height: 4, Unit: board.Count,
		What:   "Alerts that fire now, critical and warning, without the watchdog.",
		Normal: "0 and 0.",
		Do:     "critical ones first; each carries its runbook.",
		Queries: []board.Query{
			{Expr: orZero("count(" + series("ALERTS", scope+`, severity="critical"`) + ")"), Legend: "critical", Steps: zeroIsGood(board.Red)},
			{Expr: orZero("count(" + series("ALERTS", scope+`, severity!="critical"`) + ")"), Legend: "warning", Steps: zeroIsGood(board.Orange)},
		},
		View: board.Stat{Links: links},
	}
}

func incidentsNow() []board.Panel {
	return []board.Panel{
		firingStat(6, alertsInScope), oomStat(4, project), restartStat(4, project),
		{
			Title: "Failed exits, 24 h", Width: 4, Height: 4, Unit: board.Count, Decimals: "0", Thresholds: zeroIsGood(board.Orange),
			What:    "Containers that ended in 24 hours by an error, a signal nobody asked for, or an OOM kill. What was stopped on purpose does not count.",
			Normal:  "near 0.",
			Do:      "the table of exits says whose and why; the exit code is on the exits page.",
			Queries: []board.Query{{Expr: orZero("round(sum(" + exits(project) + "))"), Legend: "failed exits"}},
			View:    board.Stat{},
		},
		unhealthyStat(6, project),
	}
}

func severityTexts() []board.Text {
	return []board.Text{{Value: "critical", Word: "critical", Color: board.Red}, {Value: "warning", Word: "warning", Color: board.Orange}, {Value: "info", Word: "info", Color: board.Blue}}
}

// firingTable lists the alerts of a scope with the moment they became true. The newest hundred.
func firingTable(scope string) board.Panel {
	const labels = "severity, alertname, project, idc, cluster, node, workload, container"
	since := "1000 * " + by("max", labels, series("ALERTS_FOR_STATE", `alertname!="Watchdog"`)) + " and on (" + labels + ") " + by("max", labels, series("ALERTS", scope))
	return board.Panel{
		Title: "Firing alerts, newest first", Width: 24, Height: 8, Unit: board.Count,
		What:   "Every alert that fires, without the watchdog, and since when its cause has been there; the hundred newest.",
		Normal: "one row that says that nothing fires.",
		Do:     "begin with the oldest critical one; the name of the container opens it, the alerts page has the runbooks.",
		Queries: []board.Query{{
			Expr: orRow("topk(100, "+since+")", "1000 * time()", "nothing fires"),
		}},
		View: board.Table{
			Labels: []board.Column{
				noteColumn(), {Of: "severity", Title: "Severity", Cell: board.Colored, Texts: severityTexts(), Width: 90}, {Of: "alertname", Title: "Alert"},
				{Of: "project", Title: "Project", Link: toProject(cell)}, {Of: "idc", Title: "IDC"}, {Of: "cluster", Title: "Cluster", Link: toCluster(cell)}, {Of: "node", Title: "Node", Link: toNode(cell)},
				{Of: "workload", Title: "Workload", Link: toWorkload(cell)}, {Of: "container", Title: "Container", Link: toContainer(cell)},
			},
			Values: []board.Column{{Title: "Since", Unit: board.UnixMillis}},
			Sort:   "Since",
		},
	}
}

// slotColumns are the columns of the tables of events.
func slotColumns(more ...board.Column) []board.Column {
	return append([]board.Column{
		noteColumn(), {Of: "container", Title: "Container", Link: toContainer(cell)},
		{Of: "workload", Title: "Workload", Link: toWorkload(cell)},
		{Of: "project", Title: "Project", Link: toProject(cell)},
		{Of: "node", Title: "Node", Link: toNode(cell)},
	}, more...)
}

const eventLabels = "project, workload, container, node"

func eventTable(title, what, normal, do, expr, word string, more ...board.Column) board.Panel {
	labels := eventLabels
	for _, c := range more {
		labels += ", " + c.Of
	}
	return board.Panel{
		Title: title, Width: 12, Height: 8, Unit: board.Count,
		What: what + " The fifty with most.", Normal: normal, Do: do,
		Queries: []board.Query{{Expr: orRow("topk(50, round("+by("sum", labels, expr)+"))", "0", word)}},
		View: board.Table{
			Labels: slotColumns(more...),
			Values: []board.Column{{Title: "Times", Decimals: "0", Cell: board.Colored, Thresholds: zeroIsGood(board.Red)}},
			Sort:   "Times",
		},
	}
}

func oomTable() board.Panel {
	return eventTable("OOM kills, 24 h before the end of the range", "Containers in which the kernel killed a process because memory was full, and how often.",
		"one row that says none.", "open the container: memory that grows is a leak, memory that jumps needs a higher limit.", oomKills(project), "none was killed")
}

func restartTable() board.Panel {
	return eventTable("Restarts, 24 h before the end of the range", "Containers that were started again, and how often.",
		"one row that says none.", "read the log just before the restart, and the exit code.", restarts(project), "none was restarted")
}

func exitTable() board.Panel {
	return eventTable("Failed exits, 24 h before the end of the range", "Containers that ended by an error, a signal nobody asked for, or an OOM kill, and how often. What was stopped on purpose does not count.",
		"one row that says none.", "an error is a crash: the exits page has the code, the log the reason.", exits(project), "none failed", board.Column{Of: "reason", Title: "Reason"})
}

func unhealthyTable() board.Panel {
	since := "1000 * " + by("max", eventLabels, slots("slot:unhealthy_start_time_seconds:max", project))
	return board.Panel{
		Title: "Not healthy now", Width: 12, Height: 8, Unit: board.Count,
		What:   "Containers whose own health check fails or has not passed yet, and when they were started. The fifty started last.",
		Normal: "one row that says none, and during a release those just started.",
		Do:     "what was started long ago and is not healthy serves nobody: run its check by hand.",
		Queries: []board.Query{{
			Expr: orRow("topk(50, "+since+")", "1000 * time()", "none is unhealthy"),
		}},
		View: board.Table{
			Labels: slotColumns(),
			Values: []board.Column{{Title: "Started", Unit: board.UnixMillis}},
			Sort:   "Started",
		},
	}
}

func incidentsWhen() []board.Panel {
	return []board.Panel{
		eventBars(project),
		alertBars(alertsInScope),
	}
}

// eventBars are the OOM kills and restarts of a selector over time.
func eventBars(selector string) board.Panel {
	each := func(recorded string) string { return orZero("sum(" + rose(recorded, selector) + ")") }
	return board.Panel{
		Title: "OOM kills and restarts", Width: 12, Height: 7, Unit: board.Count,
		What:   "How many happened in each step of the graph, to the minute.",
		Normal: "nothing.",
		Do:     "bars that come back at a fixed distance are a crash loop.",
		Queries: []board.Query{
			{Expr: each("slot:oom_kills:increase1d"), Legend: "OOM kills", Look: board.Alarm},
			{Expr: each("slot:restarts:increase1d"), Legend: "restarts", Look: board.Caution},
		},
		View: board.Timeseries{Drawn: board.Bars},
	}
}

func alertBars(scope string) board.Panel {
	return board.Panel{
		Title: "Alerts over time", Width: 12, Height: 7, Unit: board.Count,
		What:   "How many alerts fired, by severity.",
		Normal: "0.",
		Do:     "a step that never comes down again is an alert nobody owns.",
		Queries: []board.Query{
			{Expr: orZero("count(" + series("ALERTS", scope+`, severity="critical"`) + ")"), Legend: "critical", Look: board.Alarm},
			{Expr: orZero("count(" + series("ALERTS", scope+`, severity!="critical"`) + ")"), Legend: "warning", Look: board.Caution},
		},
		View: board.Timeseries{Drawn: board.Bars},
	}
}

const imagesThere = "workload_container_image:containers:count"

// releaseTable lists the images that began within the range beside another one of the same workload.
func releaseTable() board.Panel {
	const labels = "project, idc, cluster, namespace, workload, container"
	before := series(imagesThere, project) + " offset $__range"
	began := "1000 * min_over_time(timestamp(" + series(imagesThere, project) + ")[$__range:1m])"
	return board.Panel{
		Title: "Releases in the range, newest first", Width: 24, Height: 8, Unit: board.Count,
		What:   "Images that run now and did not at the beginning of the visible range, of workloads that ran then, and when they were first seen. The hundred newest.",
		Normal: "what you released.",
		Do:     "trouble that begins at a release is most often the release: open the workload, compare before and after, roll back.",
		Queries: []board.Query{{
			Expr: orRow("topk(100, "+by("min", "project, workload, container, image", "("+began+" unless on ("+labels+", image) "+before+") and on ("+labels+") "+before)+
				")", "1000 * time()", "nothing was released"),
		}},
		View: board.Table{
			Labels: []board.Column{
				noteColumn(), {Of: "container", Title: "Container"}, {Of: "workload", Title: "Workload", Link: toWorkload(cell)}, {Of: "project", Title: "Project", Link: toProject(cell)}, {Of: "image", Title: "Image"},
			},
			Values: []board.Column{{Title: "First seen", Unit: board.UnixMillis}},
			Sort:   "First seen",
		},
	}
}
