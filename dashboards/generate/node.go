package main

import "github.com/plimsoll/plimsoll/dashboards/internal/board"

const (
	onNode        = site + `, node="$node"`              // the node
	containersOn  = project + `, node="$node"`           // containers on it
	alertsOnNodes = alertsInScope + `, node="$node"`     // alerts that name it
	consumer      = "project, workload, container, node" // who uses a node
)

// node answers: who is the noisy neighbour?
func node() board.Dashboard {
	return board.Dashboard{
		UID:         "cont-node",
		Title:       "Node",
		Description: "Who is the noisy neighbour? What uses a node, and what it suffers from.",
		Tags:        tags(),
		From:        "now-1h",
		Refresh:     "30s",
		Variables:   append(sites(), board.Variable{Name: "node", Label: "Node", Choice: board.One, Selector: series("machine_cpu_cores", site)}),
		Annotations: marks(alertsOnNodes, containersOn),
		Rows: []board.Row{
			{Title: "Now", Panels: nodeNow()},
			{Title: "The node", Panels: []board.Panel{nodeTable(onNode, 4)}},
			{Title: "Consumers", Panels: []board.Panel{cpuConsumers(), memoryConsumers()}},
			{Title: "Pressure", Panels: nodePressure(onNode)},
			{Title: "Disks", Panels: disks(onNode)},
			{Title: "Containers", Panels: []board.Panel{busiestTable(containersOn), largestTable(containersOn)}},
			{Title: "Network and block I/O", Fold: board.Folded, Panels: nodeTraffic()},
		},
	}
}

func nodeNow() []board.Panel {
	const width, height = 4, 4
	return []board.Panel{
		{
			Title: "CPU used", Width: width, Height: height, Unit: board.Ratio, Decimals: "0", Thresholds: good(busySite, fullSite),
			What: "CPU time everything on the node uses, as a share of its cores.", Normal: "below three quarters.", Do: "see the consumers below.",
			Queries: []board.Query{{Expr: share("sum("+rate("container_cpu_usage_seconds_total", `id="/", `+onNode)+")", "sum("+nodeCores(onNode)+")"), Legend: "CPU"}},
			View:    board.Stat{Trend: board.Sparkline},
		},
		{
			Title: "Memory used", Width: width, Height: height, Unit: board.Ratio, Decimals: "0", Thresholds: good(busySite, fullNodeMemory),
			What: "Working set of everything on the node, which is what is used without idle file cache, as a share of its memory.", Normal: "below three quarters.", Do: "see the consumers below.",
			Queries: []board.Query{{Expr: share("sum("+series(running, `id="/", `+onNode)+")", "sum("+nodeMemory(onNode)+")"), Legend: "memory"}},
			View:    board.Stat{Trend: board.Sparkline},
		},
		{
			Title: "Fullest disk", Width: width, Height: height, Unit: board.Ratio, Decimals: "0", Thresholds: good(fillingDisk, fullDisk), Texts: []board.Text{{Value: "-1", Word: "not read", Color: board.Grey}},
			What: "Used share of the fullest file system of the node.", Normal: "below 85 %.", Do: "remove images and logs, then move what writes most.",
			Queries: []board.Query{{Expr: "max(" + diskShares(onNode) + ") or vector(-1)", Legend: "fullest"}},
			View:    board.Stat{},
		},
		{
			Title: "Containers running", Width: width, Height: height, Unit: board.Count, Decimals: "0",
			What: "Real containers on it.", Normal: "as on its neighbours.", Do: "none on a node that should work: it is drained, or its engine is down.",
			Queries: []board.Query{{Expr: orZero("sum(" + series("project_node:containers:count", containersOn) + ")"), Legend: "containers"}},
			View:    board.Stat{},
		},
		oomStat(width, containersOn),
		firingStat(width, alertsOnNodes),
	}
}

// consumers are the ten largest of a recorded series, and what else is used of the whole.
func cpuConsumers() board.Panel {
	return board.Panel{
		Title: "CPU, ten largest consumers", Width: 12, Height: 10, Unit: board.Cores,
		What: "CPU of the ten containers that used most over the visible range, over 5 minutes, on top of each other; grey is everything else on the node, other containers and the system. " +
			"Dashed: the cores that are there.",
		Normal: "well below the dashed line, and no single container most of it.",
		Do:     "a container that took over is the noisy neighbour: give it a limit, or a node of its own.",
		Queries: append(consumers("container:cpu_usage_cores:rate5m", "sum("+rate("container_cpu_usage_seconds_total", `id="/", `+onNode)+")", "0.001"),
			board.Query{Expr: "sum(" + nodeCores(onNode) + ")", Legend: "capacity", Look: board.Capacity}),
		View: board.Timeseries{Axis: "cores", Drawn: board.Stacked, Links: []board.Link{toContainer(label)}},
	}
}

func memoryConsumers() board.Panel {
	return board.Panel{
		Title: "Memory, ten largest consumers", Width: 12, Height: 10, Unit: board.Bytes,
		What: "Working set of the ten containers that held most over the visible range, on top of each other; grey is everything else on the node, other containers and the system. " +
			"Dashed: the memory that is there.",
		Normal: "flat, and below the dashed line.",
		Do:     "the line that grows is the one to look at: open the container.",
		Queries: append(consumers("container:memory_working_set_bytes:max", "sum("+series(running, `id="/", `+onNode)+")", "1"),
			board.Query{Expr: "sum(" + nodeMemory(onNode) + ")", Legend: "capacity", Look: board.Capacity}),
		View: board.Timeseries{Drawn: board.Stacked, Links: []board.Link{toContainer(label)}},
	}
}

func consumers(metric, whole, digit string) []board.Query {
	all := by("sum", consumer, series(metric, containersOn))
	top := topOver(all, consumer, by("sum", consumer, "avg_over_time("+series(metric, containersOn)+"[$__range] @ end())"))
	return []board.Query{
		{Expr: top, Legend: "{{project}} {{workload}} {{container}}"},
		{Expr: orWords("clamp_min(round("+whole+" - sum("+top+"), "+digit+"), 0)", "count("+series("machine_cpu_cores", onNode)+")", "sum("+top+")", ": no container"), Legend: "everything else{{note}}", Look: board.Rest},
	}
}

func nodeTraffic() []board.Panel {
	pair := func(title, what, do, in, out, inName, outName, note string) board.Panel {
		top := func(counter string) string {
			return orWords("topk(5, "+by("sum", consumer, rate(counter, `container!="", `+containersOn))+")", "count("+series("machine_cpu_cores", onNode)+")",
				"sum("+over(counter, `container!="", `+containersOn, "$__rate_interval")+")", note)
		}
		return board.Panel{
			Title: title, Width: 12, Height: 8, Unit: board.BytesPerSecond, What: what, Normal: "follows the load.", Do: do,
			Queries: []board.Query{
				{Expr: top(in), Legend: "{{workload}} {{container}}{{note}} " + inName},
				{Expr: top(out), Legend: "{{workload}} {{container}}{{note}} " + outName, Look: board.Below},
			},
			View: board.Timeseries{Links: []board.Link{toContainer(label)}},
		}
	}
	return []board.Panel{
		pair("Network, five largest", "Bytes received (above zero) and sent (below) by the five containers that move most at every moment.", "a step without a release is worth a question.",
			"container_network_receive_bytes_total", "container_network_transmit_bytes_total", "in", "out", "no container has a network of its own"),
		pair("Block I/O, five largest", "Bytes read from disks (above zero) and written (below) by the five containers that move most; some kernels do not count.", "steady reads are a page cache that no longer fits.",
			"container_fs_reads_bytes_total", "container_fs_writes_bytes_total", "read", "written", "no kernel here counts block I/O"),
	}
}
