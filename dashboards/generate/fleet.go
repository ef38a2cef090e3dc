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
		Annotations: marks(alertsInScope, project),
		Rows: []board.Row{
			{Title: "Now", Panels: fleetNow()},
			{Title: "Where", Panels: []board.Panel{siteTable(), projectTable(), busiestTable(project), largestTable(project)}},
			{Title: "Trend", Panels: fleetTrend()},
			{Title: "Pressure", Fold: board.Folded, Panels: pressure(project)},
			{Title: "Network and block I/O", Fold: board.Folded, Panels: traffic("project", project)},
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
			Queries: []board.Query{{Expr: orZero("sum(" + series("project_cluster:containers:count", project) + ")"), Legend: "containers"}},
			View:    board.Stat{Trend: board.Sparkline},
		},
		firingStat(width, alertsInScope, toPage("What fires", "cont-incidents")),
		oomStat(width, project, toPage("Which containers", "cont-incidents")),
		restartStat(width, project, toPage("Which containers", "cont-incidents")),
		unhealthyStat(width, project, toPage("Which containers", "cont-incidents")),
		nodesReporting(width),
	}
}

func fleetTrend() []board.Panel {
	const width, height = 12, 9
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
			What:    "CPU of the ten projects that used most over the visible range; grey is all others together, so the top of the stack is the whole.",
			Normal:  "the order of projects changes slowly.",
			Do:      "a project that steps up right after a release is a regression: compare it with the release before.",
			Queries: topStacked("project_cluster:cpu_usage_cores:sum", "project", project, "{{project}}", "all others", "0.001"),
			View:    board.Timeseries{Axis: "cores", Drawn: board.Stacked, Links: []board.Link{toProject(label)}},
		},
		{
			Title: "Memory by project", Width: width, Height: height, Unit: board.Bytes,
			What:    "Working set of the ten projects that held most over the visible range; grey is all others together.",
			Normal:  "flat between releases.",
			Do:      "a steady slope is a leak or a growing cache: open the project, then its largest container.",
			Queries: topStacked("project_cluster:memory_working_set_bytes:sum", "project", project, "{{project}}", "all others", "1"),
			View:    board.Timeseries{Drawn: board.Stacked, Links: []board.Link{toProject(label)}},
		},
		eventBars(project),
		alertBars(alertsInScope),
	}
}

func nodesReporting(width uint32) board.Panel {
	return board.Panel{
		Title: "Nodes reporting", Width: width, Height: 4, Unit: board.Ratio, Decimals: "1", Thresholds: goodAbove(mostNodes, allNodes),
		What:    "Nodes that sent figures in the last 3 minutes, as a share of those that did in 24 hours. Everything else on this page is only as complete as this figure.",
		Normal:  "100 %. A node that was taken out counts as missing for a day.",
		Do:      "the nodes page and the column Silent nodes of the fleet say where; on the node, run agent doctor.",
		Queries: []board.Query{{Expr: share("(count("+reporting(silentAfter)+") or vector(0))", "count("+reporting(recently)+")"), Legend: "reporting"}},
		View:    board.Stat{},
	}
}
