package main

import "github.com/plimsoll/plimsoll/dashboards/internal/board"

const containersThere = "project_cluster:containers:count"

// pressure is what the workloads of a selector suffer from: of each the worst container, and of those the ten worst.
func pressure(selector string) []board.Panel {
	const noPressure = "no kernel here counts pressure"
	panel := func(title, what, do, recorded, note string, alert float64) board.Panel {
		found := series(recorded, selector)
		return board.Panel{
			Title: title, Width: 12, Height: 8, Unit: board.Ratio, Thresholds: line(alert, board.Orange),
			What:   what + " Each line is the worst container of a workload, over 5 minutes; the ten worst workloads at every moment.",
			Normal: "near 0; the dashed line is where the alert begins.", Do: do,
			Queries: []board.Query{{
				Expr:   orNobody("topk(10, "+by("max", "project, workload", found)+")", series(containersThere, selector), found, note),
				Legend: "{{project}} {{workload}}{{note}}",
			}},
			View: board.Timeseries{Marked: board.Threshold, Links: []board.Link{toWorkload(label)}},
		}
	}
	return []board.Panel{
		panel("Throttled, ten worst", "The share of CPU periods in which a container was stopped by its own CPU limit.",
			"raise the limit, or spread the load over more replicas.",
			"workload_container:cpu_throttled_periods:ratio_max", "no container has a CPU limit", throttled),
		panel("Waiting for CPU, ten worst", "The share of time in which at least one task was ready to run and had no CPU, whether by its limit or because the node is busy.",
			"when it is not throttled, the node is overloaded: move a neighbour.",
			"workload_container:cpu_waiting:ratio_max", noPressure, cpuWait),
		panel("Stalled on memory, ten worst", "The share of time in which at least one task waited for the kernel to find memory.",
			"the container works against its memory limit: raise it before it is killed.",
			"workload_container:memory_waiting:ratio_max", noPressure, memoryStall),
		panel("Stalled on I/O, ten worst", "The share of time in which all tasks at once waited for a disk.",
			"batch work may do this; for a service, look at the disk of the node and at its neighbours.",
			"workload_container:io_stalled:ratio_max", noPressure, ioStall),
	}
}

// traffic is what the containers of a selector exchange with networks and disks, ten largest of the label.
func traffic(of, selector string) []board.Panel {
	const noNetwork, noBlockIO = "no container has a network of its own", "no kernel here counts block I/O"
	top := func(recorded, note string) string {
		found := series(recorded, selector)
		return orNobody("topk(10, "+by("sum", of, found)+")", series(containersThere, selector), found, note)
	}
	pair := func(title, what, do, in, out, inName, outName, note string) board.Panel {
		return board.Panel{
			Title: title, Width: 12, Height: 8, Unit: board.BytesPerSecond,
			What: what, Normal: "follows the load of the services.", Do: do,
			Queries: []board.Query{
				{Expr: top(in, note), Legend: "{{" + of + "}}{{note}} " + inName},
				{Expr: top(out, note), Legend: "{{" + of + "}}{{note}} " + outName, Look: board.Below},
			},
			View: board.Timeseries{},
		}
	}
	lost, packets := series("project_cluster:network_packets_lost:rate5m", selector), series("project_cluster:network_packets:rate5m", selector)
	return []board.Panel{
		pair("Network by "+of, "Bytes received (above zero) and sent (below) by the containers, ten largest. Containers on the host's network are not counted: their traffic is the host's.",
			"a step without a release or an event is worth asking the project about.",
			"project_cluster:network_received_bytes:rate5m", "project_cluster:network_sent_bytes:rate5m", "in", "out", noNetwork),
		pair("Block I/O by "+of, "Bytes read from disks (above zero) and written (below), as the block layer counts them per container; some kernels do not count at all, then the legend says so.",
			"reads that rise with memory pressure are a page cache that no longer fits.",
			"project_cluster:disk_read_bytes:rate5m", "project_cluster:disk_written_bytes:rate5m", "read", "written", noBlockIO),
		{
			Title: "Network errors by " + of, Width: 24, Height: 7, Unit: board.Ratio, Thresholds: line(netErrors, board.Orange),
			What:   "Packets that were dropped or damaged, as a share of all packets, ten worst.",
			Normal: "0; the dashed line is where the alert begins.",
			Do:     "look for a full queue or a mismatched MTU on the node; drops of one container alone are its own slowness.",
			Queries: []board.Query{{
				Expr: orNobody("topk(10, "+share(by("sum", of, lost), "clamp_min("+by("sum", of, packets)+", 1)")+")",
					series(containersThere, selector), packets, noNetwork),
				Legend: "{{" + of + "}}{{note}}",
			}},
			View: board.Timeseries{Marked: board.Threshold},
		},
	}
}
