package main

import "github.com/plimsoll/plimsoll/dashboards/internal/board"

const perWorkload = "project, workload"

// projectPage answers: is my project healthy, and within its quota?
func projectPage() board.Dashboard {
	return board.Dashboard{
		UID:         "cont-project",
		Title:       "Project",
		Description: "Is my project healthy, and within its quota? Its workloads over all sites, or several projects side by side.",
		Tags:        tags(),
		From:        "now-6h",
		Refresh:     "1m",
		Variables:   sites(),
		Annotations: marks(alertsInScope, project),
		Rows: []board.Row{
			{Title: "Health", Panels: append(projectHealth(), workloadTable())},
			{Title: "Use", Panels: projectUse()},
			{Title: "Events", Panels: []board.Panel{eventBars(project), alertBars(alertsInScope)}},
			{Title: "Availability and quota", Panels: []board.Panel{availability(), quota()}},
			{Title: "Across IDCs", Fold: board.Folded, Panels: acrossSites()},
			{Title: "Pressure", Fold: board.Folded, Panels: pressure(project)},
			{Title: "Network and block I/O", Fold: board.Folded, Panels: traffic("project", project)},
		},
	}
}

// untold stands for figures that only an orchestrator tells.
const untold = "-1"

func untoldText() []board.Text {
	return []board.Text{{Value: untold, Word: "not told", Color: board.Grey}}
}

// ready is the share of the wanted replicas of a selector that are ready.
func ready(selector string) string {
	const each = "project, idc, cluster, namespace, workload"
	return share("sum("+by("max", each, series("workload_ready_replicas", selector))+")", "(sum("+by("max", each, series("workload_desired_replicas", selector))+") > 0)")
}

func readyStat(width uint32, selector string) board.Panel {
	return board.Panel{
		Title: "Replicas ready", Width: width, Height: 4, Unit: board.Ratio, Decimals: "0", Thresholds: goodAbove(mostReplicas, 1), Texts: untoldText(),
		What:    "Ready replicas as a share of those that should be, as Kubernetes and Swarm tell; plain Docker has no such figure.",
		Normal:  "100 %, a little less during a release.",
		Do:      "open the workload that lacks some: a container that does not start, or a cluster that is full.",
		Queries: []board.Query{{Expr: ready(selector) + " or vector(" + untold + ")", Legend: "ready"}},
		View:    board.Stat{},
	}
}

func projectHealth() []board.Panel {
	const width, height = 4, 4
	return []board.Panel{
		readyStat(width, project),
		{
			Title: "Error budget left, 30 d", Width: width, Height: height, Unit: board.Ratio, Decimals: "0", Thresholds: goodAbove(0, budgetWatch), Texts: []board.Text{{Value: "-1000", Word: "not told", Color: board.Grey}},
			What:    "What is left of the replica-time that may be missing in 30 days when 99.9 % is promised; of several projects the one with least. Below 0 more was missing than promised.",
			Normal:  "above a quarter.",
			Do:      "near 0 put releases off until it has recovered; the panel availability says when it was spent.",
			Queries: []board.Query{{Expr: "min(1 - avg_over_time(" + series("project:availability_bad:ratio1h", `project=~"$project"`) + "[30d:1h]) / 0.001) or vector(-1000)", Legend: "left"}},
			View:    board.Stat{},
		},
		firingStat(width, alertsInScope, toPage("What fires", "cont-incidents")),
		oomStat(width, project, toPage("Which containers", "cont-incidents")),
		restartStat(width, project, toPage("Which containers", "cont-incidents")),
		unhealthyStat(width, project, toPage("Which containers", "cont-incidents")),
	}
}

func workloadTable() board.Panel {
	sum := func(recorded string) string { return by("sum", perWorkload, series(recorded, project)) }
	worst := func(recorded string) string { return by("max", perWorkload, series(recorded, project)) }
	there := "topk(100, " + sum("workload_container:cpu_usage_cores:sum") + " and on (" + perWorkload + ") " + sum("workload_container:containers:count") + ")" // a rate outlives its container
	of := func(expr string) string { return "(" + expr + ") and on (" + perWorkload + ") " + there }
	return board.Panel{
		Title: "Workloads", Width: 24, Height: 10, Unit: board.Count,
		What: "One row per workload, the hundred that use most CPU: its containers, how many replicas are ready of those that should be, what it uses, how near its worst container is to its memory limit, " +
			"the share of CPU periods in which its worst container was held back, and who was killed or restarted in 24 hours.",
		Normal: "all replicas ready, nothing near its limit, the last two columns 0.",
		Do:     "open the row that stands out.",
		Queries: []board.Query{
			{Expr: of(sum("workload_container:containers:count"))},
			{Expr: of(share(by("sum", perWorkload, series("workload_ready_replicas", project)), "("+by("sum", perWorkload, series("workload_desired_replicas", project))+" > 0)") + " or 0 * " + there + " - 1")},
			{Expr: there},
			{Expr: of(sum("workload_container:memory_working_set_bytes:sum"))},
			{Expr: of(worst("workload_container:memory_limit_used:ratio_max") + " or 0 * " + there + " - 1")},
			{Expr: of(worst("workload_container:cpu_throttled_periods:ratio_max") + " or 0 * " + there)},
			{Expr: of("round(" + by("sum", perWorkload, oomKills(project)) + ") or 0 * " + there)},
			{Expr: of("round(" + by("sum", perWorkload, restarts(project)) + ") or 0 * " + there)},
		},
		View: board.Table{
			Labels: []board.Column{{Of: "workload", Title: "Workload", Link: toWorkload(cell)}, {Of: "project", Title: "Project", Link: toProject(cell)}},
			Values: []board.Column{
				{Title: "Containers", Decimals: "0"},
				{Title: "Ready", Unit: board.Ratio, Decimals: "0", Cell: board.Colored, Thresholds: goodAbove(mostReplicas, 1), Texts: untoldText()},
				{Title: "CPU, cores", Decimals: "2"},
				{Title: "Memory", Unit: board.Bytes},
				{Title: "Of memory limit", Unit: board.Ratio, Decimals: "0", Cell: board.Gauge, Thresholds: good(closeLimit, nearLimit), Texts: noLimitText()},
				{Title: "Throttled", Unit: board.Ratio, Decimals: "0", Cell: board.Gauge, Thresholds: good(throttled/2, throttled)},
				{Title: "OOM kills, 24 h", Decimals: "0", Cell: board.Colored, Thresholds: zeroIsGood(board.Red)},
				{Title: "Restarts, 24 h", Decimals: "0", Cell: board.Colored, Thresholds: zeroIsGood(board.Orange)},
			},
			Sort: "CPU, cores",
		},
	}
}

func projectUse() []board.Panel {
	asked := func(recorded, there string) string {
		return "sum(" + series(recorded, project) + ") or 0 * sum(" + series(there, project) + ")"
	}
	return []board.Panel{
		{
			Title: "CPU by workload, and asked for", Width: 12, Height: 10, Unit: board.Cores,
			What:   "CPU of the ten workloads that used most over the visible range, over 5 minutes; grey is all others. Dashed orange: what all of them asked for, a request or else a limit (0: nothing).",
			Normal: "a daily wave below the orange line.",
			Do:     "above the line: what it uses may be taken away when the node is busy, ask for more. Far below: see efficiency.",
			Queries: append(topStacked("workload_container:cpu_usage_cores:sum", perWorkload, project, "{{workload}}", "all others", "0.001"),
				board.Query{Expr: asked("project_cluster:cpu_request_cores:sum", "project_cluster:cpu_usage_cores:sum"), Legend: "asked for", Look: board.Request}),
			View: board.Timeseries{Axis: "cores", Drawn: board.Stacked, Links: []board.Link{toWorkload(label)}},
		},
		{
			Title: "Memory by workload, and asked for", Width: 12, Height: 10, Unit: board.Bytes,
			What:   "Working set of the ten workloads that held most over the visible range; grey is all others. Dashed orange: what all of them asked for, a request or else a limit (0: nothing).",
			Normal: "flat between releases, below the orange line.",
			Do:     "a slope that does not end is a leak: open the workload.",
			Queries: append(topStacked("workload_container:memory_working_set_bytes:sum", perWorkload, project, "{{workload}}", "all others", "1"),
				board.Query{Expr: asked("project_cluster:memory_request_bytes:sum", "project_cluster:memory_working_set_bytes:sum"), Legend: "asked for", Look: board.Request}),
			View: board.Timeseries{Drawn: board.Stacked, Links: []board.Link{toWorkload(label)}},
		},
	}
}

func availability() board.Panel {
	there := series(containersThere, project)
	found := series("project:availability_bad:ratio5m", `project=~"$project"`)
	return board.Panel{
		Title: "Replicas missing", Width: 12, Height: 8, Unit: board.Ratio, Thresholds: line(budgetPace*0.001, board.Red),
		What:   "Missing replicas as a share of those that should be, over 5 minutes, ten worst projects. The dashed line is where the budget of 30 days burns 14.4 times too fast and an alert begins.",
		Normal: "0.", Do: "a bump at each release: too few replicas may be away at once; let the new ones come first.",
		Queries: []board.Query{{Expr: orNobody("topk(10, "+found+")", there, found, "no orchestrator tells replicas"), Legend: "{{project}}{{note}}"}},
		View:    board.Timeseries{Marked: board.Threshold},
	}
}

func quota() board.Panel {
	const labels = "namespace, resource"
	used, hard := series("kube_resourcequota", `type="used", `+project), series("kube_resourcequota", `type="hard", `+project)
	found := share(by("max", labels, used), "("+by("max", labels, hard)+" > 0)")
	return board.Panel{
		Title: "Quota used, twenty fullest", Width: 12, Height: 8, Unit: board.Count,
		What:    "Use of Kubernetes' resource quotas by namespace and resource, twenty fullest.",
		Normal:  "below nine tenths; one row that says none where there is no quota.",
		Do:      "at 100 % new pods are refused: ask for more, or give back what is not used.",
		Queries: []board.Query{{Expr: orRow("topk(20, "+found+")", "0", "no quota here")}},
		View: board.Table{
			Labels: []board.Column{noteColumn(), {Of: "namespace", Title: "Namespace"}, {Of: "resource", Title: "Resource"}},
			Values: []board.Column{{Title: "Used", Unit: board.Ratio, Decimals: "0", Cell: board.Gauge, Thresholds: good(closeLimit, fullQuota)}},
			Sort:   "Used",
		},
	}
}

func acrossSites() []board.Panel {
	panel := func(title, what, do, recorded string, unit board.Unit, axis string) board.Panel {
		return board.Panel{
			Title: title, Width: 8, Height: 8, Unit: unit, What: what + " by IDC and cluster.", Normal: "as it was planned.", Do: do,
			Queries: []board.Query{{Expr: "topk(10, " + by("sum", "idc, cluster", series(recorded, project)) + ")", Legend: "{{idc}} {{cluster}}"}},
			View:    board.Timeseries{Axis: axis, Drawn: board.Stacked, Links: []board.Link{toCluster(label)}},
		}
	}
	return []board.Panel{
		panel("Containers by site", "Containers", "a site that lost its share: its containers went elsewhere, or are gone.", containersThere, board.Count, ""),
		panel("CPU by site", "CPU", "one site alone carries the load: would the others, if it failed? See capacity.", "project_cluster:cpu_usage_cores:sum", board.Cores, "cores"),
		panel("Memory by site", "Working set", "a site that holds more per container than the others: another version, or another load.", "project_cluster:memory_working_set_bytes:sum", board.Bytes, ""),
	}
}
