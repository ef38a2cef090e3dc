package projectmap

import (
	"fmt"
	"slices"
)

// Shadowed says which rules can never decide because an earlier one matches all that they match, as "file:line: …". It is
// right about what it reports; it does not see what only several earlier rules together take away, nor through two regular
// expressions that are written differently.
func (m *Map) Shadowed() []Fault {
	var found []Fault
	for j := range m.rules {
		for i := range m.rules[:j] {
			if m.rules[j].within(&m.rules[i]) {
				found = append(found, Fault{m.file, m.rules[j].line, fmt.Sprintf("%s can never decide: the rule at line %d matches all it matches", m.rules[j].label(), m.rules[i].line)})
				break
			}
		}
	}
	return found
}

// within tells that earlier matches whatever r matches: each of its conditions is kept by a condition of r.
func (r *rule) within(earlier *rule) bool {
	for i := range earlier.conditions {
		wider := &earlier.conditions[i]
		if !slices.ContainsFunc(r.conditions, func(c condition) bool { return c.within(wider) }) {
			return false
		}
	}
	return true
}

// RuleUse is what one rule, or one default, did for a list of containers.
type RuleUse struct {
	Rule    string // as Decision.Rule
	Line    int    // 0 of what is no rule
	Decided int
	// Matched is how many it would have decided without the rules before it. Of a default it is Decided.
	Matched int
}

// Coverage is what a map does for a list of containers.
type Coverage struct {
	Decisions  []Decision // one per container, in their order
	Uses       []RuleUse  // the rules in their order, the defaults that decided, then what was unassigned
	Unassigned int
}

// Cover decides all of containers.
func (m *Map) Cover(containers []Container) Coverage {
	c := Coverage{Uses: make([]RuleUse, len(m.rules))}
	for i := range m.rules {
		c.Uses[i] = RuleUse{Rule: m.rules[i].label(), Line: m.rules[i].line}
	}
	others := map[string]int{}
	for i := range containers {
		d := m.Decide(containers[i])
		c.Decisions = append(c.Decisions, d)
		if d.Unassigned {
			c.Unassigned++
		}
		if d.Index >= 0 {
			c.Uses[d.Index].Decided++
		} else {
			others[d.Rule]++
		}
		for j := range m.rules {
			if _, ok := m.rules[j].match(&containers[i]); ok {
				c.Uses[j].Matched++
			}
		}
	}
	for _, rule := range sorted(others) {
		c.Uses = append(c.Uses, RuleUse{Rule: rule, Decided: others[rule], Matched: others[rule]})
	}
	return c
}
