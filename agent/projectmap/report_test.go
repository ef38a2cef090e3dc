package projectmap

import (
	"fmt"
	"strings"
	"testing"
)

func TestARuleThatCanNeverDecideIsReported(t *testing.T) {
	for _, c := range []struct {
		sentence, earlier, later string
		shadowed                 bool
	}{
		{"the same", "{namespace: a}", "{namespace: a}", true},
		{"a glob takes an exact value", "{namespace: a-*}", "{namespace: a-b}", true},
		{"a regular expression takes an exact value", "{namespace: {regexp: 'a-[a-z]'}}", "{namespace: a-b}", true},
		{"another exact value", "{namespace: a}", "{namespace: b}", false},
		{"a star takes everything", "{namespace: '*'}", "{namespace: {regexp: 'x+'}}", true},
		{"so does .*", "{namespace: {regexp: '.*'}}", "{namespace: a-*}", true},
		{"a wider glob takes a narrower", "{image: registry/*}", "{image: 'registry/pay/*:?'}", true},
		{"not the other way round", "{image: registry/pay/*}", "{image: registry/*}", false},
		{"a question mark takes no star", "{image: 'a?'}", "{image: a*}", false},
		{"a star between takes a question mark", "{image: 'a*c'}", "{image: 'a?c'}", true},
		{"two stars against one", "{image: '*a*'}", "{image: 'x*a'}", true},
		{"a list takes its parts", "{namespace: [a, b, c]}", "{namespace: [c, a]}", true},
		{"not more than its parts", "{namespace: [a, b]}", "{namespace: [a, d]}", false},
		{"an earlier rule that asks for more does not", "{namespace: a, cluster: c}", "{namespace: a}", false},
		{"a later rule that asks for more is taken", "{namespace: a}", "{namespace: a, cluster: c}", true},
		{"other attributes have nothing to do with each other", "{namespace: a}", "{stack: a}", false},
		{"nor have other labels", "{label.a: x}", "{label.b: x}", false},
		{"the same regular expression", "{name: {regexp: 'a|b'}}", "{name: {regexp: 'a|b'}}", true},
		{"what it can not see it does not report", "{name: {regexp: 'a|b'}}", "{name: {regexp: 'b|a'}}", false},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			found := parse(t, fmt.Sprintf("rules:\n- {match: %s, project: p}\n- {match: {name: between}, project: q}\n- {name: late, match: %s, project: p}\n", c.earlier, c.later)).Shadowed()
			switch {
			case c.shadowed && (len(found) != 1 || found[0].Error() != "map.yaml:4: rule late can never decide: the rule at line 2 matches all it matches"):
				t.Errorf("got %v", found)
			case !c.shadowed && len(found) > 0:
				t.Errorf("got %v, want none", found)
			}
		})
	}
}

func TestCoverageSaysWhichRuleDidWhat(t *testing.T) {
	c := parse(t, `rules:
- {name: pay, match: {namespace: pay}, project: payments}
- {name: late, match: {namespace: [pay, shop]}, project: p}
- {name: never, match: {namespace: gone}, project: p}
`).Cover([]Container{{Namespace: "pay"}, {Namespace: "pay"}, {Namespace: "shop"}, {Namespace: "other"}, {Labels: map[string]string{"project": "x"}}, {Name: "lone"}})
	var got []string
	for _, u := range c.Uses {
		got = append(got, fmt.Sprintf("%s %d/%d", u.Rule, u.Decided, u.Matched))
	}
	want := "rule pay 2/2, rule late 1/3, rule never 0/0, default: label.project 1/1, default: namespace 1/1, nothing matched 1/1"
	if strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
	if c.Unassigned != 1 || len(c.Decisions) != 6 || !c.Decisions[5].Unassigned {
		t.Errorf("unassigned %d, decisions %+v", c.Unassigned, c.Decisions)
	}
}
