package main

import "github.com/plimsoll/plimsoll/dashboards/internal/board"

const (
	// one is the container of the page, on whichever nodes it is wanted.
	one = `container="$container", node=~"$node", ` + project
	// perInstance tells apart what runs under that name: replicas on one node, and the same on several.
	perInstance = "node, pod, name"
)

// there says that an instance runs.
func there() string { return by("max", perInstance, series(running, one)) }

// container answers: everything about one container.
func container() board.Dashboard {
	return board.Dashboard{
		UID:         "cont-container",
		Title:       "Container detail",
		Description: "Everything about one container: what it uses, what holds it back, what happened to it.",
		Tags:        tags(),
		From:        "now-1h",
		Refresh:     "30s",
		Variables: append(sites(),
			board.Variable{Name: "node", Label: "Node", Selector: `container_start_time_seconds{` + real + `}`},
			board.Variable{Name: "container", Label: "Container", Choice: board.One, Selector: `container_start_time_seconds{` + real + `, node=~"$node"}`},
		),
		Annotations: marks(`alertstate="firing", alertname!="Watchdog", container="$container", `+project, one),
		Rows: []board.Row{
			{Title: "Now", Panels: append(containerNow(), limitsGauge(), identityTable())},
			{Title: "Use", Panels: []board.Panel{cpuPanel(), memoryPanel(), networkPanel(), blockIOPanel(), waitingPanel()}},
			{Title: "Pressure", Fold: board.Folded, Panels: pressureDetail()},
			{Title: "Memory in detail", Fold: board.Folded, Panels: memoryDetail()},
			{Title: "Network in detail", Fold: board.Folded, Panels: networkDetail()},
			{Title: "Processes and events", Fold: board.Folded, Panels: processDetail()},
		},
	}
}

func containerNow() []board.Panel {
	const width, height = 3, 4
	return []board.Panel{
		{
			Title: "Health", Width: width, Height: height, Unit: board.Count, Thresholds: board.Thresholds{Base: board.Grey},
			Texts:  healthTexts(),
			What:   "What the container's own health check says; of several instances the worst. Not healthy includes one that is still starting.",
			Normal: "healthy.", Do: "run the check by hand inside the container; without a check, add one.",
			Queries: []board.Query{{Expr: "min(" + series("container_health_state", one) + " >= 0) or min(" + series("container_health_state", one) + ")", Legend: "health"}},
			View:    board.Stat{},
		},
		{
			Title: "Running for", Width: width, Height: height, Unit: board.Seconds,
			What: "Time since the newest instance was started.", Normal: "since the last release.", Do: "shorter than that: it was restarted; see restarts and OOM kills.",
			Queries: []board.Query{{Expr: "time() - max(" + series("container_start_time_seconds", one) + ")", Legend: "running for"}},
			View:    board.Stat{},
		},
		{
			Title: "CPU, cores", Width: width, Height: height, Unit: board.Cores, Decimals: "3",
			What: "CPU time per second of all instances together: 1 is one core fully used.", Normal: "follows its load.", Do: "compare it with its limit beside.",
			Queries: []board.Query{{Expr: "sum(" + rate("container_cpu_usage_seconds_total", one) + ")", Legend: "cores"}},
			View:    board.Stat{Trend: board.Sparkline},
		},
		{
			Title: "Memory", Width: width, Height: height, Unit: board.Bytes,
			What: "Working set of all instances together: what is used without idle file cache.", Normal: "flat between releases.", Do: "a slope that does not end is a leak.",
			Queries: []board.Query{{Expr: "sum(" + series(running, one) + ")", Legend: "working set"}},
			View:    board.Stat{Trend: board.Sparkline},
		},
		{
			Title: "Threads", Width: width, Height: height, Unit: board.Count, Decimals: "0",
			What: "Threads of all its processes, which is what a pids limit counts.", Normal: "flat.", Do: "a steady rise is a leak of threads or processes.",
			Queries: []board.Query{{Expr: "sum(" + series("container_threads", one) + ")", Legend: "threads"}},
			View:    board.Stat{Trend: board.Sparkline},
		},
		{
			Title: "OOM kills, 24 h", Width: width, Height: height, Unit: board.Count, Decimals: "0", Thresholds: zeroIsGood(board.Red),
			What: "Processes of it the kernel killed because its memory was full, in 24 hours.", Normal: "0.", Do: "raise the limit or find what grows.",
			Queries: []board.Query{{Expr: orZero("round(sum(" + over("container_oom_events_total", one, recently) + "))"), Legend: "OOM kills"}},
			View:    board.Stat{},
		},
		{
			Title: "Restarts, 24 h", Width: width, Height: height, Unit: board.Count, Decimals: "0", Thresholds: zeroIsGood(board.Orange),
			What: "Times it was started again in 24 hours.", Normal: "0.", Do: "read its log just before the restart, and its exit code.",
			Queries: []board.Query{{Expr: orZero("round(sum(" + over("container_restarts_total", one, recently) + "))"), Legend: "restarts"}},
			View:    board.Stat{},
		},
		{
			Title: "Firing alerts", Width: width, Height: height, Unit: board.Count, Decimals: "0", Thresholds: zeroIsGood(board.Red),
			What: "Alerts that fire for this container now.", Normal: "0.", Do: "the alert carries its runbook.",
			Queries: []board.Query{{Expr: orZero("count(" + series("ALERTS", `alertstate="firing", container="$container", `+project) + ")"), Legend: "firing"}},
			View:    board.Stat{},
		},
	}
}

// worstShare is the largest share of a limit over the instances, noLimit when none has one.
func worstShare(used, limit string) string {
	return "max(" + used + " / on (" + perInstance + ") (" + limit + " > 0)) or (0 * max(" + there() + ") - 1)"
}

func limitsGauge() board.Panel {
	return board.Panel{
		Title: "Use of its limits", Width: 8, Height: 6, Unit: board.Ratio, Decimals: "0",
		Thresholds: good(closeLimit, nearLimit), Texts: noLimitText(),
		What:   "CPU, memory and threads as a share of the container's own limits; of several instances the one nearest to its limit. Memory counts only what the kernel cannot take back.",
		Normal: "below three quarters.",
		Do:     "CPU at its limit is throttled, memory at its limit is killed, threads at their limit cannot be created: raise the limit or the replicas.",
		Queries: []board.Query{
			{Expr: worstShare(by("sum", perInstance, rate("container_cpu_usage_seconds_total", one)), cpuLimit()), Legend: "CPU"},
			{Expr: worstShare(by("max", perInstance, series("container_memory_unreclaimable_bytes", one)), by("max", perInstance, series("container_spec_memory_limit_bytes", one))), Legend: "memory"},
			{Expr: worstShare(by("max", perInstance, series("container_threads", one)), by("max", perInstance, series("container_threads_max", one))), Legend: "threads"},
		},
		View: board.BarGauge{Max: 1},
	}
}

func cpuLimit() string {
	return by("max", perInstance, series("container_spec_cpu_quota", one)+" / "+series("container_spec_cpu_period", one))
}

func identityTable() board.Panel {
	return board.Panel{
		Title: "Who it is", Width: 16, Height: 6, Unit: board.Count,
		What: "The labels every figure of this container carries, one row per instance.", Normal: "one image; two during a release.", Do: "a wrong project is put right in the project map.",
		Queries: []board.Query{{Expr: "1000 * " + by("max", "project, idc, cluster, node, namespace, workload, pod, container, image, name", series("container_start_time_seconds", one))}},
		View: board.Table{
			Labels: []board.Column{
				{Of: "project", Title: "Project"}, {Of: "idc", Title: "IDC"}, {Of: "cluster", Title: "Cluster"}, {Of: "node", Title: "Node"},
				{Of: "namespace", Title: "Namespace"}, {Of: "workload", Title: "Workload"}, {Of: "pod", Title: "Pod"}, {Of: "container", Title: "Container"},
				{Of: "name", Title: "Name"}, {Of: "image", Title: "Image"},
			},
			Values: []board.Column{{Title: "Started", Unit: board.UnixMillis}},
			Sort:   "Started",
		},
	}
}

func healthTexts() []board.Text {
	return []board.Text{{Value: "1", Word: "healthy", Color: board.Green}, {Value: "0", Word: "not healthy", Color: board.Red}, {Value: "-1", Word: "no check", Color: board.Grey}}
}
