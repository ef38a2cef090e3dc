package projectmap

import (
	"fmt"
	"strings"
	"testing"
)

// parse compiles a map that must be good.
func parse(t testing.TB, text string) *Map {
	t.Helper()
	m, err := Parse("map.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, text)
	}
	return m
}

func TestTheFirstRuleWhoseConditionsAllHoldDecides(t *testing.T) {
	shop := Container{
		Labels: map[string]string{"app": "shop-web", "com.example/team": " money ", "empty": ""}, Annotations: map[string]string{"owner": "ann"},
		Namespace: "shop-prod", Stack: "shop", Workload: "shop_web", Pod: "shop_web.1", Container: "shop_web", Image: "registry.example/shop/web:1.2", Name: "shop_web.1.x",
		Runtime: "swarm", IDC: "bj1", Cluster: "swarm-a", Node: "n1",
	}
	for _, c := range []struct{ sentence, rules, project, rule string }{
		{"an exact value", "- {match: {namespace: shop-prod}, project: a}", "a", "rule at line 2"},
		{"an exact value fits only the whole", "- {match: {namespace: shop}, project: a}", "unassigned", "nothing matched"},
		{"a rule's name is what it is called by", "- {name: Shop, match: {namespace: shop-prod}, project: a}", "a", "rule Shop"},
		{"a glob by its star", "- {match: {namespace: shop-*}, project: a}", "a", "rule at line 2"},
		{"the star's text forms the value", "- {match: {namespace: shop-*}, project: x-$1}", "x-prod", "rule at line 2"},
		{"a star fits any characters, slashes too", "- {match: {image: registry.example/*}, project: $1}", "shop/web:1.2", "rule at line 2"},
		{"two stars are two captures", "- {match: {image: '*/shop/*:*'}, project: '$2'}", "web", "rule at line 2"},
		{"a question mark is one character", "- {match: {node: 'n?'}, project: a}", "a", "rule at line 2"},
		{"and not none", "- {match: {node: 'n1?'}, project: a}", "unassigned", "nothing matched"},
		{"a regular expression fits the whole value", "- {match: {namespace: {regexp: shop}}, project: a}", "unassigned", "nothing matched"},
		{"its groups form the value", "- {match: {namespace: {regexp: '(\\w+)-(prod|test)'}}, project: $2.$1}", "prod.shop", "rule at line 2"},
		{"groups may have names", "- {match: {namespace: {regexp: '(?P<app>\\w+)-.*'}}, project: '${app}x'}", "shopx", "rule at line 2"},
		{"captures are numbered through all conditions as they are written", "- {match: {namespace: '*-prod', workload: '*_web'}, project: $1.$2}", "shop.shop", "rule at line 2"},
		{"a dollar sign is written twice", "- {match: {namespace: '*'}, project: $$1}", "$1", "rule at line 2"},
		{"a list is any of", "- {match: {namespace: [other, shop-*]}, project: a}", "unassigned", "bad: captures differ"},
		{"a list of exact values", "- {match: {namespace: [other, shop-prod]}, project: a}", "a", "rule at line 2"},
		{"a list of globs with the same captures", "- {match: {namespace: [pay-*, shop-*]}, project: $1}", "prod", "rule at line 2"},
		{"conditions must all hold", "- {match: {namespace: shop-prod, cluster: other}, project: a}", "unassigned", "nothing matched"},
		{"a label", "- {match: {label.app: shop-web}, project: a}", "a", "rule at line 2"},
		{"a label with dots and slashes; blanks around a value do not count", "- {match: {label.com.example/team: money}, project: a}", "a", "rule at line 2"},
		{"an annotation", "- {match: {annotation.owner: ann}, project: a}", "a", "rule at line 2"},
		{"an absent label matches nothing", "- {match: {label.absent: '*'}, project: a}", "unassigned", "nothing matched"},
		{"nor does an empty one", "- {match: {label.empty: {regexp: '.*'}}, project: a}", "unassigned", "nothing matched"},
		{"stack", "- {match: {stack: shop}, project: a}", "a", "rule at line 2"},
		{"not a Compose project", "- {match: {compose_project: shop}, project: a}", "unassigned", "nothing matched"},
		{"runtime, idc, cluster, node", "- {match: {runtime: swarm, idc: bj1, cluster: swarm-a, node: n1}, project: a}", "a", "rule at line 2"},
		{"pod, container, name", "- {match: {pod: shop_web.1, container: shop_web, name: shop_web.1.*}, project: a}", "a", "rule at line 2"},
		{"exact: takes a star as a star", "- {match: {namespace: {exact: shop-*}}, project: a}", "unassigned", "nothing matched"},
		{"a backslash takes the meaning off", "- {match: {namespace: 'shop\\-prod'}, project: a}", "a", "rule at line 2"},
		{"the first of two", "- {match: {namespace: shop-*}, project: first}\n- {match: {namespace: shop-prod}, project: second}", "first", "rule at line 2"},
		{"empty captures decide too: unassigned", "- {match: {namespace: shop-prod*}, project: $1}\n- {match: {namespace: shop-prod}, project: second}", "unassigned", "rule at line 2"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			m, err := Parse("map.yaml", []byte("rules:\n"+c.rules+"\ndefaults: off\n"))
			if strings.HasPrefix(c.rule, "bad") {
				if err == nil {
					t.Error("parsed")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := m.Decide(shop); d.Project != c.project || d.Rule != c.rule || d.Unassigned != (c.project == "unassigned") {
				t.Errorf("got %q by %q (unassigned %v), want %q by %q", d.Project, d.Rule, d.Unassigned, c.project, c.rule)
			}
		})
	}
}

func TestDefaultsComeAfterTheRules(t *testing.T) {
	all := Container{Labels: map[string]string{"project": "by-label", "app.kubernetes.io/part-of": "by-part-of"}, Namespace: "by-namespace", Stack: "by-stack", ComposeProject: "by-compose"}
	for _, step := range []struct {
		want, rule string
		remove     func()
	}{
		{"by-label", "default: label.project", func() { all.Labels["project"] = "  " }},
		{"by-part-of", "default: label.app.kubernetes.io/part-of", func() { delete(all.Labels, "app.kubernetes.io/part-of") }},
		{"by-namespace", "default: namespace", func() { all.Namespace = "" }},
		{"by-stack", "default: stack", func() { all.Stack = "" }},
		{"by-compose", "default: compose_project", func() { all.ComposeProject = "" }},
		{Unassigned, "nothing matched", func() {}},
	} {
		if d := Builtin().Decide(all); d.Project != step.want || d.Rule != step.rule || d.Unassigned != (step.want == Unassigned) || d.Index != -1 {
			t.Errorf("got %+v, want %q by %q", d, step.want, step.rule)
		}
		step.remove()
	}
	c := Container{Labels: map[string]string{"project": "p"}, Namespace: "n", Workload: "w"}
	for defaults, want := range map[string]string{"on": "p", "off": "none-yet", "[namespace, label.project]": "n", "[annotation.x, workload]": "w", "[]": "none-yet"} {
		if d := parse(t, "defaults: "+defaults+"\nunassigned: none-yet\n").Decide(c); d.Project != want {
			t.Errorf("defaults: %s: got %q, want %q", defaults, d.Project, want)
		}
	}
}

func TestWhoAnswersForAProject(t *testing.T) {
	m := parse(t, `
rules:
- {match: {namespace: pay-*}, project: payments, team: money-$1, contact: page-$1}
- {match: {namespace: web}, project: web, team: front, contact: front@example.com}
projects:
  payments: {team: money, tier: "1", contact: money@example.com}
  by-label: {team: label-team, tier: 2}
`)
	for _, c := range []struct {
		sentence            string
		c                   Container
		team, tier, contact string
	}{
		{"the rule goes before the section projects, which fills what the rule does not say", Container{Namespace: "pay-eu"}, "money-eu", "1", "page-eu"},
		{"a rule alone", Container{Namespace: "web"}, "front", "", "front@example.com"},
		{"the section also serves projects a default found", Container{Labels: map[string]string{"project": "by-label"}}, "label-team", "2", ""},
		{"who is in neither has nobody", Container{Namespace: "other"}, "", "", ""},
	} {
		if d := m.Decide(c.c); d.Team != c.team || d.Tier != c.tier || d.Contact != c.contact {
			t.Errorf("%s: got %+v", c.sentence, d)
		}
	}
	if team, tier, contact := m.Owner("payments"); team != "money" || tier != "1" || contact != "money@example.com" {
		t.Errorf("payments: %q %q %q", team, tier, contact)
	}
	if team, _, contact := m.Owner("web"); team != "front" || contact != "front@example.com" {
		t.Errorf("web: %q %q", team, contact)
	}
	if got := strings.Join(m.Projects(), " "); got != "by-label payments web" {
		t.Errorf("projects: %s", got)
	}
}

func TestLabelsPassOnlyWhenListed(t *testing.T) {
	m := parse(t, "pass_labels: [release, com.example/cost-center, {annotation: owner, as: owner_mail, max_values: 5, max_length: 20}]")
	d := m.Decide(Container{Labels: map[string]string{"release": "42", "com.example/cost-center": "c7", "other": "x"}, Annotations: map[string]string{"owner": "a@b"}})
	var got []string
	for _, p := range d.Passed {
		got = append(got, p.Label.As+"="+p.Value)
	}
	if strings.Join(got, " ") != "release=42 com_example_cost_center=c7 owner_mail=a@b" {
		t.Errorf("passed %v", got)
	}
	if l := d.Passed[2].Label; l.MaxValues != 5 || l.MaxLength != 20 {
		t.Errorf("limits %+v", l)
	}
	if l := d.Passed[0].Label; l.MaxValues != passValues || l.MaxLength != passLength {
		t.Errorf("default limits %+v", l)
	}
	if d := m.Decide(Container{}); len(d.Passed) != 0 {
		t.Errorf("a container without the labels passes %v", d.Passed)
	}
}

// BenchmarkDecide: 200 rules with two conditions each, and a container that the last one claims.
func BenchmarkDecide(b *testing.B) {
	var text strings.Builder
	text.WriteString("rules:\n")
	for i := range 200 {
		fmt.Fprintf(&text, "- {match: {namespace: [a%d-*, b%d-*], label.app: x%d}, project: p%d}\n", i, i, i, i)
	}
	m := parse(b, text.String())
	c := Container{Namespace: "b199-eu", Labels: map[string]string{"app": "x199"}}
	for b.Loop() {
		if d := m.Decide(c); d.Project != "p199" {
			b.Fatal(d)
		}
	}
}
