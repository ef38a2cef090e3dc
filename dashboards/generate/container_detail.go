package main

import "github.com/plimsoll/plimsoll/dashboards/internal/board"

func pressureDetail() []board.Panel {
	panel := func(what, kind string, alert float64, do string) board.Panel {
		return board.Panel{
			Title: "Pressure on " + what, Width: 8, Height: 8, Unit: board.Ratio, Thresholds: line(alert, board.Orange),
			What:   "The share of time lost for want of " + what + ". Some: at least one task waited; all: no task could go on.",
			Normal: "near 0; the dashed line is where the alert begins.",
			Do:     do,
			Queries: []board.Query{
				{Expr: counted("container_pressure_"+kind+"_waiting_seconds_total", noPressure), Legend: "{{name}} some{{note}}"},
				{Expr: counted("container_pressure_"+kind+"_stalled_seconds_total", noPressure), Legend: "{{name}} all{{note}}", Look: board.Alarm},
			},
			View: board.Timeseries{Marked: board.Threshold},
		}
	}
	return []board.Panel{
		panel("CPU", "cpu", cpuWait, "throttled: raise the limit; not throttled: move a neighbour off the node."),
		panel("memory", "memory", memoryStall, "it works against its memory limit: raise it before it is killed."),
		panel("I/O", "io", ioStall, "look at the disk of the node and at who else uses it."),
	}
}

func memoryDetail() []board.Panel {
	return []board.Panel{
		{
			Title: "Peak, mapped files and swap", Width: 12, Height: 8, Unit: board.Bytes,
			What:   "The highest usage since the start, cache included; files mapped into its memory; what was moved out to swap.",
			Normal: "swap is 0.",
			Do:     "swap that is read back makes everything slow: give it more memory.",
			Queries: []board.Query{
				{Expr: gauged("container_memory_max_usage_bytes", ": this kernel keeps no peak"), Legend: "{{name}} peak{{note}}"},
				{Expr: gauged("container_memory_mapped_file", ": not counted"), Legend: "{{name}} mapped files{{note}}"},
				{Expr: gauged("container_memory_swap", noSwap), Legend: "{{name}} swap{{note}}"},
			},
			View: board.Timeseries{},
		},
		{
			Title: "Page faults and refused memory", Width: 12, Height: 8, Unit: board.PerSecond,
			What:   "Major page faults: memory that had to be read from a disk first. Limit hits: times the limit made the kernel look for memory to take back.",
			Normal: "both near 0 after the start.",
			Do:     "both together: the working files no longer fit under the limit.",
			Queries: []board.Query{
				{Expr: by("sum", perInstance, rate("container_memory_failures_total", `failure_type="pgmajfault", scope="container", `+one)), Legend: "{{name}} major page faults"},
				{Expr: counted("container_memory_failcnt", ": not counted by cgroup v2"), Legend: "{{name}} limit hits{{note}}"},
			},
			View: board.Timeseries{},
		},
	}
}

func networkDetail() []board.Panel {
	pair := func(title, what, do, in, out string) board.Panel {
		return board.Panel{
			Title: title, Width: 8, Height: 8, Unit: board.PacketsPerSec,
			What: what, Normal: "0, but for packets.", Do: do,
			Queries: []board.Query{
				{Expr: counted("container_network_receive_"+in, noNetwork), Legend: "{{name}} in{{note}}"},
				{Expr: counted("container_network_transmit_"+out, noNetwork), Legend: "{{name}} out{{note}}", Look: board.Below},
			},
			View: board.Timeseries{},
		}
	}
	return []board.Panel{
		pair("Packets", "Packets per second received (above zero) and sent (below).", "many small packets cost CPU: batch them.", "packets_total", "packets_total"),
		pair("Dropped packets", "Packets per second that were thrown away because a queue was full.", "drops on the way in: the program reads too slowly.", "packets_dropped_total", "packets_dropped_total"),
		pair("Network errors", "Packets per second that were damaged or could not be sent.", "look at the node's network interface.", "errors_total", "errors_total"),
	}
}

func processDetail() []board.Panel {
	return []board.Panel{
		{
			Title: "Threads and their limit", Width: 12, Height: 8, Unit: board.Count,
			What:   "Threads of all processes. Dashed red: the pids limit; the legend says where there is none.",
			Normal: "flat.",
			Do:     "a steady rise is a leak; at the limit no thread or process can be created any more.",
			Queries: []board.Query{
				{Expr: by("max", perInstance, series("container_threads", one)), Legend: "{{name}} threads"},
				{Expr: orZeroLimit(by("max", perInstance, series("container_threads_max", one))), Legend: "{{name}} limit{{note}}", Look: board.Limit},
			},
			View: board.Timeseries{},
		},
		{
			Title: "OOM kills and restarts", Width: 12, Height: 8, Unit: board.Count,
			What:   "How many happened in each step of the graph.",
			Normal: "nothing.",
			Do:     "bars that come back at a fixed distance are a crash loop.",
			Queries: []board.Query{
				{Expr: orZero("sum(" + over("container_oom_events_total", one, "$__rate_interval") + ")"), Legend: "OOM kills", Look: board.Alarm},
				{Expr: orZero("sum(" + over("container_restarts_total", one, "$__rate_interval") + ")"), Legend: "restarts", Look: board.Caution},
			},
			View: board.Timeseries{Drawn: board.Bars},
		},
	}
}
