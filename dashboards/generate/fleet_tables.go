package main

import (
	"fmt"

	"github.com/plimsoll/plimsoll/dashboards/internal/board"
)

func siteTable() board.Panel {
	const labels = "idc, cluster"
	nodes := by("max", "idc, cluster, node", series("machine_cpu_cores", site))
	known := by("count", labels, reporting(recently))
	return board.Panel{
		Title: "IDC and cluster", Width: 24, Height: 6, Unit: board.Count,
		What:   "One row per cluster: how many containers and nodes, how full the nodes are (everything on them, not only containers), what fires, and which nodes have gone silent.",
		Normal: "CPU and memory below three quarters, nothing firing, no silent node.",
		Do:     "above nine tenths move a project or add nodes; for a silent node run agent doctor there.",
		Queries: []board.Query{
			{Expr: orZeroFor(by("sum", labels, series("project_cluster:containers:count", site)), by("count", labels, nodes))},
			{Expr: by("count", labels, nodes)},
			{Expr: share(by("sum", labels, rate("container_cpu_usage_seconds_total", machine)), by("sum", labels, nodes))},
			{Expr: share(by("sum", labels, series(running, machine)), by("sum", labels, by("max", "idc, cluster, node", series("machine_memory_bytes", site))))},
			{Expr: orZeroFor(by("count", labels, series("ALERTS", `alertstate="firing", alertname!="Watchdog", `+site)), by("count", labels, nodes))},
			{Expr: orZeroFor(by("count", labels, reporting(recently)+" unless on (idc, cluster, node) "+reporting(silentAfter)), known)},
		},
		View: board.Table{
			Labels: []board.Column{{Of: "idc", Title: "IDC"}, {Of: "cluster", Title: "Cluster", Link: toCluster(cell)}},
			Values: []board.Column{
				{Title: "Containers", Decimals: "0"},
				{Title: "Nodes", Decimals: "0"},
				{Title: "CPU", Unit: board.Ratio, Decimals: "1", Cell: board.Gauge, Thresholds: good(busySite, fullSite)},
				{Title: "Memory", Unit: board.Ratio, Decimals: "1", Cell: board.Gauge, Thresholds: good(busySite, fullSite)},
				{Title: "Firing", Decimals: "0", Cell: board.Colored, Thresholds: zeroIsGood(board.Red)},
				{Title: "Silent nodes", Decimals: "0", Cell: board.Colored, Thresholds: zeroIsGood(board.Red)},
			},
			Sort: "Firing",
		},
	}
}

func projectTable() board.Panel {
	const labels = "project"
	there := by("sum", labels, series("project_cluster:containers:count", project))
	return board.Panel{
		Title: "Projects, worst first", Width: 24, Height: 8, Unit: board.Count,
		What:   "One row per project: alerts that fire, what it runs and uses, who was killed or restarted in 24 hours, and the share of CPU periods in which its limited containers were held back (0 where none has a CPU limit).",
		Normal: "the columns Firing and OOM kills are 0 from top to bottom.",
		Do:     "start with the first row; its name opens the project.",
		Queries: []board.Query{
			{Expr: orZeroFor(by("count", labels, series("ALERTS", `alertstate="firing", alertname!="Watchdog", `+project+`, project!=""`)), there)},
			{Expr: there},
			{Expr: by("sum", labels, series("project_cluster:cpu_usage_cores:sum", project))},
			{Expr: by("sum", labels, series("project_cluster:memory_working_set_bytes:sum", project))},
			{Expr: orZeroFor("round("+by("sum", labels, oomKills(project))+")", there)},
			{Expr: orZeroFor("round("+by("sum", labels, restarts(project))+")", there)},
			{Expr: orZeroFor(throttledProjects(labels, project), there)},
		},
		View: board.Table{
			Labels: []board.Column{{Of: "project", Title: "Project", Link: toProject(cell)}},
			Values: []board.Column{
				{Title: "Firing", Decimals: "0", Cell: board.Colored, Thresholds: zeroIsGood(board.Red)},
				{Title: "Containers", Decimals: "0"},
				{Title: "CPU, cores", Decimals: "2"},
				{Title: "Memory", Unit: board.Bytes},
				{Title: "OOM kills, 24 h", Decimals: "0", Cell: board.Colored, Thresholds: zeroIsGood(board.Red)},
				{Title: "Restarts, 24 h", Decimals: "0", Cell: board.Colored, Thresholds: zeroIsGood(board.Orange)},
				{Title: "Throttled", Unit: board.Ratio, Decimals: "1", Cell: board.Gauge, Thresholds: good(throttled/2, throttled)},
			},
			Sort: "Firing",
		},
	}
}

// throttledShare is the share of its CPU periods in which a container with a CPU limit was stopped. An idle one has
// no periods at all, and was never stopped: the floor of the divisor makes that 0 and not 0/0.
func throttledShare(labels, selector string) string {
	return share(by("sum", labels, rate("container_cpu_cfs_throttled_periods_total", selector)),
		"clamp_min("+by("sum", labels, rate("container_cpu_cfs_periods_total", selector))+", 1e-9)")
}

// throttledOrFree is throttledShare, and 0 for what has no CPU limit: nothing can throttle it.
func throttledOrFree(labels, selector string) string {
	return fmt.Sprintf("%s or on (%s) 0 * (%s unless on (%s) %s)", throttledShare(labels, selector), labels,
		by("count", labels, series(running, selector)), labels, series("container_spec_cpu_quota", selector))
}

// throttledProjects is throttledShare of recorded series, over whole projects.
func throttledProjects(labels, selector string) string {
	return share(by("sum", labels, series("project_cluster:cpu_throttled_periods:rate5m", selector)),
		"clamp_min("+by("sum", labels, series("project_cluster:cpu_cfs_periods:rate5m", selector))+", 1e-9)")
}

// perContainer tells containers apart on the pages of many; replicas of a Compose service on one node are one row.
const perContainer = "project, workload, node, pod, container"

func containerColumns() []board.Column {
	return []board.Column{
		{Of: "container", Title: "Container", Link: toContainer(cell)},
		{Of: "pod", Title: "Pod"},
		{Of: "node", Title: "Node", Link: toNode(cell)},
		{Of: "workload", Title: "Workload", Link: toWorkload(cell)},
		{Of: "project", Title: "Project", Link: toProject(cell)},
	}
}

// beside gives the rows of top the value of another figure. top comes first: an engine that evaluates from the left looks for
// the figures of its rows alone.
func beside(top, figure string) string {
	return "0 * " + top + " + on (" + perContainer + ") " + figure
}

// ofLimit is a share of a limit for the rows of top, and noLimit for those without one.
func ofLimit(top, share string) string {
	return share + " or on (" + perContainer + ") (0 * " + top + " - 1)"
}

func busiestTable(selector string) board.Panel {
	recorded := func(metric, function string) string { return by(function, perContainer, series(metric, selector)) }
	top := "topk(20, " + recorded("container:cpu_usage_cores:rate5m", "sum") + " and on (" + perContainer + ") " + recorded("container:memory_working_set_bytes:max", "max") + ")" // a rate outlives its container
	return board.Panel{
		Title: "Busiest containers", Width: 12, Height: 9, Unit: board.Count,
		What:   "The 20 containers that use most CPU, over 5 minutes, what that is of their limit, and the share of CPU periods in which they were held back by it.",
		Normal: "known heavy workloads, not throttled.",
		Do:     "open the container; throttled above a quarter, raise its limit or its replicas.",
		Queries: []board.Query{
			{Expr: top},
			{Expr: beside(top, recorded("container:cpu_limit_used:ratio", "max"))},
			{Expr: beside(top, recorded("container:cpu_throttled_periods:ratio_rate5m", "max")) + " or 0 * " + top},
		},
		View: board.Table{
			Labels: containerColumns(),
			Values: []board.Column{
				{Title: "CPU, cores", Decimals: "3"},
				{Title: "Of limit", Unit: board.Ratio, Decimals: "0", Cell: board.Gauge, Thresholds: good(closeLimit, nearLimit), Texts: noLimitText()},
				{Title: "Throttled", Unit: board.Ratio, Decimals: "0", Cell: board.Gauge, Thresholds: good(throttled/2, throttled)},
			},
			Sort: "CPU, cores",
		},
	}
}

func largestTable(selector string) board.Panel {
	recorded := func(metric string) string { return by("max", perContainer, series(metric, selector)) }
	top := "topk(20, " + recorded("container:memory_working_set_bytes:max") + ")"
	held, limit := recorded("container:memory_unreclaimable_bytes:max"), recorded("container:memory_limit_bytes:max")
	return board.Panel{
		Title: "Largest containers", Width: 12, Height: 9, Unit: board.Count,
		What:   "The 20 containers with the largest working set. Of limit counts only what the kernel cannot take back (anonymous, shared and kernel memory): that is what ends in an OOM kill; file cache never does.",
		Normal: "below three quarters of the limit.",
		Do:     "above nine tenths an OOM kill is near: open the container and look whether it still grows.",
		Queries: []board.Query{
			{Expr: top},
			{Expr: beside(top, held)},
			{Expr: ofLimit(top, "("+beside(top, held)+") / on ("+perContainer+") "+limit)},
		},
		View: board.Table{
			Labels: containerColumns(),
			Values: []board.Column{
				{Title: "Working set", Unit: board.Bytes},
				{Title: "Unreclaimable", Unit: board.Bytes},
				{Title: "Of limit", Unit: board.Ratio, Decimals: "0", Cell: board.Gauge, Thresholds: good(closeLimit, nearLimit), Texts: noLimitText()},
			},
			Sort: "Working set",
		},
	}
}
