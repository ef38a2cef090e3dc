package main

import "github.com/plimsoll/plimsoll/dashboards/internal/board"

// cluster answers: which nodes and projects load this cluster?
func cluster() board.Dashboard {
	return board.Dashboard{
		UID:         "cont-cluster",
		Title:       "Cluster",
		Description: "Which nodes and projects load this cluster, or these clusters, and how full are they?",
		Tags:        tags(),
		From:        "now-6h",
		Refresh:     "1m",
		Variables:   sites(),
		Annotations: marks(alertsInScope, project),
		Rows: []board.Row{
			{Title: "Now", Panels: clusterNow()},
			{Title: "Utilisation", Panels: clusterUse()},
			{Title: "Nodes", Panels: []board.Panel{nodeTable(site, 9),
				fullestNodes("CPU of the fullest nodes", "CPU used of the node's cores.", "a line far above the others: its load does not spread, see its consumers.", nodeCPUShare(site), line(fullSite, board.Red)),
				fullestNodes("Memory of the fullest nodes", "Working set of the node's memory.", "a line that climbs alone: the node's consumers say whose memory grows.", nodeMemoryShare(site), line(fullNodeMemory, board.Red)),
			}},
			{Title: "Projects", Panels: []board.Panel{projectTable()}},
			{Title: "Pressure on nodes", Fold: board.Folded, Panels: nodePressure(site)},
			{Title: "Disks", Fold: board.Folded, Panels: disks(site)},
			{Title: "Pressure on workloads", Fold: board.Folded, Panels: pressure(project)},
		},
	}
}

func clusterNow() []board.Panel {
	const width, height = 4, 4
	capacity := "sum(" + series("cluster:cpu_capacity_cores:sum", site) + ")"
	memory := "sum(" + series("cluster:memory_capacity_bytes:sum", site) + ")"
	return []board.Panel{
		nodesReporting(width),
		{
			Title: "Containers running", Width: width, Height: height, Unit: board.Count,
			What: "Real containers of the chosen projects.", Normal: "moves with releases and autoscaling, without cliffs.", Do: "when it drops, look at nodes reporting first.",
			Queries: []board.Query{{Expr: orZero("sum(" + series("project_cluster:containers:count", project) + ")"), Legend: "containers"}},
			View:    board.Stat{Trend: board.Sparkline},
		},
		{
			Title: "CPU: used, asked for", Width: width, Height: height, Unit: board.Ratio, Decimals: "0", Thresholds: good(busySite, fullSite),
			What:   "CPU that containers use, and CPU that is reserved for them (a request, else a limit), as shares of all cores.",
			Normal: "used below asked for, asked for below 100 %.",
			Do:     "asked for near 100 % and used far below: nothing more can be placed although the cores idle, see efficiency.",
			Queries: []board.Query{
				{Expr: share("sum("+series("cluster:cpu_usage_cores:sum", site)+")", capacity), Legend: "used"},
				{Expr: share("(sum("+series("cluster:cpu_request_cores:sum", site)+") or vector(0))", capacity), Legend: "asked for", Steps: good(fullSite, 1)},
			},
			View: board.Stat{Links: []board.Link{toPage("Head-room", "cont-capacity")}},
		},
		{
			Title: "Memory: used, asked for", Width: width, Height: height, Unit: board.Ratio, Decimals: "0", Thresholds: good(busySite, fullSite),
			What:   "Working set of containers, and memory that is reserved for them (a request, else a limit), as shares of all memory.",
			Normal: "used below asked for, asked for below 100 %.",
			Do:     "used above asked for: the node decides by itself whom to kill when it is full.",
			Queries: []board.Query{
				{Expr: share("sum("+series("cluster:memory_working_set_bytes:sum", site)+")", memory), Legend: "used"},
				{Expr: share("(sum("+series("cluster:memory_request_bytes:sum", site)+") or vector(0))", memory), Legend: "asked for", Steps: good(fullSite, 1)},
			},
			View: board.Stat{Links: []board.Link{toPage("Head-room", "cont-capacity")}},
		},
		oomStat(width, project, toPage("Which containers", "cont-incidents")),
		firingStat(width, alertsInScope, toPage("What fires", "cont-incidents")),
	}
}

func clusterUse() []board.Panel {
	cpu := topStacked("project_cluster:cpu_usage_cores:sum", "project", project, "{{project}}", "all others", "0.001")
	memory := topStacked("project_cluster:memory_working_set_bytes:sum", "project", project, "{{project}}", "all others", "1")
	asked := func(recorded, there string) string {
		return "sum(" + series(recorded, project) + ") or 0 * sum(" + series(there, project) + ")"
	}
	return []board.Panel{
		{
			Title: "CPU by project, asked for and capacity", Width: 12, Height: 10, Unit: board.Cores,
			What:   "CPU of the ten projects that used most over the visible range, over 5 minutes; grey is all others. Dashed orange: what all chosen projects asked for (0: nothing); dashed grey: the cores of the clusters.",
			Normal: "a daily wave below the orange line.", Do: "a project that steps up right after a release is a regression: open it.",
			Queries: append(cpu,
				board.Query{Expr: asked("project_cluster:cpu_request_cores:sum", "project_cluster:cpu_usage_cores:sum"), Legend: "asked for", Look: board.Request},
				board.Query{Expr: "sum(" + series("cluster:cpu_capacity_cores:sum", site) + ")", Legend: "capacity", Look: board.Capacity}),
			View: board.Timeseries{Axis: "cores", Drawn: board.Stacked, Links: []board.Link{toProject(label)}},
		},
		{
			Title: "Memory by project, asked for and capacity", Width: 12, Height: 10, Unit: board.Bytes,
			What:   "Working set of the ten projects that held most over the visible range; grey is all others. Dashed orange: what all chosen projects asked for (0: nothing); dashed grey: the memory of the clusters.",
			Normal: "flat between releases.", Do: "a steady slope is a leak or a growing cache: open the project.",
			Queries: append(memory,
				board.Query{Expr: asked("project_cluster:memory_request_bytes:sum", "project_cluster:memory_working_set_bytes:sum"), Legend: "asked for", Look: board.Request},
				board.Query{Expr: "sum(" + series("cluster:memory_capacity_bytes:sum", site) + ")", Legend: "capacity", Look: board.Capacity}),
			View: board.Timeseries{Drawn: board.Stacked, Links: []board.Link{toProject(label)}},
		},
	}
}
