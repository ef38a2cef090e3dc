package main

import (
	"fmt"

	"github.com/plimsoll/plimsoll/dashboards/internal/board"
)

// capacity answers: when is which cluster full, and does the fail-over of a data centre hold?
func capacity() board.Dashboard {
	return board.Dashboard{
		UID:         "cont-capacity",
		Title:       "Capacity and forecast",
		Description: "When is which cluster full, and can the others stand in for a data centre that fails?",
		Tags:        tags(),
		From:        "now-30d",
		Refresh:     "5m",
		Variables:   sites(),
		Annotations: marks(`alertname=~"Cluster.*|IDC.*", `+alertsInScope, ""),
		Rows: []board.Row{
			{Title: "Head-room", Panels: []board.Panel{cpuHeadroom(), memoryHeadroom(), failover(), wholeCPU()}},
			{Title: "Forecast", Panels: forecasts()},
			{Title: "Week shape", Fold: board.Folded, Panels: weekShape()},
		},
	}
}

const perCluster = "idc, cluster"

// resource is CPU or memory of clusters, by the recorded series that tell of it.
type resource struct {
	name, short      string
	unit             board.Unit
	decimals         board.Decimals
	capacity, asked  string
	now, peak        string // used now; used at the peak of a day, which is recorded every few minutes
	peakIs           string
	machine          string
	usable, headroom float64
}

func cpuOfClusters() resource {
	return resource{
		name: "CPU", short: "cores", unit: board.Cores, decimals: "1",
		capacity: "cluster:cpu_capacity_cores:sum", asked: "cluster:cpu_request_cores:sum", now: "cluster:cpu_usage_cores:sum", peak: "cluster:cpu_usage_cores:p95_1d",
		peakIs: "95th percentile of a day", machine: "machine_cpu_cores", usable: fullIn30, headroom: cpuHeadroomLow,
	}
}

func memoryOfClusters() resource {
	return resource{
		name: "Memory", short: "memory", unit: board.Bytes,
		capacity: "cluster:memory_capacity_bytes:sum", asked: "cluster:memory_request_bytes:sum", now: "cluster:memory_working_set_bytes:sum", peak: "cluster:memory_working_set_bytes:max_1d",
		peakIs: "highest of a day", machine: "machine_memory_bytes", usable: 1 - memoryHeadroomLow, headroom: memoryHeadroomLow,
	}
}

func (r resource) whole() string { return by("sum", perCluster, series(r.capacity, site)) }
func (r resource) used() string {
	return by("sum", perCluster, until(series(r.peak, site), series(r.now, site)))
}
func (r resource) reserved() string {
	return "(" + orZeroFor(by("sum", perCluster, series(r.asked, site)), r.whole()) + ")"
}

// free is what may still be used, and what may still be reserved, whichever is less.
func (r resource) free() string {
	byUse := fmt.Sprintf("(%g * %s - %s)", r.usable, r.whole(), r.used())
	byRequest := "(" + r.whole() + " - " + r.reserved() + ")"
	return byUse + " < " + byRequest + " or " + byRequest
}

// Values that stand for words.
const (
	notInSight = "-1"
	tooEarly   = "-2"
)

// past is how long and how finely a forecast looks back: whole weeks, because a week has a shape.
const past = "[28d:6h]"

// seen keeps of expr what was seen on half of the days a forecast looks back on.
func seen(expr, of string) string {
	return fmt.Sprintf("(%s) and on (%s) (count_over_time(%s[28d:1d]) >= %d)", expr, perCluster, of, forecastDays)
}

// daysLeft is when the usable part is used up at the pace of the last weeks.
func (r resource) daysLeft() string {
	peak := series(r.peak, site)
	pace := "(deriv(" + peak + past + ") > 0)"
	days := fmt.Sprintf("clamp_min((%g * %s - %s) / on (%s) %s, 0) / 86400", r.usable, series(r.capacity, site), peak, perCluster, pace)
	return by("min", perCluster, "("+seen(days, peak)+") or ("+seen("0 * "+peak+" - 1", peak)+")") + " or 0 * " + r.whole() + " - 2"
}

// withoutLargest is what would not fit if the largest node of each cluster died; a cluster of one node has nothing to lose it to.
func (r resource) withoutLargest() string {
	nodes := by("max", perNode, series(r.machine, site))
	left := "(" + by("sum", perCluster, nodes) + " - " + by("max", perCluster, nodes) + ")"
	return "clamp_min(" + r.reserved() + " - " + left + ", 0) and on (" + perCluster + ") (" + by("count", perCluster, nodes) + " > 1) or 0 * " + r.whole() + " - 1"
}

func (r resource) headroomTable() board.Panel {
	return board.Panel{
		Title: r.name + " of clusters", Width: 24, Height: 7, Unit: board.Count,
		What: fmt.Sprintf("One row per cluster: what is there, what is used (%s), what is asked for, what is left (%g %% of it less what is used, or all of it less what is asked for, whichever is less), "+
			"in how many days %g %% are used at the pace of four weeks, and what would have no place if the largest node died.", r.peakIs, 100*r.usable, 100*r.usable),
		Normal: fmt.Sprintf("used below %g %%, something left, all fits without the largest node.", 100*(1-r.headroom)),
		Do:     "order nodes while days are left; until then see on the efficiency page who asks for more than is needed.",
		Queries: []board.Query{
			{Expr: r.whole()},
			{Expr: share(r.used(), r.whole())},
			{Expr: share(r.reserved(), r.whole())},
			{Expr: r.free()},
			{Expr: r.daysLeft()},
			{Expr: r.withoutLargest()},
		},
		View: board.Table{
			Labels: []board.Column{{Of: "idc", Title: "IDC"}, {Of: "cluster", Title: "Cluster", Link: toCluster(cell)}},
			Values: []board.Column{
				{Title: "There", Unit: r.unit, Decimals: r.decimals},
				{Title: "Used", Unit: board.Ratio, Decimals: "0", Cell: board.Gauge, Thresholds: good(busySite, 1-r.headroom)},
				{Title: "Asked for", Unit: board.Ratio, Decimals: "0", Cell: board.Gauge, Thresholds: good(fullSite, 1)},
				{Title: "Left", Unit: r.unit, Decimals: r.decimals, Cell: board.Colored, Thresholds: board.Thresholds{Base: board.Red, Steps: []board.Step{{From: 0, Color: board.Green}}}},
				{Title: "Days until full", Decimals: "0", Cell: board.Colored, Thresholds: goodAbove(fullSoonDays, 3*fullSoonDays),
					Texts: []board.Text{{Value: notInSight, Word: "does not grow", Color: board.Green}, {Value: tooEarly, Word: "too short a past", Color: board.Grey}}},
				{Title: "No place without the largest node", Unit: r.unit, Decimals: r.decimals, Cell: board.Colored, Thresholds: board.Thresholds{Base: board.Green, Steps: []board.Step{{From: 1e-3, Color: board.Orange}}},
					Texts: []board.Text{{Value: "-1", Word: "only one node", Color: board.Grey}, {Value: "0", Word: "all fits", Color: board.Green}}},
			},
			Sort: "Used",
		},
	}
}

func cpuHeadroom() board.Panel    { return cpuOfClusters().headroomTable() }
func memoryHeadroom() board.Panel { return memoryOfClusters().headroomTable() }

// failover is what of each data centre would have no place in the others.
func failover() board.Panel {
	shortfall := func(peak, spare, now, capacity string, usable float64) string {
		used := until(series(peak, `idc=~"$idc"`), by("sum", "idc", series(now, `idc=~"$idc"`)))
		left := until(spare, fmt.Sprintf("clamp_min(%g * %s - %s, 0)", usable, by("sum", "idc", capacity), by("sum", "idc", now)))
		return "clamp_min(" + used + " - on (idc) (scalar(sum(" + left + ")) - " + left + "), 0) and on () (count(" + left + ") > 1) or on (idc) (0 * " + used + " - 1)"
	}
	alone := []board.Text{{Value: "-1", Word: "no other IDC", Color: board.Grey}, {Value: "0", Word: "fits", Color: board.Green}}
	return board.Panel{
		Title: "If an IDC fails: what has no place in the others", Width: 12, Height: 8, Unit: board.Count,
		What: fmt.Sprintf("One row per data centre: how much of what it uses at the peak of a day is more than what the others have to spare, when %g %% of their cores and %g %% of their memory may be used.",
			100*idcUsableCPU, 100*idcUsableMemory),
		Normal: "fits, in both columns.",
		Do:     "see which projects must move first, and what the others would have to be given.",
		Queries: []board.Query{
			{Expr: shortfall("idc:cpu_peak_cores:p95_1d", "idc:cpu_spare_cores", "cluster:cpu_usage_cores:sum", "cluster:cpu_capacity_cores:sum", idcUsableCPU)},
			{Expr: shortfall("idc:memory_peak_bytes:max_1d", "idc:memory_spare_bytes", "cluster:memory_working_set_bytes:sum", "cluster:memory_capacity_bytes:sum", idcUsableMemory)},
		},
		View: board.Table{
			Labels: []board.Column{{Of: "idc", Title: "IDC"}},
			Values: []board.Column{
				{Title: "Cores without a place", Decimals: "1", Cell: board.Colored, Thresholds: board.Thresholds{Base: board.Green, Steps: []board.Step{{From: 1e-3, Color: board.Red}}}, Texts: alone},
				{Title: "Memory without a place", Unit: board.Bytes, Cell: board.Colored, Thresholds: board.Thresholds{Base: board.Green, Steps: []board.Step{{From: 1, Color: board.Red}}}, Texts: alone},
			},
			Sort: "Cores without a place",
		},
	}
}

// wholeCPU divides the cores into used, reserved and not used, and free: they add up to what is there.
func wholeCPU() board.Panel {
	used := "sum(" + series("cluster:cpu_usage_cores:sum", site) + ")"
	asked := "(sum(" + series("cluster:cpu_request_cores:sum", site) + ") or 0 * " + used + ")"
	there := "sum(" + series("cluster:cpu_capacity_cores:sum", site) + ")"
	return board.Panel{
		Title: "Where the cores are", Width: 12, Height: 8, Unit: board.Cores,
		What:   "CPU that containers use; what is asked for and not used; what is free. On top of each other they are the cores of the clusters (dashed), unless more is asked for than is there.",
		Normal: "the middle is the smallest.",
		Do:     "a large middle is capacity that is paid for and idles: see efficiency.",
		Queries: []board.Query{
			{Expr: used, Legend: "used"},
			{Expr: "clamp_min(" + asked + " - " + used + ", 0)", Legend: "asked for, not used", Look: board.Caution},
			{Expr: "clamp_min(" + there + " - clamp_min(" + asked + ", " + "scalar(" + used + ")" + "), 0)", Legend: "free", Look: board.Rest},
			{Expr: there, Legend: "capacity", Look: board.Capacity},
		},
		View: board.Timeseries{Axis: "cores", Drawn: board.Stacked},
	}
}

func forecasts() []board.Panel {
	both := func(r resource) []board.Panel {
		peak := series(r.peak, site)
		whole := series(r.capacity, site)
		ahead := seen(fmt.Sprintf("clamp_min(predict_linear(%s%s, 30 * 86400), 0) / on (%s) %s", peak, past, perCluster, whole), peak)
		return []board.Panel{
			{
				Title: r.name + " used, of each cluster", Width: 12, Height: 9, Unit: board.Ratio, Thresholds: line(r.usable, board.Red),
				What:    "Of all the " + r.short + " of a cluster, what is used: the " + r.peakIs + ". Ten fullest at every moment.",
				Normal:  "below the dashed line.",
				Do:      "a line that climbs by itself will cross it: the panel beside it says whether within 30 days.",
				Queries: []board.Query{{Expr: "topk(10, " + share(r.used(), r.whole()) + ")", Legend: "{{idc}} {{cluster}}"}},
				View:    board.Timeseries{Marked: board.Threshold, Links: []board.Link{toCluster(label)}},
			},
			{
				Title: r.name + " in 30 days, of each cluster", Width: 12, Height: 9, Unit: board.Ratio, Thresholds: line(r.usable, board.Red),
				What:   fmt.Sprintf("What a straight line through the last 28 days gives 30 days later, ten fullest. A cluster that was seen on fewer than %d days has no line; the legend says when none has.", forecastDays),
				Normal: "below the dashed line.",
				Do:     "above it: order nodes, or find on the project pages what grows.",
				Queries: []board.Query{{
					Expr:   orWords("topk(10, "+ahead+")", "count("+whole+")", "count("+ahead+")", fmt.Sprintf("too short a past: %d days are needed", forecastDays)),
					Legend: "{{idc}} {{cluster}}{{note}}",
				}},
				View: board.Timeseries{Marked: board.Threshold, Links: []board.Link{toCluster(label)}},
			},
		}
	}
	return append(both(cpuOfClusters()), both(memoryOfClusters())...)
}

func weekShape() []board.Panel {
	panel := func(title, recorded, axis string, unit board.Unit) board.Panel {
		now := "sum(" + series(recorded, site) + ")"
		before := "sum(" + series(recorded, site) + " offset 1w)"
		return board.Panel{
			Title: title, Width: 12, Height: 9, Unit: unit,
			What: "What containers use now, and what they used a week before.", Normal: "the same shape, day by day.", Do: "a day that differs had another load, or a release changed what it costs.",
			Queries: []board.Query{
				{Expr: now, Legend: "this week"},
				{Expr: orWords(before, "("+now+")", before, ": not seen yet"), Legend: "a week before{{note}}", Look: board.Rest},
			},
			View: board.Timeseries{Axis: axis},
		}
	}
	return []board.Panel{
		panel("CPU, this week and the last", "cluster:cpu_usage_cores:sum", "cores", board.Cores),
		panel("Memory, this week and the last", "cluster:memory_working_set_bytes:sum", "", board.Bytes),
	}
}
