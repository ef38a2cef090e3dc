package main

import "github.com/plimsoll/plimsoll/dashboards/internal/board"

// perNode tells nodes apart.
const perNode = "idc, cluster, node"

// Shares of what nodes have, one value per node, of the nodes of a selector.
func nodeCores(selector string) string {
	return by("max", perNode, series("machine_cpu_cores", selector))
}

func nodeMemory(selector string) string {
	return by("max", perNode, series("machine_memory_bytes", selector))
}

func nodeCPUShare(selector string) string {
	return share(by("sum", perNode, rate("container_cpu_usage_seconds_total", `id="/", `+selector)), nodeCores(selector))
}

func nodeMemoryShare(selector string) string {
	return share(by("max", perNode, series(running, `id="/", `+selector)), nodeMemory(selector))
}

// diskShares has one value per file system.
func diskShares(selector string) string {
	labels := perNode + ", device"
	return share(by("max", labels, series("container_fs_usage_bytes", `id="/", `+selector)), "("+by("max", labels, series("container_fs_limit_bytes", `id="/", `+selector))+" > 0)")
}

// noPressureNode is for kernels without pressure stall information.
const noPressureNode = "-1"

func noPressureText() []board.Text {
	return []board.Text{{Value: noPressureNode, Word: "not counted", Color: board.Grey}}
}

// nodeTable has one row per node of a selector: how full it is, what it suffers, whether it is heard.
func nodeTable(selector string, height uint32) board.Panel {
	nodes := nodeCores(selector)
	stall := by("max", perNode, rate("container_pressure_memory_waiting_seconds_total", `id="/", `+selector))
	known := by("max", perNode, "last_over_time("+series("machine_cpu_cores", selector)+"["+recently+"])")
	return board.Panel{
		Title: "Nodes", Width: 24, Height: height, Unit: board.Count,
		What: "One row per node: how full it is (everything on it, not only containers), its fullest disk, the share of time something on it waited for memory, its containers, " +
			"how old its newest acknowledged figures are, how far its clock is off, and since when it was heard last.",
		Normal: "CPU and memory below three quarters, a lag of one interval, a clock within a second.",
		Do:     "open the node that stands out from its neighbours; for one that is silent, run agent doctor there.",
		Queries: []board.Query{
			{Expr: nodeCPUShare(selector)},
			{Expr: nodeMemoryShare(selector)},
			{Expr: by("max", perNode, diskShares(selector)) + " or 0 * " + nodes + " - 1"},
			{Expr: stall + " or 0 * " + nodes + " - 1"},
			{Expr: orZeroFor(by("sum", perNode, series("project_node:containers:count", selector)), nodes)},
			{Expr: by("max", perNode, series("plimsoll_agent_remote_write_lag_seconds", selector)) + " or 0 * " + nodes + " - 1"},
			{Expr: by("max", perNode, "abs("+series("plimsoll_collector_agent_clock_skew_seconds", selector)+")") + " or 0 * " + nodes + " - 1"},
			{Expr: "1000 * " + by("max", perNode, series("plimsoll_collector_agent_last_received_timestamp_seconds", selector)) + " or 1000 * timestamp(" + known + ")"},
		},
		View: board.Table{
			Labels: []board.Column{
				{Of: "node", Title: "Node", Link: toNode(cell)}, {Of: "idc", Title: "IDC"}, {Of: "cluster", Title: "Cluster", Link: toCluster(cell)},
			},
			Values: []board.Column{
				{Title: "CPU", Unit: board.Ratio, Decimals: "0", Cell: board.Gauge, Thresholds: good(busySite, fullSite)},
				{Title: "Memory", Unit: board.Ratio, Decimals: "0", Cell: board.Gauge, Thresholds: good(busySite, fullNodeMemory)},
				{Title: "Fullest disk", Unit: board.Ratio, Decimals: "0", Cell: board.Gauge, Thresholds: good(fillingDisk, fullDisk), Texts: []board.Text{{Value: "-1", Word: "not read", Color: board.Grey}}},
				{Title: "Memory stall", Unit: board.Ratio, Decimals: "1", Cell: board.Colored, Thresholds: good(nodeStall/2, nodeStall), Texts: noPressureText()},
				{Title: "Containers", Decimals: "0"},
				{Title: "Lag", Unit: board.Seconds, Decimals: "0", Cell: board.Colored, Thresholds: good(lateSeconds, farBehind), Texts: untoldText()},
				{Title: "Clock off", Unit: board.Seconds, Decimals: "2", Cell: board.Colored, Thresholds: board.Thresholds{Base: board.Green, Steps: []board.Step{{From: clockOff, Color: board.Red}}}, Texts: untoldText()},
				{Title: "Heard", Unit: board.UnixMillis},
			},
			Sort: "CPU",
		},
	}
}

// fullest is a share that is drawn for the ten nodes where it is largest.
func fullestNodes(title, what, do, expr string, marks board.Thresholds) board.Panel {
	return board.Panel{
		Title: title, Width: 12, Height: 8, Unit: board.Ratio, Thresholds: marks,
		What: what + " The ten highest at every moment.", Normal: "the lines lie close together.", Do: do,
		Queries: []board.Query{{Expr: "topk(10, " + expr + ")", Legend: "{{node}}"}},
		View:    board.Timeseries{Marked: board.Threshold, Links: []board.Link{toNode(label)}},
	}
}

// nodePressure is what nodes as a whole suffer from.
func nodePressure(selector string) []board.Panel {
	panel := func(what, kind, do string, marks board.Thresholds) board.Panel {
		counter := "container_pressure_" + kind + "_seconds_total"
		on := `id="/", ` + selector
		found := by("max", perNode, rate(counter, on))
		return board.Panel{
			Title: "Waiting for " + what, Width: 8, Height: 8, Unit: board.Ratio, Thresholds: marks,
			What:   "The share of time in which something on the node waited for " + what + ". The ten worst nodes at every moment.",
			Normal: "a few percent.", Do: do,
			Queries: []board.Query{{
				Expr:   orWords("topk(10, "+found+")", "count("+series("machine_cpu_cores", selector)+")", "sum("+over(counter, on, "$__rate_interval")+")", "no kernel here counts pressure"),
				Legend: "{{node}}{{note}}",
			}},
			View: board.Timeseries{Marked: board.Threshold, Links: []board.Link{toNode(label)}},
		}
	}
	return []board.Panel{
		panel("CPU", "cpu_waiting", "more work than cores: the consumers of the node say whose.", line(cpuWait, board.Orange)),
		panel("memory", "memory_waiting", "it takes pages back instead of working: move the largest away.", line(nodeStall, board.Red)),
		panel("I/O", "io_waiting", "look for the container that reads or writes most.", line(ioStall, board.Orange)),
	}
}

// disks are the file systems of nodes, now and in a day.
func disks(selector string) []board.Panel {
	labels := perNode + ", device"
	limit := "(" + by("max", labels, series("container_fs_limit_bytes", `id="/", `+selector)) + " > 0)"
	ahead := share(by("max", labels, "predict_linear("+series("container_fs_usage_bytes", `id="/", `+selector)+"[6h:5m], 24 * 3600)"), limit)
	note := func(expr, probe, word string) string {
		return orWords("topk(10, "+expr+")", "count("+series("machine_cpu_cores", selector)+")", probe, word)
	}
	there := "count(" + series("container_fs_usage_bytes", `id="/", `+selector) + ")"
	return []board.Panel{
		{
			Title: "Disks, how full", Width: 12, Height: 8, Unit: board.Ratio, Thresholds: board.Thresholds{Base: board.Green, Steps: []board.Step{{From: fillingDisk, Color: board.Orange}, {From: fullDisk, Color: board.Red}}},
			What:   "Used share of the file systems, ten fullest at every moment.",
			Normal: "below the first dashed line, where Kubernetes begins to remove images.",
			Do:     "remove images and logs, then move what writes most.",
			Queries: []board.Query{
				{Expr: note(diskShares(selector), there, "no file system was read yet"), Legend: "{{node}} {{device}}{{note}}"},
			},
			View: board.Timeseries{Marked: board.Threshold},
		},
		{
			Title: "Disks, in 24 hours", Width: 12, Height: 8, Unit: board.Ratio, Thresholds: line(1, board.Red),
			What:   "What the used share will be in a day if it goes on as in the last 6 hours, ten highest. Above 100 % the disk is full before.",
			Normal: "as flat as the picture beside it.",
			Do:     "above the line find what grows now: a log, a writable layer, an image pull.",
			Queries: []board.Query{
				{Expr: note(ahead, "sum("+ahead+")", "too short a past: ten minutes are needed"), Legend: "{{node}} {{device}}{{note}}"},
			},
			View: board.Timeseries{Marked: board.Threshold},
		},
	}
}
