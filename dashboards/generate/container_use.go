package main

import "github.com/plimsoll/plimsoll/dashboards/internal/board"

// orZeroLimit gives 0 where an instance has no limit, and says so in the legend.
func orZeroLimit(limit string) string {
	return orNoteGauge("("+limit+" > 0)", perInstance, there(), ": none")
}

// counted sums a counter's rate per instance, and says in words where the kernel has no such counter.
func counted(metric, note string) string {
	return orNote(by("sum", perInstance, rate(metric, one)), perInstance, there(), metric, one, note)
}

// gauged is the same for what is no counter.
func gauged(metric, note string) string {
	return orNoteGauge(by("max", perInstance, series(metric, one)), perInstance, there(), note)
}

const (
	noBlockIO  = ": not counted by this kernel"
	noNetwork  = ": no network of its own"
	noPressure = ": this kernel counts no pressure"
	noSwap     = ": swap is not counted"
)

func cpuPanel() board.Panel {
	return board.Panel{
		Title: "CPU", Width: 12, Height: 9, Unit: board.Cores,
		What:   "CPU time per second in the program (user) and in the kernel on its behalf (system), on top of each other. Dashed red: the CPU limit; the legend says where there is none.",
		Normal: "below the limit, user well above system.",
		Do:     "at the limit it is throttled: raise the limit or the replicas. Much system time is often many small reads, writes or page faults.",
		Queries: []board.Query{
			{Expr: by("sum", perInstance, rate("container_cpu_user_seconds_total", one)), Legend: "{{name}} user"},
			{Expr: by("sum", perInstance, rate("container_cpu_system_seconds_total", one)), Legend: "{{name}} system"},
			{Expr: orZeroLimit(cpuLimit()), Legend: "{{name}} limit{{note}}", Look: board.Limit},
		},
		View: board.Timeseries{Axis: "cores", Drawn: board.Stacked},
	}
}

func memoryPanel() board.Panel {
	return board.Panel{
		Title: "Memory", Width: 12, Height: 9, Unit: board.Bytes,
		What: "On top of each other: rss (memory the program asked for) and cache (files the kernel keeps for it, given back when needed). Lines: the working set (everything but idle cache) and " +
			"the unreclaimable part (rss, shared and kernel memory), which alone leads to an OOM kill. Dashed red: the limit; the legend says where there is none.",
		Normal: "rss flat; cache may fill whatever is left.",
		Do:     "unreclaimable near the limit: raise the limit or find what grows. A working set near the limit with little rss is only busy cache.",
		Queries: []board.Query{
			{Expr: by("max", perInstance, series("container_memory_rss", one)), Legend: "{{name}} rss"},
			{Expr: by("max", perInstance, series("container_memory_cache", one)), Legend: "{{name}} cache"},
			{Expr: by("max", perInstance, series("container_memory_working_set_bytes", one)), Legend: "{{name}} working set", Look: board.Line},
			{Expr: by("max", perInstance, series("container_memory_unreclaimable_bytes", one)), Legend: "{{name}} unreclaimable", Look: board.Line},
			{Expr: orZeroLimit(by("max", perInstance, series("container_spec_memory_limit_bytes", one))), Legend: "{{name}} limit{{note}}", Look: board.Limit},
		},
		View: board.Timeseries{Drawn: board.Stacked},
	}
}

func networkPanel() board.Panel {
	return board.Panel{
		Title: "Network", Width: 8, Height: 8, Unit: board.BytesPerSecond,
		What:   "Bytes per second received (above zero) and sent (below), all interfaces. A container on the host's network, or in its pod's, has none of its own; the legend then says so.",
		Normal: "follows its load.",
		Do:     "a step without a release: ask who began to call it, or what it began to fetch.",
		Queries: []board.Query{
			{Expr: counted("container_network_receive_bytes_total", noNetwork), Legend: "{{name}} in{{note}}"},
			{Expr: counted("container_network_transmit_bytes_total", noNetwork), Legend: "{{name}} out{{note}}", Look: board.Below},
		},
		View: board.Timeseries{},
	}
}

func blockIOPanel() board.Panel {
	return board.Panel{
		Title: "Block I/O", Width: 8, Height: 8, Unit: board.BytesPerSecond,
		What:   "Bytes per second read from disks (above zero) and written (below). What the page cache answers is not counted; some kernels do not count per container at all, and the legend then says so.",
		Normal: "writes follow its load, reads are rare after the start.",
		Do:     "steady reads of the same data: its cache does not fit into its memory limit.",
		Queries: []board.Query{
			{Expr: counted("container_fs_reads_bytes_total", noBlockIO), Legend: "{{name}} read{{note}}"},
			{Expr: counted("container_fs_writes_bytes_total", noBlockIO), Legend: "{{name}} written{{note}}", Look: board.Below},
		},
		View: board.Timeseries{},
	}
}

func waitingPanel() board.Panel {
	return board.Panel{
		Title: "Held back", Width: 8, Height: 8, Unit: board.Ratio, Thresholds: line(throttled, board.Orange),
		What:   "Throttled: the share of its CPU periods in which its CPU limit stopped it, 0 without a limit. Waiting: the share of time in which a task of it was ready and had no CPU, by its limit or because the node is busy.",
		Normal: "both below the dashed line.",
		Do:     "throttled: raise the limit. Waiting and not throttled: the node is overloaded.",
		Queries: []board.Query{
			{Expr: throttledOrFree(perInstance, one), Legend: "{{name}} throttled", Look: board.Held},
			{Expr: counted("container_pressure_cpu_waiting_seconds_total", noPressure), Legend: "{{name}} waiting for CPU{{note}}", Look: board.Neutral},
		},
		View: board.Timeseries{Marked: board.Threshold},
	}
}
