package main

import "github.com/plimsoll/plimsoll/dashboards/internal/board"

const (
	inWorkload       = project + `, namespace=~"$namespace", workload="$workload"`
	ofWorkload       = `container!="", ` + inWorkload + `, pod=~"$pod"`
	alertsOfWorkload = alertsInScope + `, workload="$workload"`
	// replica tells the containers of a workload apart: pods, tasks, or containers of one name on several nodes.
	replica = "node, pod, container, name"
)

// workload answers: which replica differs from its siblings, and why?
func workload() board.Dashboard {
	named := series("container_start_time_seconds", `container!="", `+project)
	return board.Dashboard{
		UID:         "cont-workload",
		Title:       "Workload",
		Description: "Which replica differs from its siblings, and why? One workload over all its replicas, its releases, and what it needs.",
		Tags:        tags(),
		From:        "now-6h",
		Refresh:     "30s",
		Variables: append(sites(),
			board.Variable{Name: "namespace", Label: "Namespace", Selector: named},
			board.Variable{Name: "workload", Label: "Workload", Choice: board.One, Selector: series("container_start_time_seconds", `container!="", `+project+`, namespace=~"$namespace"`)},
			board.Variable{Name: "pod", Label: "Pod", Selector: series("container_start_time_seconds", `container!="", `+inWorkload)},
		),
		Annotations: marks(alertsOfWorkload, inWorkload+`, pod=~"$pod"`),
		Rows: []board.Row{
			{Title: "Now", Panels: workloadNow()},
			{Title: "Replicas", Panels: append([]board.Panel{replicaTable()}, replicaUse()...)},
			{Title: "Events and releases", Panels: []board.Panel{eventBars(inWorkload + `, pod=~"$pod"`), versions()}},
			{Title: "Right-sizing", Panels: []board.Panel{needs()}},
			{Title: "Pressure", Fold: board.Folded, Panels: replicaPressure()},
			{Title: "Network and block I/O", Fold: board.Folded, Panels: replicaTraffic()},
		},
	}
}

func workloadNow() []board.Panel {
	const width, height = 4, 4
	return []board.Panel{
		readyStat(width, inWorkload),
		{
			Title: "Containers running", Width: width, Height: height, Unit: board.Count, Decimals: "0",
			What: "Containers of the workload that report now.", Normal: "as many as there should be replicas.", Do: "fewer: see what was killed or did not start.",
			Queries: []board.Query{{Expr: orZero("count(" + series(running, ofWorkload) + ")"), Legend: "containers"}},
			View:    board.Stat{Trend: board.Sparkline},
		},
		firingStat(width, alertsOfWorkload, toPage("What fires", "cont-incidents")),
		oomStat(width, inWorkload+`, pod=~"$pod"`),
		restartStat(width, inWorkload+`, pod=~"$pod"`),
		unhealthyReplicas(width),
	}
}

func unhealthyReplicas(width uint32) board.Panel {
	p := unhealthyStat(width, "")
	p.Queries = []board.Query{{Expr: orZero("count(" + series("container_health_state", ofWorkload) + " == 0)"), Legend: "unhealthy"}}
	return p
}

// limitOf is a limit of each replica, where there is one.
func limitOf(selector, spec string) string {
	return by("max", replica, series(spec, selector)) + " > 0"
}

func cpuLimitOf(selector string) string {
	return by("max", replica, series("container_spec_cpu_quota", selector)+" / "+series("container_spec_cpu_period", selector))
}

func replicaTable() board.Panel {
	there := by("max", replica, series(running, ofWorkload))
	top := "topk(50, " + there + ")"
	of := func(expr string) string { return "(" + expr + ") and on (" + replica + ") " + top }
	used := by("sum", replica, rate("container_cpu_usage_seconds_total", ofWorkload))
	held := by("max", replica, series("container_memory_unreclaimable_bytes", ofWorkload))
	return board.Panel{
		Title: "Replicas", Width: 24, Height: 9, Unit: board.Count,
		What: "One row per container of the workload, the fifty largest: what it uses, of which share of its limits, the share of CPU periods in which it was held back, " +
			"what its health check says, and when it was started.",
		Normal: "rows that look alike.",
		Do:     "the row that differs is the one to open: another node, another age, another load.",
		Queries: []board.Query{
			{Expr: of(used)},
			{Expr: of(used + " / on (" + replica + ") (" + cpuLimitOf(ofWorkload) + " > 0) or on (" + replica + ") (0 * " + there + " - 1)")},
			{Expr: of(throttledOrFree(replica, ofWorkload))},
			{Expr: top},
			{Expr: of(held + " / on (" + replica + ") (" + limitOf(ofWorkload, "container_spec_memory_limit_bytes") + ") or on (" + replica + ") (0 * " + there + " - 1)")},
			{Expr: of(by("max", replica, series("container_health_state", ofWorkload)))},
			{Expr: of("1000 * " + by("max", replica, series("container_start_time_seconds", ofWorkload)))},
		},
		View: board.Table{
			Labels: []board.Column{
				{Of: "container", Title: "Container", Link: to("Open the container", "cont-container", cell, []string{"node", "container"}, "idc", "cluster", "project")},
				{Of: "pod", Title: "Pod"}, {Of: "node", Title: "Node", Link: toNode(cell)}, {Of: "name", Title: "Name"},
			},
			Values: []board.Column{
				{Title: "CPU, cores", Decimals: "3"},
				{Title: "Of CPU limit", Unit: board.Ratio, Decimals: "0", Cell: board.Gauge, Thresholds: good(closeLimit, nearLimit), Texts: noLimitText()},
				{Title: "Throttled", Unit: board.Ratio, Decimals: "0", Cell: board.Gauge, Thresholds: good(throttled/2, throttled)},
				{Title: "Working set", Unit: board.Bytes},
				{Title: "Of memory limit", Unit: board.Ratio, Decimals: "0", Cell: board.Gauge, Thresholds: good(closeLimit, nearLimit), Texts: noLimitText()},
				{Title: "Health", Cell: board.Colored, Texts: healthTexts()},
				{Title: "Started", Unit: board.UnixMillis},
			},
			Sort: "CPU, cores",
		},
	}
}

// replicas draws the ten largest of a figure over the visible range, and the mean of all.
func replicas(expr, rank string) []board.Query {
	return []board.Query{
		{Expr: topOver(expr, replica, rank), Legend: "{{name}} {{node}}"},
		{Expr: "avg(" + expr + ")", Legend: "mean of all", Look: board.Line},
	}
}

// askedFor draws one dashed line for all replicas, at the lowest of them; the words say when there is none.
func askedFor(expr, name string, look board.Look) board.Query {
	return board.Query{
		Expr:   orWords("min("+expr+")", "count("+series(running, ofWorkload)+")", "count("+expr+")", ": none"),
		Legend: name + "{{note}}", Look: look,
	}
}

func replicaUse() []board.Panel {
	cpu := by("sum", replica, rate("container_cpu_usage_seconds_total", ofWorkload))
	cpuRank := by("sum", replica, "rate("+series("container_cpu_usage_seconds_total", ofWorkload)+"[$__range] @ end())")
	held := series("container_memory_unreclaimable_bytes", ofWorkload)
	heldRank := by("max", replica, "avg_over_time("+held+"[$__range] @ end())")
	grown := "(time() - " + by("max", replica, series("container_start_time_seconds", ofWorkload)) + " > 1800)" // before that it is the start that is prolonged
	memoryLimit := limitOf(ofWorkload, "container_spec_memory_limit_bytes")
	links := []board.Link{to("Open the container", "cont-container", label, []string{"node", "container"}, "idc", "cluster", "project")}
	return []board.Panel{
		{
			Title: "CPU of each replica, request and limit", Width: 12, Height: 9, Unit: board.Cores,
			What:   "CPU of the ten replicas that used most over the visible range, and the mean of all. Dashed: the request (orange) and the limit (red) of one replica, the lowest where they differ.",
			Normal: "lines close together, between request and limit at most at peaks.",
			Do:     "one line apart from the others: its load is uneven, or its node is slower. All at the limit: raise it, or add replicas.",
			Queries: append(replicas(cpu, cpuRank),
				askedFor(series("container_request_cpu_cores", ofWorkload), "request", board.Request),
				askedFor(cpuLimitOf(ofWorkload), "limit", board.Limit)),
			View: board.Timeseries{Axis: "cores", Links: links},
		},
		{
			Title: "Memory of each replica that cannot be taken back, and limit", Width: 12, Height: 9, Unit: board.Bytes,
			What: "Anonymous, shared and kernel memory, without file cache, of the ten replicas that held most: this alone ends in an OOM kill. The working set counts busy cache too and is higher. " +
				"Dashed: the request (orange) and the limit (red) of one replica, the lowest where they differ.",
			Normal: "flat after the start, lines close together.",
			Do:     "a slope that does not end is a leak; near the red line raise the limit before the kernel kills.",
			Queries: append(replicas(by("max", replica, held), heldRank),
				askedFor(series("container_request_memory_bytes", ofWorkload), "request", board.Request),
				askedFor(memoryLimit, "limit", board.Limit)),
			View: board.Timeseries{Links: links},
		},
		{
			Title: "Throttled replicas", Width: 12, Height: 8, Unit: board.Ratio, Thresholds: line(throttled, board.Orange),
			What:    "The share of CPU periods in which a replica was stopped by its CPU limit, ten worst at every moment; 0 without a limit.",
			Normal:  "below the dashed line.",
			Do:      "raise the limit or the replicas: requests take longer than they need to.",
			Queries: []board.Query{{Expr: "topk(10, " + throttledOrFree(replica, ofWorkload) + ")", Legend: "{{name}} {{node}}"}},
			View:    board.Timeseries{Marked: board.Threshold, Links: links},
		},
		{
			Title: "Memory in 4 hours, and limit", Width: 12, Height: 8, Unit: board.Bytes,
			What:   "Where memory that cannot be taken back will be in 4 hours if it goes on as in the last one, ten highest at every moment, of those started half an hour ago or more. Dashed red: the lowest limit.",
			Normal: "about as high as now; a warm-up looks like a leak for an hour.",
			Do:     "above the red line for more than an hour: it will be killed, raise the limit and look for the leak.",
			Queries: []board.Query{
				{Expr: orWords("topk(10, clamp_min("+by("max", replica, "predict_linear("+held+"[1h], 4 * 3600)")+" and on ("+replica+") "+grown+", 0))", "count("+held+")", "count("+grown+")", ": started less than half an hour ago"), Legend: "{{name}} {{node}}{{note}}"},
				askedFor(memoryLimit, "limit", board.Limit),
			},
			View: board.Timeseries{Links: links},
		},
	}
}

// versions are the images that run: a release is where one goes down and another up.
func versions() board.Panel {
	return board.Panel{
		Title: "Containers by image", Width: 12, Height: 7, Unit: board.Count,
		What: "How many containers run which image, on top of each other; a release is where one colour takes over.", Normal: "one image, two during a release.",
		Do:      "two for long: the release is stuck, see why the new containers do not become ready.",
		Queries: []board.Query{{Expr: "topk(10, " + by("count", "image", series(running, ofWorkload)) + ")", Legend: "{{image}}"}},
		View:    board.Timeseries{Drawn: board.Stacked},
	}
}

func replicaPressure() []board.Panel {
	panel := func(title, what, do, counter string, alert float64) board.Panel {
		found := by("sum", replica, rate(counter, ofWorkload))
		return board.Panel{
			Title: title, Width: 8, Height: 8, Unit: board.Ratio, Thresholds: line(alert, board.Orange),
			What: what + " Ten worst replicas at every moment.", Normal: "near 0; the dashed line is where the alert begins.", Do: do,
			Queries: []board.Query{{
				Expr:   orWords("topk(10, "+found+")", "count("+series(running, ofWorkload)+")", "sum("+over(counter, ofWorkload, "$__rate_interval")+")", "no kernel here counts pressure"),
				Legend: "{{name}} {{node}}{{note}}",
			}},
			View: board.Timeseries{Marked: board.Threshold},
		}
	}
	return []board.Panel{
		panel("Replicas waiting for CPU", "The share of time in which at least one task was ready to run and had no CPU.", "not throttled: the node is overloaded.", "container_pressure_cpu_waiting_seconds_total", cpuWait),
		panel("Replicas stalled on memory", "The share of time in which at least one task waited for memory.", "raise the limit before it is killed.", "container_pressure_memory_waiting_seconds_total", memoryStall),
		panel("Replicas stalled on I/O", "The share of time in which all tasks at once waited for a disk.", "look at the disk of the node and its neighbours.", "container_pressure_io_stalled_seconds_total", ioStall),
	}
}

func replicaTraffic() []board.Panel {
	pair := func(title, what, do, in, out, inName, outName, note string) board.Panel {
		top := func(counter string) string {
			return orWords("topk(10, "+by("sum", replica, rate(counter, ofWorkload))+")", "count("+series(running, ofWorkload)+")", "sum("+over(counter, ofWorkload, "$__rate_interval")+")", note)
		}
		return board.Panel{
			Title: title, Width: 12, Height: 8, Unit: board.BytesPerSecond, What: what + " Ten largest replicas.", Normal: "lines close together: the load is spread.", Do: do,
			Queries: []board.Query{
				{Expr: top(in), Legend: "{{name}}{{note}} " + inName},
				{Expr: top(out), Legend: "{{name}}{{note}} " + outName, Look: board.Below},
			},
			View: board.Timeseries{},
		}
	}
	return []board.Panel{
		pair("Network of the replicas", "Bytes received (above zero) and sent (below).", "one replica apart: the balancer prefers it, or it is a leader.",
			"container_network_receive_bytes_total", "container_network_transmit_bytes_total", "in", "out", "no network of its own"),
		pair("Block I/O of the replicas", "Bytes read from disks (above zero) and written (below); some kernels do not count.", "steady reads of one replica: its cache does not fit its limit.",
			"container_fs_reads_bytes_total", "container_fs_writes_bytes_total", "read", "written", "not counted by this kernel"),
	}
}
