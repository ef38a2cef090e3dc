package rules

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestAFaultInARuleFileNamesFileAndLine(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string // after the file's name
	}{
		{"syntax", "groups:\n- name: g\n  rules: [\n", []string{":3: "}},
		{"unknown field of the file", "groups: []\nrules: []\n", []string{`:2: the file has no field "rules"`}},
		{"unknown field of a group", "groups:\n- name: g\n  intervall: 5s\n", []string{`:3: a group has no field "intervall"`}},
		{"unknown field of a rule", ruleFile("  - alert: A", "    expr: up", "    four: 5m"), []string{`:7: a rule has no field "four"`}},
		{"expression", ruleFile("  - alert: A", "    expr: sum(up"), []string{":6: expr: "}},
		{"template", ruleFile("  - alert: A", "    expr: up", "    annotations:", "      summary: fine", "      text: '{{ $labels.x'"), []string{":9: text: "}},
		{"template function", ruleFile("  - alert: A", "    expr: up", "    annotations:", "      text: '{{ shout $value }}'"), []string{":8: text: "}},
		{"duration", ruleFile("  - alert: A", "    expr: up", "    for: 5 min"), []string{":7: "}},
		{"neither alert nor record", ruleFile("  - expr: up"), []string{":5: a rule has either record or alert"}},
		{"no expression", ruleFile("  - alert: A"), []string{`:5: rule "A" needs an expr`}},
		{"record with for", ruleFile("  - record: a", "    expr: up", "    for: 5m"), []string{":7: "}},
		{"record name", ruleFile("  - record: a-b", "    expr: up"), []string{`:5: record "a-b"`}},
		{"label name", ruleFile("  - alert: A", "    expr: up", "    labels: {a-b: c}"), []string{":7: "}},
		{"two groups of one name", "groups:\n- {name: g}\n- {name: g}\n", []string{`:3: group "g" stands twice`}},
		{"two equal rules", ruleFile("  - {alert: A, expr: up}", "  - {alert: A, expr: up}"), []string{":6: "}},
		{"a key twice", ruleFile("  - alert: A", "    expr: up", "    expr: down"), []string{`:7: "expr" stands twice`}},
		{"rules that are no list", "groups:\n- name: g\n  rules: 5\n", []string{":3: rules must be a list"}},
		{"several at once", ruleFile("  - {alert: A}", "  - {record: b, expr: 'sum('}"), []string{":5: ", ":6: "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := write(t, "rules.yaml", c.text)
			err := Check(&bytes.Buffer{}, file)
			if err == nil {
				t.Fatal("taken")
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(c.want) {
				t.Fatalf("got %d faults, want %d:\n%v", len(lines), len(c.want), err)
			}
			for i, want := range c.want {
				if !strings.HasPrefix(lines[i], file+want) {
					t.Errorf("got  %s\nwant %s%s…", lines[i], file, want)
				}
			}
			var fault *ParseError
			if !errors.As(err, &fault) || fault.File != file {
				t.Errorf("%T is no ParseError of the file", err)
			}
			_, newErr := New(Config{Globs: []string{file}}, newTestbed().ports(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			if newErr == nil || newErr.Error() != err.Error() {
				t.Errorf("New says %v", newErr)
			}
		})
	}
}

func TestCheckSaysWhatItRead(t *testing.T) {
	file := write(t, "rules.yaml", ruleFile(oomRule))
	var out bytes.Buffer
	if err := Check(&out, file); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), file+": 1 groups, 1 rules\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := Check(&out, "/nonexistent/rules.yaml"); err == nil || !strings.Contains(err.Error(), "/nonexistent/rules.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestAKickEvaluatesTheEventGroupsAtOnceAndAtMostOnceASecond(t *testing.T) {
	bed := newTestbed()
	m := bed.manager(t, "groups:\n"+
		"- {name: event.oom, interval: 1h, rules: [{alert: Event, expr: oom}]}\n"+
		"- {name: slow, interval: 1h, rules: [{alert: Slow, expr: oom}]}\n")
	running(t, m)
	evaluations := func(rule string) float64 {
		return bed.metric(t, "plimsoll_collector_rule_evaluations_total", "rule", rule)
	}
	eventually(t, "the first evaluation", func() bool { return evaluations("Event") == 1 && evaluations("Slow") == 1 })

	bed.answer("oom", 1, "workload", "web")
	begin := time.Now()
	stop := begin.Add(1500 * time.Millisecond)
	for time.Now().Before(stop) {
		m.Kick()
		time.Sleep(time.Millisecond)
	}
	eventually(t, "the alert", func() bool { return len(bed.take()) > 0 })
	if got := evaluations("Event") - 1; got < 1 || got > 3 {
		t.Errorf("%v evaluations in %s, want one a second", got, time.Since(begin))
	}
	if got := evaluations("Slow"); got != 1 {
		t.Errorf("the other group was evaluated %v times", got)
	}
	if bed.flushes == 0 {
		t.Error("the engine was not flushed")
	}
}

func TestReload(t *testing.T) {
	const before = "groups:\n" +
		"- {name: kept, interval: 1s, rules: [{alert: Kept, expr: kept}]}\n" +
		"- {name: changed, interval: 1s, rules: [{alert: Pending, expr: slow, for: 1h}]}\n" +
		"- {name: removed, interval: 1s, rules: [{alert: Removed, expr: gone}]}\n"
	const after = "groups:\n" +
		"- {name: kept, interval: 1s, rules: [{alert: Kept, expr: kept}]}\n" +
		"- {name: changed, interval: 1s, rules: [{alert: Pending, expr: slow, for: 1h}, {alert: Added, expr: added}]}\n"
	bed := newTestbed()
	for _, expr := range []string{"kept", "slow", "gone", "added"} {
		bed.answer(expr, 1, "node", "n1")
	}
	pack := fstest.MapFS{"rules.yaml": {Data: []byte(before)}}
	m, err := New(Config{Builtin: pack}, bed.ports(), slog.New(slog.DiscardHandler), bed.reg)
	if err != nil {
		t.Fatal(err)
	}
	running(t, m)
	eventually(t, "both alerts", func() bool {
		return bed.metric(t, "plimsoll_collector_alerts", "state", "firing") == 2 && bed.metric(t, "plimsoll_collector_alerts", "state", "pending") == 1
	})
	since := *m.views()[1].Rules[0].Alerts
	kept := m.groups[0]
	bed.take()

	pack["rules.yaml"] = &fstest.MapFile{Data: []byte("groups: 5\n")}
	if err := m.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "builtin:rules.yaml:1: ") {
		t.Fatalf("broken file: %v", err)
	}
	if len(m.groups) != 3 {
		t.Fatalf("%d groups after a failed reload, want the old 3", len(m.groups))
	}

	time.Sleep(1100 * time.Millisecond)
	pack["rules.yaml"] = &fstest.MapFile{Data: []byte(after)}
	if err := m.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(m.groups) != 2 || m.groups[0] != kept {
		t.Error("the group that did not change was replaced")
	}
	eventually(t, "the added alert firing", func() bool {
		return bed.metric(t, "plimsoll_collector_alerts", "group", "changed", "state", "firing") == 1
	})
	pending := *m.views()[1].Rules[0].Alerts
	if len(pending) != 1 || !pending[0].ActiveAt.Equal(*since[0].ActiveAt) {
		t.Errorf("the pending alert starts anew: %v, was %v", pending, since)
	}
	resolved, added := false, false
	for _, a := range bed.take() {
		resolved = resolved || a.Name() == "Removed" && !a.EndsAt.After(time.Now())
		added = added || a.Name() == "Added"
	}
	if !resolved || !added {
		t.Errorf("removed rule resolved: %v, added rule told: %v", resolved, added)
	}
	if got := bed.metric(t, "plimsoll_collector_rule_evaluations_total", "group", "removed"); got != 0 {
		t.Errorf("the removed group still has metrics")
	}
	if ok, bad := bed.metric(t, "plimsoll_collector_rule_reloads_total", "result", "success"), bed.metric(t, "plimsoll_collector_rule_reloads_total", "result", "failure"); ok != 1 || bad != 1 {
		t.Errorf("%v reloads well, %v failed", ok, bad)
	}
}

func TestUserFilesComeBesideTheBuiltinPack(t *testing.T) {
	file := write(t, "mine.yaml", ruleFile("  - {alert: Mine, expr: up}"))
	m, err := New(Config{
		Builtin: fstest.MapFS{"pack.yaml": {Data: []byte(ruleFile(oomRule))}, "tests/t.yaml": {Data: []byte("no rules")}},
		Globs:   []string{file[:len(file)-9] + "*.yaml", file, "/nonexistent/*.yaml"},
	}, newTestbed().ports(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if len(m.groups) != 2 || m.groups[0].def.File != "builtin:pack.yaml" || m.groups[1].def.File != file {
		t.Errorf("groups %v", m.groups)
	}
}
