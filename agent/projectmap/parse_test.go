package projectmap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryMistakeIsNamedWithItsLine(t *testing.T) {
	const good = "- {match: {name: x}, project: p}\n"
	for _, c := range []struct{ sentence, text, want string }{
		{"an unknown section", "rulez:\n" + good, `m.yaml:1: the file: unknown field "rulez"; known are rules, projects, defaults, unassigned, pass_labels, tests`},
		{"an unknown field of a rule", "rules:\n" + good + "- match: {name: y}\n  projekt: p\n  project: p\n", `m.yaml:4: the rule: unknown field "projekt"`},
		{"nothing to look at", "rules:\n- match: {namspace: y}\n  project: p\n", `m.yaml:2: match: "namspace" is nothing to look at; known are label.KEY, annotation.KEY, cluster`},
		{"labels below a field", "rules:\n- match:\n    labels: {app: x}\n  project: p\n", `m.yaml:3: match: "labels" is nothing to look at; write the key behind a dot: label.KEY: value`},
		{"a label without a key", "rules:\n- match: {label.: y}\n  project: p\n", `m.yaml:2: match: "label." is nothing`},
		{"a bad regular expression", "rules:\n- match:\n    name:\n      regexp: 'a('\n  project: p\n", "m.yaml:4: name: error parsing regexp: missing closing )"},
		{"a capture that does not exist", "rules:\n- match: {name: 'a*'}\n  project: $2\n", "m.yaml:3: project \"$2\": capture $2 does not exist: the conditions of the rule capture 1"},
		{"a named capture that does not exist", "rules:\n- match: {name: 'a*'}\n  project: ${app}\n", "m.yaml:3: project \"${app}\": capture ${app} does not exist"},
		{"a name that two captures have", "rules:\n- match: {name: {regexp: '(?P<a>x)'}, pod: {regexp: '(?P<a>y)'}}\n  project: ${a}\n", "m.yaml:3: project \"${a}\": capture ${a} exists twice"},
		{"an open brace", "rules:\n- match: {name: 'a*'}\n  project: ${1\n", "m.yaml:3: project \"${1\": ${ has no closing brace"},
		{"a lone dollar sign", "rules:\n- match: {name: a}\n  team: a$\n  project: p\n", "m.yaml:3: team \"a$\": $ must be followed by"},
		{"a capture in section projects", "projects:\n  p:\n    team: $1\n", "m.yaml:3: team \"$1\": capture $1 does not exist"},
		{"an empty value", "rules:\n- match: {name: ''}\n  project: p\n", "m.yaml:2: name is empty"},
		{"no value", "rules:\n- match: {name: x}\n  project:\n", "m.yaml:3: project is empty"},
		{"no project", "rules:\n- match: {name: x}\n", "m.yaml:2: the rule has no project"},
		{"no match", "rules:\n- project: p\n", "m.yaml:2: the rule has no match"},
		{"an empty match", "rules:\n- {project: p, match: {}}\n", "m.yaml:2: the rule has no match"},
		{"an empty list of values", "rules:\n- {project: p, match: {name: []}}\n", "m.yaml:2: name: the list is empty"},
		{"a pattern of two sorts", "rules:\n- {project: p, match: {name: {glob: a, regexp: b}}}\n", "m.yaml:2: name must be a plain value, {exact: …}, {glob: …} or {regexp: …}"},
		{"a list of lists", "rules:\n- {project: p, match: {name: [[a]]}}\n", "m.yaml:2: name must be one plain value"},
		{"a backslash at the end", "rules:\n- {project: p, match: {name: 'a\\'}}\n", "m.yaml:2: name: a backslash takes the meaning off"},
		{"alternatives with different captures", "rules:\n- project: $1\n  match:\n    name:\n    - a*\n    - b*c*\n", `m.yaml:6: name: "b*c*" captures other parts than "a*" before it`},
		{"two rules of one name", "rules:\n- {name: a, match: {name: x}, project: p}\n- {name: a, match: {name: y}, project: p}\n", `m.yaml:3: the name "a" is taken by the rule at line 2`},
		{"a field twice", "rules:\n- match: {name: x}\n  project: p\n  project: q\n", `m.yaml:4: the rule: "project" comes twice`},
		{"rules that are no list", "rules: {a: b}\n", "m.yaml:1: rules must be a list"},
		{"a rule that is no mapping", "rules:\n- text\n", "m.yaml:2: the rule must be fields"},
		{"a project that is a list", "rules:\n- match: {name: x}\n  project: [a]\n", "m.yaml:3: project must be one plain value"},
		{"a project with a line break", "rules:\n- match: {name: x}\n  project: \"a\\nb\"\n", "m.yaml:3: project holds a control character"},
		{"a project longer than a label", "rules:\n- match: {name: x}\n  project: " + strings.Repeat("p", 201) + "\n", "m.yaml:3: project has 201 bytes, the most is 200"},
		{"defaults of no kind", "defaults: maybe\n", "m.yaml:1: defaults must be on, off, or a list"},
		{"a default that is nothing", "defaults: [label.project, stak]\n", `m.yaml:1: defaults: "stak" is nothing to look at`},
		{"an empty name for the unassigned", "unassigned: ''\n", "m.yaml:1: unassigned is empty"},
		{"a passed label that takes a name of ours", "pass_labels:\n- pod\n", `m.yaml:2: pass_labels: "pod" is a label of Plimsoll's own`},
		{"or one that a metric has", "pass_labels:\n- interface\n", `m.yaml:2: pass_labels: "interface" is a label of Plimsoll's own`},
		{"two passed labels under one name", "pass_labels: [a.b,\n a-b]\n", `m.yaml:2: pass_labels: the name "a_b" comes twice`},
		{"a bad name for a passed label", "pass_labels: [{label: a, as: 9-x}]\n", `m.yaml:1: as: "9-x" is no name of a label: letters, digits and _, no digit first; for example "_9_x"`},
		{"a limit that is no number", "pass_labels: [{label: a, max_values: many}]\n", `m.yaml:1: max_values: "many" is not a whole number from 1 to 10000`},
		{"a limit below what a cut value needs", "pass_labels: [{label: a, max_length: 3}]\n", `m.yaml:1: max_length: at least 16`},
		{"too many passed labels", "pass_labels: [a, b, c, d, e, f, g, h, i]\n", "m.yaml:1: pass_labels: 9 items, the most is 8"},
		{"a test without a container", "tests:\n- project: p\n", "m.yaml:2: the test has no given"},
		{"a test without an expectation", "tests:\n- given: {name: x}\n", "m.yaml:2: the test expects no project"},
		{"a test of a rule there is not", "tests:\n- {given: {name: x}, project: p, rule: pay}\n", `m.yaml:2: rule: no rule has the name "pay"`},
		{"a test with an unknown field", "tests:\n- given: {nmae: x}\n  project: p\n", `m.yaml:2: given: unknown field "nmae"`},
		{"a runtime there is not", "tests:\n- given: {runtime: podman}\n  project: p\n", `m.yaml:2: runtime: "podman" is none of kubernetes, swarm, compose, docker`},
		{"a reference", "rules:\n- match: &m {name: x}\n  project: p\n- match: *m\n  project: q\n", "m.yaml:4: *m: references are not followed"},
		{"no YAML", "rules:\n  - a\n b: [\n", "m.yaml:3: not YAML: did not find expected key"},
		{"an open brace of YAML", "rules:\n- {name: a\n\n", "m.yaml:2: not YAML: did not find expected ',' or '}'"},
		{"no UTF-8", "rules:\n- match: {name: \xff}\n", "m.yaml:2: the line is not UTF-8"},
		{"two documents", "rules: []\n---\nrules: []\n", "m.yaml:2: a second document"},
		{"plain text", "hello\n", "m.yaml:1: the file must be fields"},
		{"nothing, as a file that was cut off", "", "m.yaml:1: the file is empty"},
		{"nothing but remarks", "# rules\n", "m.yaml:1: the file is empty"},
		{"too large a file", strings.Repeat("#", 1<<20+1), "m.yaml:1: the file has 1048577 bytes"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			m, err := Parse("m.yaml", []byte(c.text))
			var faults Faults
			if !errors.As(err, &faults) || m != nil {
				t.Fatalf("got a map: %v, error %v; want %s", m != nil, err, c.want)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %s\nwant %s", err, c.want)
			}
		})
	}
}

func TestAllMistakesAreToldAtOnceInTheOrderOfTheLines(t *testing.T) {
	_, err := Parse("m.yaml", []byte("unassigned: ''\nrules:\n- {match: {name: x}, project: $1}\n- {match: {nome: x}, project: p}\n- {match: {name: {regexp: '['}}, project: p}\n"))
	var lines []string
	for _, f := range err.(Faults) {
		lines = append(lines, fmt.Sprint(f.Line))
	}
	if got := strings.Join(lines, " "); got != "1 3 4 5" {
		t.Errorf("lines %s of\n%v", got, err)
	}
}

func TestAMapNeedsNoRules(t *testing.T) {
	for _, text := range []string{"rules: []", "rules:\ntests:\nprojects:\n"} {
		if d := parse(t, text).Decide(Container{Namespace: "n"}); d.Project != "n" {
			t.Errorf("%q: %+v", text, d)
		}
	}
}

func TestTheTestSectionIsRun(t *testing.T) {
	m := parse(t, `rules:
- {name: pay, match: {namespace: pay-*}, project: payments, team: $1}
tests:
- {given: {namespace: pay-eu}, project: payments, rule: pay, team: eu}
- {given: {namespace: shop, labels: {project: x}}, project: x, rule: default}
- {given: {name: lone}, project: unassigned, rule: none}
- {given: {labels: {com.docker.compose.project: pay-us}}, project: payments}
- name: a wrong one
  given: {namespace: pay-eu}
  project: shop
  team: us
- {given: {stack: pay-eu}, project: payments, rule: none}
`)
	err := m.Verify()
	want := `map.yaml:8: test a wrong one fails: project "payments", expected "shop"; team "eu", expected "us" (decided by rule pay)
map.yaml:12: test fails: rule "pay", expected "none" (decided by rule pay)`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if m.Tests() != 6 {
		t.Errorf("%d tests", m.Tests())
	}
}

// The example in deploy/ is what people copy.
func TestTheShippedExampleIsGood(t *testing.T) {
	const file = "../../deploy/project-map.example.yaml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(filepath.Base(file), text)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Verify(); err != nil {
		t.Error(err)
	}
	for _, fault := range m.Shadowed() {
		t.Error(fault)
	}
	if m.Rules() < 5 || m.Tests() < m.Rules() {
		t.Errorf("%d rules, %d tests", m.Rules(), m.Tests())
	}
}

func TestContainersAreDescribedAsTestsDo(t *testing.T) {
	const one = "- {name: a, image: i, labels: {com.docker.compose.project: shop}}\n- {namespace: n, pod: p, annotations: {x: ''}}\n"
	for _, text := range []string{one, "containers:\n" + one, `[{"name":"a","image":"i","labels":{"com.docker.compose.project":"shop"}},{"namespace":"n","pod":"p"}]`} {
		all, err := ParseContainers("c.yaml", []byte(text))
		if err != nil || len(all) != 2 || all[0].ComposeProject != "shop" || all[0].Namespace != "shop" || all[0].Runtime != "compose" || all[1].Runtime != "kubernetes" {
			t.Errorf("%s: %+v, %v", text, all, err)
		}
	}
	if _, err := ParseContainers("c.yaml", []byte("- {name: a}\n- {nam: b}\n")); err == nil || !strings.HasPrefix(err.Error(), "c.yaml:2: ") {
		t.Errorf("got %v", err)
	}
}

// FuzzParse: whatever the file holds, Parse says what is wrong with it or gives a map that decides.
func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("../../deploy/project-map.example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text, "shop", "x-1")
	f.Add([]byte("rules:\n- {match: {label.a: ['*b*', 'c*d*']}, project: '${1}-$2'}\npass_labels: [a]\n"), "a", "cxdy")
	f.Add([]byte("rules:\n- match: &a {name: *a}\n"), "", "")
	f.Add([]byte("? [a]\n: b\n"), "", "\xff")
	f.Fuzz(func(t *testing.T, text []byte, key, value string) {
		m, err := Parse("m.yaml", text)
		if err != nil {
			var faults Faults
			if !errors.As(err, &faults) || len(faults) == 0 || faults[0].Line < 1 || faults[0].Text == "" {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		d := m.Decide(Container{Labels: map[string]string{key: value}, Namespace: value, Image: value, Name: key})
		if d.Project == "" || d.Rule == "" || d.Unassigned && d.Project != m.Unassigned() {
			t.Fatalf("decided %+v", d)
		}
		m.Shadowed()
		m.Verify()
		if again, err := Parse("m.yaml", m.Text()); err != nil || again.Hash() != m.Hash() {
			t.Fatalf("its own text does not parse again: %v", err)
		}
	})
}
