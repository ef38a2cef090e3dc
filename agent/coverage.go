package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/projectmap"
)

// mostListed unassigned containers are named again below the table.
const mostListed = 30

// writeCoverage prints which rule decided for every container, and what every rule did.
func writeCoverage(w io.Writer, m *projectmap.Map, containers []projectmap.Container) {
	slices.SortStableFunc(containers, func(a, b projectmap.Container) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Workload, b.Workload), cmp.Compare(nameOf(a), nameOf(b)))
	})
	c := m.Cover(containers)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CONTAINER\tNAMESPACE\tWORKLOAD\tPROJECT\tTEAM\tDECIDED BY")
	for i, d := range c.Decisions {
		one := containers[i]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", nameOf(one), cmp.Or(one.Namespace, "-"), cmp.Or(one.Workload, "-"), d.Project, cmp.Or(d.Team, "-"), d.Rule)
	}
	table.Flush()

	fmt.Fprintf(w, "\nCoverage of %d containers:\n", len(containers))
	fmt.Fprintln(table, "RULE\tLINE\tDECIDES\tSHARE\tMATCHES")
	share := func(n int) string {
		if len(containers) == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(len(containers)))
	}
	for _, u := range c.Uses {
		line := "-"
		if u.Line > 0 {
			line = fmt.Sprint(u.Line)
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%d\n", u.Rule, line, u.Decided, share(u.Decided), u.Matched)
	}
	fmt.Fprintf(table, "(unassigned)\t-\t%d\t%s\t-\n", c.Unassigned, share(c.Unassigned))
	table.Flush()

	var unassigned []string
	for i, d := range c.Decisions {
		if d.Unassigned {
			unassigned = append(unassigned, nameOf(containers[i]))
		}
	}
	if len(unassigned) > 0 {
		shown, more := unassigned, ""
		if len(shown) > mostListed {
			shown, more = shown[:mostListed], fmt.Sprintf(" and %d more", len(unassigned)-mostListed)
		}
		fmt.Fprintf(w, "\nUnassigned: %s%s\n", strings.Join(shown, ", "), more)
	}
	for _, u := range c.Uses {
		switch {
		case u.Line == 0 || u.Decided > 0 || len(containers) == 0:
		case u.Matched > 0:
			fmt.Fprintf(w, "warning: line %d: %s decided for none of these: the %d it matches are taken by rules before it\n", u.Line, u.Rule, u.Matched)
		default:
			fmt.Fprintf(w, "warning: line %d: %s matches none of these\n", u.Line, u.Rule)
		}
	}
	fmt.Fprintln(w)
}

// shares tells which part of the containers has what identifies them.
func (r *report) shares(e *eyes) {
	var parts []string
	for _, label := range inventory.Lacking() {
		with, all := e.table.With(label)
		if all == 0 {
			return
		}
		parts = append(parts, fmt.Sprintf("%s %.1f %%", label, 100*float64(with)/float64(all)))
	}
	r.good("identity", "share of the containers with each: %s", strings.Join(parts, ", "))
}

// nameOf is what to call a container in a list.
func nameOf(c projectmap.Container) string {
	if c.Pod != "" && c.Container != "" && c.Runtime == "kubernetes" {
		return c.Pod + "/" + c.Container
	}
	return cmp.Or(c.Name, c.Container, c.Pod, c.Workload, c.Image, "?")
}
