package main

import (
	"fmt"

	"github.com/plimsoll/plimsoll/dashboards/internal/board"
)

// The matchers every expression carries. All is ".*", which a missing label matches too: a bare host without idc and
// cluster is on the page.
const (
	site    = `idc=~"$idc", cluster=~"$cluster"`
	project = site + `, project=~"$project"`
	real    = `container!="", ` + project // containers, not the node (id="/") and not the slices between
	machine = `id="/", ` + site           // the node itself

	// alerts of the site and project, and those that belong to none.
	alertsInScope = `alertstate="firing", alertname!="Watchdog", idc=~"$idc|", cluster=~"$cluster|", project=~"$project|"`
)

// running has one series per running container: what counts them, and what says that a container is there.
const running = "container_memory_working_set_bytes"

func rate(metric, selector string) string {
	return fmt.Sprintf("rate(%s{%s}[$__rate_interval])", metric, selector)
}

func over(metric, selector, window string) string {
	return fmt.Sprintf("increase(%s{%s}[%s])", metric, selector, window)
}

func series(metric, selector string) string { return fmt.Sprintf("%s{%s}", metric, selector) }

func by(function, labels, expr string) string {
	return fmt.Sprintf("%s by (%s) (%s)", function, labels, expr)
}

func share(part, whole string) string { return fmt.Sprintf("%s / %s", part, whole) }

// orZero is for counts where nothing found means none: "No data" would look like a fault.
func orZero(expr string) string { return expr + " or vector(0)" }

// orZeroFor gives 0 to every label set of present that expr has no value for.
func orZeroFor(expr, present string) string { return fmt.Sprintf("%s or 0 * %s", expr, present) }

// orNote says in words, in the label note, that what is there has no such counter: a kernel that does not count, a
// container without a network. It is drawn at 0, which is no measurement, as the legend says. What was just born has
// the counter and no rate yet; that is a gap and not a note.
func orNote(expr, labels, present, counter, selector, note string) string {
	return fmt.Sprintf(`%s or on (%s) label_replace(0 * (%s unless on (%s) %s), "note", "%s", "", "")`,
		expr, labels, present, labels, over(counter, selector, "$__rate_interval"), note)
}

// orNoteGauge is orNote for what is no counter.
func orNoteGauge(expr, labels, present, note string) string {
	return fmt.Sprintf(`%s or on (%s) label_replace(0 * %s, "note", "%s", "", "")`, expr, labels, present, note)
}

// rest is what the parts leave of the whole, without the last bits of the subtraction.
func rest(whole, parts, digit string) string {
	return fmt.Sprintf("clamp_min(round(sum(%s) - sum(%s), %s), 0)", whole, parts, digit)
}

// topOver keeps of expr the ten label sets that are largest by rank, which is one value per label set over the whole
// visible range: the lines do not change from step to step.
func topOver(expr, labels, rank string) string {
	return fmt.Sprintf("%s and on (%s) topk(10, %s)", expr, labels, rank)
}

// sites is where a page is narrowed down.
func sites() []board.Variable {
	return []board.Variable{
		{Name: "idc", Label: "IDC", Selector: "machine_cpu_cores"},
		{Name: "cluster", Label: "Cluster", Selector: `machine_cpu_cores{idc=~"$idc"}`},
		{Name: "project", Label: "Project", Selector: `container_start_time_seconds{container!="", ` + site + `}`},
	}
}

// tags: the first is what the publisher recognises its dashboards by and what the link in the header collects.
func tags() []string { return []string{"plimsoll", "containers"} }

// toContainer leads from a row that has project, node and container to the container's page.
func toContainer() board.Link {
	return board.Link{Title: "Open the container", URL: "/d/cont-container?${datasource:queryparam}&${idc:queryparam}&${cluster:queryparam}" +
		"&var-project=${__data.fields.project}&var-node=${__data.fields.node}&var-container=${__data.fields.container}&${__url_time_range}"}
}

// toProject leads from a row that has a project to the same page for that project alone.
func toProject(field string) board.Link {
	return board.Link{Title: "Show this project alone", URL: "/d/cont-fleet?${datasource:queryparam}&${idc:queryparam}&${cluster:queryparam}" +
		"&var-project=${" + field + "}&${__url_time_range}"}
}

// marks are drawn on every graph: what fired, and who was killed.
func marks(alerts, containers string) []board.Annotation {
	return []board.Annotation{
		{Name: "Firing alerts", Color: board.Orange, Expr: series("ALERTS", alerts),
			Title: "{{alertname}}", Text: "{{severity}} {{project}} {{workload}} {{container}} on {{node}}"},
		{Name: "OOM kills", Color: board.Red, Expr: by("sum", "project, workload, container, node", over("container_oom_events_total", containers, "1m")) + " > 0",
			Title: "OOM kill", Text: "{{project}} {{workload}} {{container}} on {{node}}"},
	}
}
