package main

import "github.com/plimsoll/plimsoll/dashboards/internal/board"

// fleet answers: is anything broken, where, and how full are we?
func fleet() board.Dashboard {
	return board.Dashboard{
		UID:         "cont-fleet",
		Title:       "Fleet overview",
		Description: "Is anything broken, where, and how full are we? Every container of every site, from Plimsoll.",
		Tags:        tags(),
		From:        "now-1h",
		Refresh:     "1m",
		Variables:   sites(),
		Annotations: marks(alertsInScope, real),
		Rows: []board.Row{
			{Title: "Now", Panels: fleetNow()},
			{Title: "Where", Panels: []board.Panel{siteTable(), projectTable(), busiestTable(), largestTable()}},
			{Title: "Trend", Panels: fleetTrend()},
			{Title: "Pressure", Fold: board.Folded, Panels: fleetPressure()},
			{Title: "Network and block I/O", Fold: board.Folded, Panels: fleetTraffic()},
			{Title: "Plimsoll itself", Fold: board.Folded, Panels: pipeline()},
		},
	}
}

// reporting is one series per node that sent figures within the window.
func reporting(window string) string {
	return by("max", "idc, cluster, node", "last_over_time("+series("machine_cpu_cores", site)+"["+window+"])")
}

func fleetNow() []board.Panel {
	const width, height = 4, 4
	return []board.Panel{
		{
			Title: "Containers running", Width: width, Height: height, Unit: board.Count,
			What:    "Real containers that report memory at this moment: no pause containers, no slices.",
			Normal:  "moves with releases and autoscaling, without cliffs.",
			Do:      "when it drops, look at nodes reporting first: a silent node takes its containers out of the count.",
			Queries: []board.Query{{Expr: orZero("count(" + series(running, real) + ")"), Legend: "containers"}},
			View:    board.Stat{Trend: board.Sparkline},
		},
		{
			Title: "Firing alerts", Width: width, Height: height, Unit: board.Count,
			What:   "Alerts that fire now, critical and warning, without the watchdog.",
			Normal: "0 and 0.",
			Do:     "critical ones first; the columns Firing below say which site and which project.",
			Queries: []board.Query{
				{Expr: orZero("count(" + series("ALERTS", alertsInScope+`, severity="critical"`) + ")"), Legend: "critical", Steps: zeroIsGood(board.Red)},
				{Expr: orZero("count(" + series("ALERTS", alertsInScope+`, severity!="critical"`) + ")"), Legend: "warning", Steps: zeroIsGood(board.Orange)},
			},
			View: board.Stat{},
		},
		{
			Title: "OOM kills, 24 h", Width: width, Height: height, Unit: board.Count, Decimals: "0", Thresholds: zeroIsGood(board.Red),
			What:    "Processes the kernel killed because their container's memory was full, in 24 hours. 0 also when no agent can see such kills; agent doctor tells.",
			Normal:  "0.",
			Do:      "the table of projects says whose they were; raise the limit or find the leak, on the container's page.",
			Queries: []board.Query{{Expr: orZero("round(sum(" + over("container_oom_events_total", real, recently) + "))"), Legend: "OOM kills"}},
			View:    board.Stat{},
		},
		{
			Title: "Restarts, 24 h", Width: width, Height: height, Unit: board.Count, Decimals: "0", Thresholds: zeroIsGood(board.Orange),
			What:    "Containers that were started again by their runtime or orchestrator in 24 hours, releases not counted.",
			Normal:  "near 0.",
			Do:      "a project with many is in a crash loop: read its container's log and its exit codes.",
			Queries: []board.Query{{Expr: orZero("round(sum(" + over("container_restarts_total", real, recently) + "))"), Legend: "restarts"}},
			View:    board.Stat{},
		},
		{
			Title: "Unhealthy containers", Width: width, Height: height, Unit: board.Count, Decimals: "0", Thresholds: zeroIsGood(board.Red),
			What:    "Containers whose own health check fails or has not yet passed. Containers without a check do not count.",
			Normal:  "0, and a few for a minute during a release.",
			Do:      "when it stays, run the health check inside the container by hand.",
			Queries: []board.Query{{Expr: orZero("count(" + series("container_health_state", real) + " == 0)"), Legend: "unhealthy"}},
			View:    board.Stat{},
		},
		{
			Title: "Nodes reporting", Width: width, Height: height, Unit: board.Ratio, Decimals: "1", Thresholds: goodAbove(mostNodes, allNodes),
			What:    "Nodes that sent figures in the last 3 minutes, as a share of those that did in 24 hours. Everything else on this page is only as complete as this figure.",
			Normal:  "100 %. A node that was taken out counts as missing for a day.",
			Do:      "the column Silent nodes below says where; on the node, run agent doctor.",
			Queries: []board.Query{{Expr: share("(count("+reporting(silentAfter)+") or vector(0))", "count("+reporting(recently)+")"), Legend: "reporting"}},
			View:    board.Stat{},
		},
	}
}

func fleetTrend() []board.Panel {
	const width, height = 12, 9
	cpuOf := by("sum", "project", rate("container_cpu_usage_seconds_total", real))
	cpuRank := by("sum", "project", "rate("+series("container_cpu_usage_seconds_total", real)+"[$__range] @ end())")
	memoryOf := by("sum", "project", series(running, real))
	memoryRank := by("sum", "project", "avg_over_time("+series(running, real)+"[$__range] @ end())")
	return []board.Panel{
		{
			Title: "CPU used by IDC, and capacity", Width: width, Height: height, Unit: board.Cores,
			What:   "CPU time the nodes spend, containers and everything else on them, per IDC, on top of each other. Dashed: the cores that are there. The project filter does not apply: nodes belong to no project.",
			Normal: "a daily wave well below capacity.",
			Do:     "when the top comes near the dashed line, look for the project that grew, or add nodes.",
			Queries: []board.Query{
				{Expr: by("sum", "idc", rate("container_cpu_usage_seconds_total", machine)), Legend: "used {{idc}}"},
				{Expr: "sum(" + by("max", "idc, cluster, node", series("machine_cpu_cores", site)) + ")", Legend: "capacity", Look: board.Capacity},
			},
			View: board.Timeseries{Axis: "cores", Drawn: board.Stacked},
		},
		{
			Title: "Memory used by IDC, and capacity", Width: width, Height: height, Unit: board.Bytes,
			What:   "Working set of the nodes, which is what they use without idle file cache, per IDC, on top of each other. Dashed: the memory that is there. The project filter does not apply.",
			Normal: "steady; memory does not breathe with the day as CPU does.",
			Do:     "a slope that does not end is a leak: the panel memory by project says whose.",
			Queries: []board.Query{
				{Expr: by("sum", "idc", series(running, machine)), Legend: "used {{idc}}"},
				{Expr: "sum(" + by("max", "idc, cluster, node", series("machine_memory_bytes", site)) + ")", Legend: "capacity", Look: board.Capacity},
			},
			View: board.Timeseries{Drawn: board.Stacked},
		},
		{
			Title: "CPU by project", Width: width, Height: height, Unit: board.Cores,
			What:   "CPU of the ten projects that used most over the visible range; grey is all others together, so the top of the stack is the whole.",
			Normal: "the order of projects changes slowly.",
			Do:     "a project that steps up right after a release is a regression: compare it with the release before.",
			Queries: []board.Query{
				{Expr: topOver(cpuOf, "project", cpuRank), Legend: "{{project}}"},
				{Expr: rest(cpuOf, topOver(cpuOf, "project", cpuRank), "0.001"), Legend: "all others", Look: board.Rest},
			},
			View: board.Timeseries{Axis: "cores", Drawn: board.Stacked, Links: []board.Link{toProject("__field.labels.project")}},
		},
		{
			Title: "Memory by project", Width: width, Height: height, Unit: board.Bytes,
			What:   "Working set of the ten projects that held most over the visible range; grey is all others together.",
			Normal: "flat between releases.",
			Do:     "a steady slope is a leak or a growing cache: open the project, then its largest container.",
			Queries: []board.Query{
				{Expr: topOver(memoryOf, "project", memoryRank), Legend: "{{project}}"},
				{Expr: rest(memoryOf, topOver(memoryOf, "project", memoryRank), "1"), Legend: "all others", Look: board.Rest},
			},
			View: board.Timeseries{Drawn: board.Stacked, Links: []board.Link{toProject("__field.labels.project")}},
		},
		{
			Title: "OOM kills and restarts", Width: width, Height: 7, Unit: board.Count,
			What:   "How many happened in each step of the graph.",
			Normal: "nothing, and restarts during releases.",
			Do:     "bars that come back at a fixed distance are a crash loop.",
			Queries: []board.Query{
				{Expr: orZero("sum(" + over("container_oom_events_total", real, "$__rate_interval") + ")"), Legend: "OOM kills", Look: board.Alarm},
				{Expr: orZero("sum(" + over("container_restarts_total", real, "$__rate_interval") + ")"), Legend: "restarts", Look: board.Caution},
			},
			View: board.Timeseries{Drawn: board.Bars},
		},
		{
			Title: "Alerts over time", Width: width, Height: 7, Unit: board.Count,
			What:   "How many alerts fired, by severity.",
			Normal: "0.",
			Do:     "a step that never comes down again is an alert nobody owns.",
			Queries: []board.Query{
				{Expr: orZero("count(" + series("ALERTS", alertsInScope+`, severity="critical"`) + ")"), Legend: "critical", Look: board.Alarm},
				{Expr: orZero("count(" + series("ALERTS", alertsInScope+`, severity!="critical"`) + ")"), Legend: "warning", Look: board.Caution},
			},
			View: board.Timeseries{Drawn: board.Bars},
		},
	}
}
