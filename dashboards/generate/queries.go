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

// Events of the last day, one series per slot that had any, as recorded a minute ago at most. What is 0 is the series that says
// that the rule was evaluated; asking for a container instead would cost a look at all that have one.
func oomKills(selector string) string { return slots("slot:oom_kills:increase1d", selector) }

func restarts(selector string) string { return slots("slot:restarts:increase1d", selector) }

// exits are the failed ones, by reason.
func exits(selector string) string { return slots("slot:exits:increase1d", selector) }

func slots(recorded, selector string) string {
	return "(" + series(recorded, selector) + " > 0)"
}

// rose is by how much such a series rose since the step before, where it did. Where nothing was recorded a step before, the
// collector was away, and nothing is known of when.
func rose(recorded, selector string) string {
	now := series(recorded, selector)
	return fmt.Sprintf(`(%s - (%s offset $__interval or 0 * %s) > 0) and on () count(%s offset $__interval)`, now, now, now, recorded)
}

func atEnd(selector string) string { return selector + " @ end()" }

// orNobody draws the note, at 0, when at the end of the range something is present and nothing is found of probe. The 0 is
// not a measurement; the words say why. Both are selectors.
func orNobody(expr, present, probe, note string) string {
	return orWords(expr, "count("+atEnd(present)+")", "count("+atEnd(probe)+")", note)
}

// orWords is orNobody for expressions.
func orWords(expr, present, probe, note string) string {
	return fmt.Sprintf(`%s or on () label_replace(0 * %s unless on () %s, "note", "%s", "", "")`, expr, present, probe, note)
}

// orRow is for tables of what is rarely there: instead of "No data" one row says, in the column note, that nothing is.
func orRow(expr, value, word string) string {
	return fmt.Sprintf(`%s or on () label_replace(vector(%s), "note", "%s", "", "")`, expr, value, word)
}

// noteColumn is there while orRow says something.
func noteColumn() board.Column { return board.Column{Of: "note", Title: "Note"} }

// until stands in for what is recorded every few minutes, before it has been for the first time.
func until(recorded, now string) string { return fmt.Sprintf("(%s or %s)", recorded, now) }

// topStacked is the ten largest of a recorded series over the visible range, and the rest of it.
func topStacked(metric, labels, selector, legend, others, digit string) []board.Query {
	all := by("sum", labels, series(metric, selector))
	top := topOver(all, labels, by("sum", labels, "avg_over_time("+series(metric, selector)+"[$__range] @ end())"))
	return []board.Query{
		{Expr: top, Legend: legend},
		{Expr: rest(all, top, digit), Legend: others, Look: board.Rest},
	}
}

// sites is where a page is narrowed down.
func sites() []board.Variable {
	return []board.Variable{
		{Name: "idc", Label: "IDC", Selector: "machine_cpu_cores"},
		{Name: "cluster", Label: "Cluster", Selector: `machine_cpu_cores{idc=~"$idc"}`},
		{Name: "project", Label: "Project", Selector: series("project_cluster:containers:count", site)},
	}
}

// tags: the first is what the publisher recognises its dashboards by and what the link in the header collects.
func tags() []string { return []string{"plimsoll", "containers"} }

// marks are drawn on every graph: what fired, and for the containers of a selector, if it is not empty, who was killed,
// restarted or released. Each mark is one minute: that in which the recorded series rose or began.
func marks(alerts, containers string) []board.Annotation {
	all := []board.Annotation{{Name: "Firing alerts", Color: board.Orange, Expr: series("ALERTS", alerts),
		Title: "{{alertname}}", Text: "{{severity}} {{project}} {{workload}} {{container}} on {{node}}"}}
	if containers == "" {
		return all
	}
	const place = "project, idc, cluster, namespace, workload, container"
	image := series(imagesThere, containers)
	released := fmt.Sprintf("(%s unless on (%s, image) %s offset $__interval) and on (%s) %s offset $__interval", image, place, image, place, image)
	return append(all,
		board.Annotation{Name: "OOM kills", Color: board.Red, Expr: rose("slot:oom_kills:increase1d", containers), Title: "OOM kill", Text: "{{project}} {{workload}} {{container}} on {{node}}"},
		board.Annotation{Name: "Restarts", Color: board.Yellow, Expr: rose("slot:restarts:increase1d", containers), Title: "Restart", Text: "{{project}} {{workload}} {{container}} on {{node}}"},
		board.Annotation{Name: "Releases", Color: board.Green, Expr: released, Title: "Release", Text: "{{project}} {{workload}} {{container}} now runs {{image}}"},
	)
}
