package main

import (
	"fmt"

	"github.com/plimsoll/plimsoll/dashboards/internal/board"
)

// efficiency answers: where is waste, and who pays?
func efficiency() board.Dashboard {
	return board.Dashboard{
		UID:         "cont-efficiency",
		Title:       "Efficiency and chargeback",
		Description: "Where is waste, what would be enough, and who pays?",
		Tags:        tags(),
		From:        "now-7d",
		Refresh:     "5m",
		Variables:   sites(),
		Annotations: marks(`alertname="WorkloadOverProvisioned", `+alertsInScope, ""),
		Rows: []board.Row{
			{Title: "Waste", Panels: append(wasteNow(), wasteTable())},
			{Title: "Over time", Panels: wasteOverTime()},
			{Title: "Right-sizing", Panels: []board.Panel{giveBackCPU(), giveBackMemory()}},
			{Title: "Chargeback", Panels: []board.Panel{chargeback()}},
		},
	}
}

// Of projects: what is asked for beyond what is needed.
func cpuWaste(selector string) string { return series("project_cluster:cpu_waste_cores", selector) }

func memoryWaste(selector string) string {
	return series("project_cluster:memory_waste_bytes", selector)
}

func wasteNow() []board.Panel {
	const width, height = 4, 4
	unasked := func(what, expr string) board.Panel {
		return board.Panel{
			Title: "Without a " + what + " request", Width: width, Height: height, Unit: board.Ratio, Decimals: "0", Thresholds: good(0.1, 0.5),
			What: "Containers with neither a request nor a limit of " + what + ", as a share of all. Nobody knows what they need, and they are in none of the figures of waste.", Normal: "near 0.",
			Do:      "give them requests; the right-sizing of their workload says how much.",
			Queries: []board.Query{{Expr: share("(sum("+expr+") or vector(0))", "sum("+series(containersThere, project)+")"), Legend: "without"}},
			View:    board.Stat{},
		}
	}
	whole := func(title, what string, unit board.Unit, decimals board.Decimals, expr string) board.Panel {
		return board.Panel{
			Title: title, Width: width, Height: height, Unit: unit, Decimals: decimals,
			What: what + " that is asked for and not needed, 15 % above the highest day of the week left out; 0 also where nobody asks.", Normal: "a tenth of what is asked for.", Do: "begin with the first rows of the tables below.",
			Queries: []board.Query{{Expr: orZero("sum(" + expr + ")"), Legend: "wasted"}},
			View:    board.Stat{},
		}
	}
	used := func(title, of, asked, use string) board.Panel {
		return board.Panel{
			Title: title, Width: width, Height: height, Unit: board.Ratio, Decimals: "0", Thresholds: goodAbove(0.3, 0.5), Texts: []board.Text{{Value: "-1", Word: "nobody asks", Color: board.Grey}},
			What: "What containers use of the " + of + " that is asked for.", Normal: "above half.", Do: "much below: most of what is reserved idles.",
			Queries: []board.Query{{Expr: share("sum("+series(use, project)+" and on (project, idc, cluster) "+series(asked, project)+")", "(sum("+series(asked, project)+") > 0)") + " or vector(-1)", Legend: "used"}},
			View:    board.Stat{},
		}
	}
	return []board.Panel{
		whole("Idle cores", "CPU", board.Cores, "1", cpuWaste(project)),
		whole("Idle memory", "Memory", board.Bytes, "", memoryWaste(project)),
		used("Used of asked CPU", "CPU", "project_cluster:cpu_request_cores:sum", "project_cluster:cpu_usage_cores:sum"),
		used("Used of asked memory", "memory", "project_cluster:memory_request_bytes:sum", "project_cluster:memory_working_set_bytes:sum"),
		unasked("CPU", series("project_cluster:containers_without_cpu_request:count", project)),
		unasked("memory", series("project_cluster:containers_without_memory_request:count", project)),
	}
}

func wasteTable() board.Panel {
	sum := func(expr string) string { return by("sum", "project", expr) }
	there := sum(series(containersThere, project))
	or0 := func(expr string) string { return orZeroFor(expr, there) }
	need := until(series("project_cluster:cpu_usage_cores:p95_1d_max_7d", project), series("project_cluster:cpu_usage_cores:sum", project))
	most := until(series("project_cluster:memory_working_set_bytes:max_7d", project), series("project_cluster:memory_working_set_bytes:sum", project))
	return board.Panel{
		Title: "Projects: asked for, needed, wasted", Width: 24, Height: 9, Unit: board.Count,
		What: "One row per project. Needed is the highest 95th percentile of a day within a week for CPU, the highest working set of a week for memory. Wasted is what is asked for beyond 115 % of that. " +
			"A project that asks for nothing shows 0 asked for, not perfect use.",
		Normal: "needed near asked for.",
		Do:     "asked for below needed is a risk: it lives on what others leave. Far above is waste: open the project and right-size its workloads.",
		Queries: []board.Query{
			{Expr: or0(sum(series("project_cluster:cpu_request_cores:sum", project)))},
			{Expr: sum(need) + " and on (project) " + there},
			{Expr: or0(sum(cpuWaste(project)))},
			{Expr: or0(share(sum(cpuWaste(project)), "("+sum(series("project_cluster:cpu_request_cores:sum", project))+" > 0)"))},
			{Expr: or0(sum(series("project_cluster:memory_request_bytes:sum", project)))},
			{Expr: sum(most) + " and on (project) " + there},
			{Expr: or0(sum(memoryWaste(project)))},
			{Expr: or0(share(sum(memoryWaste(project)), "("+sum(series("project_cluster:memory_request_bytes:sum", project))+" > 0)"))},
		},
		View: board.Table{
			Labels: []board.Column{{Of: "project", Title: "Project", Link: toProject(cell)}},
			Values: []board.Column{
				{Title: "Cores asked for", Decimals: "1"}, {Title: "Cores needed", Decimals: "1"}, {Title: "Cores wasted", Decimals: "1"},
				{Title: "CPU waste", Unit: board.Ratio, Decimals: "0", Cell: board.Gauge, Thresholds: good(0.3, 0.6)},
				{Title: "Memory asked for", Unit: board.Bytes}, {Title: "Memory needed", Unit: board.Bytes}, {Title: "Memory wasted", Unit: board.Bytes},
				{Title: "Memory waste", Unit: board.Ratio, Decimals: "0", Cell: board.Gauge, Thresholds: good(0.3, 0.6)},
			},
			Sort: "Cores wasted",
		},
	}
}

func wasteOverTime() []board.Panel {
	panel := func(title, what, expr, digit, axis string, unit board.Unit) board.Panel {
		all := by("sum", "project", expr)
		top := "topk(10, " + all + ")"
		return board.Panel{
			Title: title, Width: 12, Height: 9, Unit: unit,
			What: what + " that is asked for and not needed, ten largest projects at every moment; grey is all others.", Normal: "it shrinks.", Do: "a step up is a release that asks for more than it needs.",
			Queries: []board.Query{
				{Expr: orNobody(top, series(containersThere, project), expr, "nobody asks for anything"), Legend: "{{project}}{{note}}"},
				{Expr: rest("("+orZero(all)+")", "("+orZero(top)+")", digit), Legend: "all others", Look: board.Rest},
			},
			View: board.Timeseries{Axis: axis, Drawn: board.Stacked, Links: []board.Link{toProject(label)}},
		}
	}
	return []board.Panel{
		panel("Idle cores by project", "CPU", cpuWaste(project), "0.001", "cores", board.Cores),
		panel("Idle memory by project", "Memory", memoryWaste(project), "1", "", board.Bytes),
	}
}

// perNeed tells apart what is advised for: one container of a workload in one cluster.
const perNeed = "project, idc, cluster, namespace, workload, container"

// figures are of what one container of a workload asks for and needs; asked is of all replicas together.
type figures struct{ asked, needed, enough, replicas string }

func cpuFigures(selector string) figures {
	return figures{
		asked:    series("workload_container:cpu_request_cores:sum", selector),
		needed:   until(series("workload_container:cpu_usage_cores:p95_7d", selector), series("workload_container:cpu_usage_cores:max", selector)),
		enough:   until(series("workload_container:cpu_enough_cores", selector), "0 * "+series("workload_container:cpu_usage_cores:max", selector)+" - 1"),
		replicas: series("workload_container:containers:count", selector),
	}
}

func memoryFigures(selector string) figures {
	return figures{
		asked:    series("workload_container:memory_request_bytes:sum", selector),
		needed:   until(series("workload_container:memory_unreclaimable_bytes:max_7d", selector), series("workload_container:memory_unreclaimable_bytes:max_4m", selector)),
		enough:   until(series("workload_container:memory_enough_bytes", selector), "0 * "+series("workload_container:memory_unreclaimable_bytes:max_4m", selector)+" - 1"),
		replicas: series("workload_container:containers:count", selector),
	}
}

// each is what one replica asks for.
func (f figures) each() string { return share(f.asked, "on ("+perNeed+") "+f.replicas) }

// spare is what all replicas together could give back.
func (f figures) spare() string {
	return "(" + f.asked + " - on (" + perNeed + ") " + f.replicas + " * on (" + perNeed + ") (" + f.enough + " > 0)) > 0"
}

func adviceTexts() []board.Text {
	return []board.Text{{Value: "-1", Word: fmt.Sprintf("seen for less than %d days", adviceDays), Color: board.Grey}, {Value: "-2", Word: "throttled: needs more than it shows", Color: board.Orange}}
}

func giveBackCPU() board.Panel {
	return giveBack("CPU to give back, fifty largest", "CPU", "cores", cpuFigures(project), board.Count, "2", "the 95th percentile of the busiest replica's hourly peaks in a week",
		fmt.Sprintf(" What is throttled in more than %g %% of its periods is left out: its need does not show.", 100*censored))
}

func giveBackMemory() board.Panel {
	return giveBack("Memory to give back, fifty largest", "memory", "memory", memoryFigures(project), board.Bytes, "", "the most in a week that the largest replica held and the kernel cannot take back", "")
}

func giveBack(title, of, unitName string, f figures, unit board.Unit, decimals board.Decimals, need, more string) board.Panel {
	const labels = "project, workload, container"
	top := "topk(50, " + by("sum", labels, f.spare()) + ")"
	keep := func(expr string) string {
		return orRow(expr+" and on ("+labels+") "+top, "0", "nothing to give back")
	}
	return board.Panel{
		Title: title, Width: 12, Height: 10, Unit: board.Count,
		What:   fmt.Sprintf("Workloads that ask for more %s than %s and 15 %%, over all replicas, after %d days at least.%s", of, need, adviceDays, more),
		Normal: "one row that says there is nothing.",
		Do:     "lower the request to the advised figure, the largest first, and look at the workload a week later.",
		Queries: []board.Query{
			{Expr: orRow(top, "0", "nothing to give back")},
			{Expr: keep(by("max", labels, f.each()))},
			{Expr: keep(by("max", labels, f.enough))},
		},
		View: board.Table{
			Labels: []board.Column{noteColumn(), {Of: "container", Title: "Container"}, {Of: "workload", Title: "Workload", Link: toWorkload(cell)}, {Of: "project", Title: "Project", Link: toProject(cell)}},
			Values: []board.Column{
				{Title: "To give back, " + unitName, Unit: unit, Decimals: decimals},
				{Title: "Asked, each", Unit: unit, Decimals: decimals},
				{Title: "Enough, each", Unit: unit, Decimals: decimals},
			},
			Sort: board.Sort("To give back, " + unitName),
		},
	}
}

// needs is the right-sizing of one workload: asked for, needed, advised, per replica.
func needs() board.Panel {
	cpu, memory := cpuFigures(inWorkload), memoryFigures(inWorkload)
	each := func(f figures) string { return f.each() + " or 0 * " + f.needed + " - 1" }
	seenDays := series("workload_container:seen_days:sum_7d", inWorkload)
	none := []board.Text{{Value: "-1", Word: "nothing", Color: board.Grey}}
	shape := func(expr string) string { return by("max", "idc, cluster, namespace, container", expr) }
	return board.Panel{
		Title: "Asked for and needed, each replica", Width: 24, Height: 6, Unit: board.Count,
		What: fmt.Sprintf("One row per container and cluster. Asked for is the request, else the limit. Needed: for CPU the 95th percentile of the busiest replica's hourly peaks in a week, for memory the most it held that the kernel cannot take back. "+
			"Advised is 15 %% more than needed, after %d days; where the limit throttles, the need does not show and nothing is advised.", adviceDays),
		Normal: "asked for within a fifth of advised.",
		Do:     "asked for below needed: raise it. Far above advised: lower it, and watch for a week.",
		Queries: []board.Query{
			{Expr: shape(each(cpu))}, {Expr: shape(cpu.needed)}, {Expr: shape(cpu.enough)},
			{Expr: shape(each(memory))}, {Expr: shape(memory.needed)}, {Expr: shape(memory.enough)},
			{Expr: shape(seenDays + " or 0 * " + cpu.needed)},
		},
		View: board.Table{
			Labels: []board.Column{{Of: "container", Title: "Container"}, {Of: "namespace", Title: "Namespace"}, {Of: "idc", Title: "IDC"}, {Of: "cluster", Title: "Cluster"}},
			Values: []board.Column{
				{Title: "Cores asked for", Decimals: "2", Texts: none}, {Title: "Cores needed", Decimals: "2"}, {Title: "Cores advised", Decimals: "2", Cell: board.Colored, Texts: adviceTexts()},
				{Title: "Memory asked for", Unit: board.Bytes, Texts: none}, {Title: "Memory needed", Unit: board.Bytes}, {Title: "Memory advised", Unit: board.Bytes, Cell: board.Colored, Texts: adviceTexts()},
				{Title: "Days seen", Decimals: "1"},
			},
			Sort: "Cores asked for",
		},
	}
}

// chargeback sums what each project is charged for: the larger of asked for and used. A sample stands for 4 minutes, the
// interval at which it is recorded.
func chargeback() board.Panel {
	hours := func(recorded, unit string) string {
		return by("sum", "project", "sum_over_time("+series(recorded, project)+"[$__range])") + fmt.Sprintf(" * %d / 3600", chargedSeconds) + unit
	}
	there := by("sum", "project", series(containersThere, project))
	cpu, memory := hours("project_cluster:cpu_charged_cores:max", ""), hours("project_cluster:memory_charged_bytes:max", " / 1024 ^ 3")
	part := func(expr string) string {
		return share(expr, "on () group_left () (sum("+expr+") > 0)")
	}
	return board.Panel{
		Title: "Core-hours and GiB-hours of the range", Width: 24, Height: 9, Unit: board.Count,
		What: "What each project is charged for in the visible range: at every moment the larger of what it asked for (a request, else a limit) and what it used, times the hours; and its share of all chosen projects. " +
			"Figures are recorded every 4 minutes; hours in which the collector was away are not charged.",
		Normal: "as the project plans.",
		Do:     "a share that grew: see on the project's page whether it uses more or only asks for more.",
		Queries: []board.Query{
			{Expr: orZeroFor(cpu, there)}, {Expr: orZeroFor(part(cpu), there)}, {Expr: orZeroFor(memory, there)}, {Expr: orZeroFor(part(memory), there)},
		},
		View: board.Table{
			Labels: []board.Column{{Of: "project", Title: "Project", Link: toProject(cell)}},
			Values: []board.Column{
				{Title: "Core-hours", Decimals: "1"}, {Title: "Share of CPU", Unit: board.Ratio, Decimals: "1", Cell: board.Gauge},
				{Title: "GiB-hours", Decimals: "1"}, {Title: "Share of memory", Unit: board.Ratio, Decimals: "1", Cell: board.Gauge},
			},
			Sort: "Core-hours",
		},
	}
}
