package identity

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/agent/projectmap"
)

// mapped is a resolver with a project map.
func mapped(t *testing.T, text string) Resolver {
	t.Helper()
	m, err := projectmap.Parse("map.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return Resolver{Node: Node{IDC: "bj1", Cluster: "edge", Node: "n7"}, Projects: m}
}

func TestAMapSeesTheLabelsOfTheSeriesWhicheverTheRuntime(t *testing.T) {
	const everything = "- match: {runtime: '%s', namespace: '%s', workload: '%s', idc: bj1, cluster: edge, node: n7}\n  project: claimed\n"
	for _, c := range []struct {
		facts                        Facts
		runtime, namespace, workload string
	}{
		{Facts{Name: "n", Kubernetes: KubernetesFacts{Namespace: "shop", Pod: "api-7d4b9c6f58-x2x5z", Container: "app"}}, "kubernetes", "shop", "api"},
		{FromDocker("/shop_web.1.x", "i", "/x", map[string]string{"com.docker.stack.namespace": "shop", "com.docker.swarm.service.name": "shop_web", "com.docker.swarm.task.name": "shop_web.1.x"}), "swarm", "shop", "web"},
		{FromDocker("/shop-web-1", "i", "/x", map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}), "compose", "shop", "web"},
	} {
		r := mapped(t, "rules:\n"+fmt.Sprintf(everything, c.runtime, c.namespace, c.workload)+"defaults: off\n")
		if l, _, err := r.Labels(c.facts); err != nil || l.Project != "claimed" {
			t.Errorf("%s: project %q, error %v of %+v", c.runtime, l.Project, err, r.Subject(c.facts))
		}
	}
	r := mapped(t, "rules: [{match: {runtime: docker, name: old, image: 'i:*', label.a: b, annotation.c: d}, project: claimed}]")
	if l, _, _ := r.Labels(Facts{Name: "old", Image: "i:1", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}}); l.Project != "claimed" {
		t.Errorf("plain: project %q", l.Project)
	}
}

func TestWithoutAMapTheBuiltInDefaultsDecide(t *testing.T) {
	for want, f := range map[string]Facts{
		"by-label":     {Name: "a", Labels: map[string]string{"project": "by-label"}, Kubernetes: KubernetesFacts{Namespace: "n"}},
		"by-namespace": {Name: "a", Kubernetes: KubernetesFacts{Namespace: "by-namespace", Pod: "p", Container: "c"}},
		"by-compose":   {Name: "a", Compose: ComposeFacts{Project: "by-compose"}},
		"unassigned":   {Name: "a"},
	} {
		if l, _, _ := (Resolver{}).Labels(f); l.Project != want {
			t.Errorf("project %q, want %q", l.Project, want)
		}
	}
}

func TestTeamTierAndListedLabelsReachTheSeries(t *testing.T) {
	r := mapped(t, `
rules: [{match: {name: pay}, project: payments, team: money, contact: oncall}]
projects: {payments: {tier: "1"}}
pass_labels: [release, {label: com.example/long, max_length: 20}]
`)
	l, mended, err := r.Labels(Facts{Name: "pay", Labels: map[string]string{"release": "42\x00", "com.example/long": strings.Repeat("x", 10_000), "other": "no"}})
	if err != nil || mended != (Mended{Truncated: 1, Sanitised: 1}) {
		t.Errorf("mended %+v, error %v", mended, err)
	}
	got := maps.Collect(l.All())
	for name, want := range map[string]string{"project": "payments", "team": "money", "tier": "1", "release": "42\uFFFD", "other": "", "contact": ""} {
		if got[name] != want {
			t.Errorf("%s=%q, want %q", name, got[name], want)
		}
	}
	if long := got["com_example_long"]; len(long) != 20 || !strings.HasPrefix(long, "xxxxxxxxxxx~") {
		t.Errorf("a label of 10 KB became %q", long)
	}
	if len(got) != 11 {
		t.Errorf("labels %v", slices.Sorted(maps.Keys(got)))
	}
}

func TestAnOwnNameForTheUnassigned(t *testing.T) {
	r := mapped(t, "unassigned: nobody")
	if l, _, _ := r.Labels(Facts{Name: "a"}); l.Project != "nobody" || r.Unassigned() != "nobody" {
		t.Errorf("project %q", l.Project)
	}
	if (Resolver{}).Unassigned() != "unassigned" {
		t.Error("the built-in name is another")
	}
}

func TestALabelHasNoMoreValuesThanItsLimit(t *testing.T) {
	r := mapped(t, "pass_labels: [{label: build, max_values: 2}]\ndefaults: [label.project]\n")
	refused := map[string]int{}
	r.Values = NewValues(func(label string) { refused[label]++ })
	resolve := func(build, project string) Labels {
		l, _, err := r.Labels(Facts{Name: "a", Labels: map[string]string{"build": build, "project": project}})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	var last Labels
	for i := range 5 {
		last = resolve(fmt.Sprint("b", i), "p")
	}
	if refused["build"] != 3 || last.Extra != "" {
		t.Errorf("refused %v, the fifth has %q", refused, last.Extra)
	}
	if resolve("b0", "p").Extra == "" {
		t.Error("a known value is refused")
	}
	for i := range maxProjects + 10 {
		last = resolve("b0", fmt.Sprint("p", i))
	}
	if refused["project"] != 11 || last.Project != "unassigned" { // p was the first
		t.Errorf("refused %v, project %q", refused, last.Project)
	}

	if !r.Values.Keep(slices.Values([]Labels{resolve("b1", "p")})) { // the others have ended
		t.Error("no room")
	}
	if l := resolve("b9", "p-new"); l.Project != "p-new" || l.Extra == "" {
		t.Errorf("no room although the others ended: %+v", l)
	}
}

func FuzzLabels(f *testing.F) {
	m, err := projectmap.Parse("map.yaml", []byte("rules: [{match: {name: '*'}, project: x$1, team: $1}]\npass_labels: [a]\n"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("name", "a", "value", "namespace")
	f.Add("\xff", "com.docker.compose.project", " \x00", strings.Repeat("界", 4000))
	f.Fuzz(func(t *testing.T, name, key, value, image string) {
		for _, r := range []Resolver{{}, {Projects: m}} {
			l, _, err := r.Labels(FromDocker(name, image, "/x", map[string]string{key: value, "a": value}))
			if err != nil {
				continue
			}
			for label, text := range l.All() {
				if !fit(text) || !fit(label) {
					t.Fatalf("%q=%q is no label", label, text)
				}
			}
			if l.Project == "" || l.Workload == "" || l.Container == "" {
				t.Fatalf("%+v", l)
			}
		}
	})
}

func fit(text string) bool {
	again, mended := text, Mended{}
	mended.clean(&again, maxPathRunes)
	return text != "" && mended == (Mended{}) && again == text
}
