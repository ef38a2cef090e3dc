package main

import "github.com/plimsoll/plimsoll/dashboards/internal/board"

// orNobody draws the note, at 0, while containers run and none of them has the counter. The 0 is not a measurement;
// the words say why.
func orNobody(expr, counter, note string) string {
	return expr + " or on () label_replace(0 * (count(" + series(running, real) + ") unless sum(" + over(counter, real, "$__rate_interval") + `)), "note", "` + note + `", "", "")`
}

func fleetPressure() []board.Panel {
	const labels = "project, workload"
	const noPressure = "no kernel here counts pressure"
	worst := func(metric string) string {
		return orNobody("topk(10, "+by("max", labels, rate(metric, real))+")", metric, noPressure)
	}
	panel := func(title, what, do, expr string, alert float64) board.Panel {
		return board.Panel{
			Title: title, Width: 12, Height: 8, Unit: board.Ratio, Thresholds: line(alert, board.Orange),
			What: what + " Each line is the worst container of a workload; the ten worst workloads at every moment.", Normal: "near 0; the dashed line is where the alert begins.", Do: do,
			Queries: []board.Query{{Expr: expr, Legend: "{{project}} {{workload}}{{note}}"}},
			View:    board.Timeseries{Marked: board.Threshold},
		}
	}
	return []board.Panel{
		panel("Throttled, ten worst", "The share of CPU periods in which a container was stopped by its own CPU limit.",
			"raise the limit, or spread the load over more replicas.",
			orNobody("topk(10, "+by("max", labels, throttledShare(perContainer+", workload", real))+")", "container_cpu_cfs_periods_total", "no container has a CPU limit"), throttled),
		panel("Waiting for CPU, ten worst", "The share of time in which at least one task was ready to run and had no CPU, whether by its limit or because the node is busy.",
			"when it is not throttled, the node is overloaded: move a neighbour.",
			worst("container_pressure_cpu_waiting_seconds_total"), cpuWait),
		panel("Stalled on memory, ten worst", "The share of time in which at least one task waited for the kernel to find memory.",
			"the container works against its memory limit: raise it before it is killed.",
			worst("container_pressure_memory_waiting_seconds_total"), memoryStall),
		panel("Stalled on I/O, ten worst", "The share of time in which all tasks at once waited for a disk.",
			"batch work may do this; for a service, look at the disk of the node and at its neighbours.",
			worst("container_pressure_io_stalled_seconds_total"), ioStall),
	}
}

func fleetTraffic() []board.Panel {
	const noNetwork, noBlockIO = "no container has a network of its own", "no kernel here counts block I/O"
	pair := func(title, what, do, in, out, inName, outName, note string) board.Panel {
		top := func(metric string) string {
			return orNobody("topk(10, "+by("sum", "project", rate(metric, real))+")", metric, note)
		}
		return board.Panel{
			Title: title, Width: 12, Height: 8, Unit: board.BytesPerSecond,
			What: what, Normal: "follows the load of the services.", Do: do,
			Queries: []board.Query{
				{Expr: top(in), Legend: "{{project}}{{note}} " + inName},
				{Expr: top(out), Legend: "{{project}}{{note}} " + outName, Look: board.Below},
			},
			View: board.Timeseries{},
		}
	}
	errors := by("sum", "project", rate("container_network_receive_errors_total", real)) + " + " + by("sum", "project", rate("container_network_transmit_errors_total", real)) +
		" + " + by("sum", "project", rate("container_network_receive_packets_dropped_total", real)) + " + " + by("sum", "project", rate("container_network_transmit_packets_dropped_total", real))
	packets := by("sum", "project", rate("container_network_receive_packets_total", real)) + " + " + by("sum", "project", rate("container_network_transmit_packets_total", real))
	return []board.Panel{
		pair("Network by project", "Bytes received (above zero) and sent (below) by the containers of the ten largest projects. Containers on the host's network are not counted: their traffic is the host's.",
			"a step without a release or an event is worth asking the project about.",
			"container_network_receive_bytes_total", "container_network_transmit_bytes_total", "in", "out", noNetwork),
		pair("Block I/O by project", "Bytes read from disks (above zero) and written (below), as the block layer counts them per container; some kernels do not count at all, then the legend says so.",
			"reads that rise with memory pressure are a page cache that no longer fits.",
			"container_fs_reads_bytes_total", "container_fs_writes_bytes_total", "read", "written", noBlockIO),
		{
			Title: "Network errors by project", Width: 24, Height: 7, Unit: board.Ratio, Thresholds: line(netErrors, board.Orange),
			What:    "Packets that were dropped or damaged, as a share of all packets, ten worst projects.",
			Normal:  "0; the dashed line is where the alert begins.",
			Do:      "look for a full queue or a mismatched MTU on the node; drops of one container alone are its own slowness.",
			Queries: []board.Query{{Expr: orNobody("topk(10, ("+errors+") / clamp_min("+packets+", 1))", "container_network_receive_packets_total", noNetwork), Legend: "{{project}}{{note}}"}},
			View:    board.Timeseries{Marked: board.Threshold},
		},
	}
}

func pipeline() []board.Panel {
	const width, height = 12, 7
	reasons := func(title, what, do, metric, selector string) board.Panel {
		return board.Panel{
			Title: title, Width: width, Height: height, Unit: board.PerSecond,
			What: what, Normal: "0.", Do: do,
			Queries: []board.Query{{Expr: "topk(5, " + by("sum", "reason", rate(metric, selector)) + ")", Legend: "{{reason}}"}},
			View:    board.Timeseries{Axis: "samples"},
		}
	}
	return []board.Panel{
		{
			Title: "Samples taken in", Width: width, Height: height, Unit: board.PerSecond,
			What:    "Samples the collector accepted from all agents, per second.",
			Normal:  "flat: it moves only with the number of containers.",
			Do:      "when it drops, look at nodes reporting, then at the agents' lag.",
			Queries: []board.Query{{Expr: "sum(rate(plimsoll_collector_samples_ingested_total[$__rate_interval]))", Legend: "samples"}},
			View:    board.Timeseries{Axis: "samples"},
		},
		{
			Title: "Agent lag, ten worst", Width: width, Height: height, Unit: board.Seconds, Thresholds: line(lateSeconds, board.Orange),
			What:    "How old the newest figures are that an agent has had acknowledged.",
			Normal:  "about one interval, 15 seconds.",
			Do:      "a growing lag is a collector that cannot be reached or cannot keep up; nothing is lost while the spool holds.",
			Queries: []board.Query{{Expr: "topk(10, " + by("max", "node", series("plimsoll_agent_remote_write_lag_seconds", site)) + ")", Legend: "{{node}}"}},
			View:    board.Timeseries{Marked: board.Threshold},
		},
		reasons("Samples refused", "Samples the collector did not accept, the five commonest reasons.", "the reason says what: a token, a limit, a bad label; the collector's log names the agent.",
			"plimsoll_collector_samples_rejected_total", `reason!=""`),
		reasons("Samples lost by agents", "Samples agents gave up, the five commonest reasons.", "a full spool after a long outage; give it more space or more age.",
			"plimsoll_agent_samples_dropped_total", site),
		{
			Title: "Spool on the nodes, ten largest", Width: width, Height: height, Unit: board.Bytes,
			What:    "Figures an agent holds on disk because they are not yet acknowledged.",
			Normal:  "one batch, some kilobytes.",
			Do:      "when it grows, the collector is away or slow; it is emptied by itself afterwards.",
			Queries: []board.Query{{Expr: "topk(10, " + by("max", "node", series("plimsoll_agent_spool_bytes", site)) + ")", Legend: "{{node}}"}},
			View:    board.Timeseries{},
		},
		{
			Title: "Agents by version", Width: width, Height: height, Unit: board.Count,
			What:    "How many agents run which version.",
			Normal:  "one version, two while agents are being updated.",
			Do:      "update those that were left behind.",
			Queries: []board.Query{{Expr: by("count", "version", series("plimsoll_agent_build_info", site))}},
			View: board.Table{
				Labels: []board.Column{{Of: "version", Title: "Version"}},
				Values: []board.Column{{Title: "Agents", Decimals: "0"}},
				Sort:   "Agents",
			},
		},
	}
}
