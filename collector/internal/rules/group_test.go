package rules

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const oomRule = `  - alert: OOM
    expr: oom > 0
    labels: {severity: warning}
    annotations:
      summary: '{{ $labels.workload }} was killed {{ printf "%.0f" $value }}x'
      runbook_url: '{{ $externalURL }}/runbooks/OOM'`

func TestAnAlertIsToldWhenItFiresAndWhenItIsResolved(t *testing.T) {
	bed := newTestbed()
	g := bed.group(t, ruleFile(oomRule))
	g.evaluate(t.Context(), t0)
	if told := bed.take(); len(told) != 0 {
		t.Fatalf("told %v before anything happened", told)
	}

	bed.answer("oom > 0", 2, "__name__", "oom", "workload", "web", "pod", "")
	g.evaluate(t.Context(), t0.Add(5*time.Second))
	told := bed.take()
	if len(told) != 1 {
		t.Fatalf("told %d alerts, want 1", len(told))
	}
	a := told[0]
	if got, want := a.Labels.String(), `{alertname="OOM", pod="", severity="warning", workload="web"}`; got != want {
		t.Errorf("labels %s, want %s", got, want)
	}
	if a.Annotations["summary"] != "web was killed 2x" || a.Annotations["runbook_url"] != "http://collector:9750/runbooks/OOM" {
		t.Errorf("annotations %v", a.Annotations)
	}
	if a.GeneratorURL != "http://collector:9750/vmui/#/?g0.tab=1&g0.expr=oom+%3E+0" {
		t.Errorf("generator URL %s", a.GeneratorURL)
	}
	if !a.StartsAt.Equal(t0.Add(5*time.Second)) || !a.EndsAt.Equal(t0.Add(4*time.Minute+5*time.Second)) {
		t.Errorf("from %s to %s", a.StartsAt, a.EndsAt)
	}

	bed.silence("oom > 0")
	g.evaluate(t.Context(), t0.Add(10*time.Second))
	told = bed.take()
	if len(told) != 1 || !told[0].EndsAt.Equal(t0.Add(10*time.Second)) || !told[0].StartsAt.Equal(t0.Add(5*time.Second)) {
		t.Fatalf("told %v, want one resolved alert", told)
	}
	g.evaluate(t.Context(), t0.Add(15*time.Second))
	if told := bed.take(); len(told) != 0 {
		t.Errorf("told %v of an alert that is over", told)
	}
}

func TestAFiringAlertIsToldAgainOnlyAfterTheResendInterval(t *testing.T) {
	bed := newTestbed()
	g := bed.group(t, ruleFile(oomRule))
	bed.answer("oom > 0", 1, "workload", "web")
	var at []time.Duration
	for d := time.Duration(0); d <= 130*time.Second; d += 5 * time.Second {
		g.evaluate(t.Context(), t0.Add(d))
		if len(bed.take()) > 0 {
			at = append(at, d)
		}
	}
	if want := []time.Duration{0, time.Minute, 2 * time.Minute}; !slices.Equal(at, want) {
		t.Errorf("told at %v, want %v", at, want)
	}
}

func TestWhatCouldNotBeToldIsToldWithTheNextEvaluation(t *testing.T) {
	bed := newTestbed()
	g := bed.group(t, ruleFile(oomRule))
	bed.answer("oom > 0", 1, "workload", "web")
	bed.deaf = true
	g.evaluate(t.Context(), t0)
	bed.deaf = false
	g.evaluate(t.Context(), t0.Add(5*time.Second))
	if told := bed.take(); len(told) != 1 || !told[0].StartsAt.Equal(t0) {
		t.Fatalf("told %v, want the alert of the first evaluation", told)
	}
	bed.silence("oom > 0")
	bed.deaf = true
	g.evaluate(t.Context(), t0.Add(10*time.Second))
	bed.deaf = false
	g.evaluate(t.Context(), t0.Add(15*time.Second))
	if told := bed.take(); len(told) != 1 || told[0].EndsAt.After(t0.Add(15*time.Second)) {
		t.Fatalf("told %v, want it resolved", told)
	}
}

func TestForAndKeepFiringForHoldAnAlertBack(t *testing.T) {
	bed := newTestbed()
	g := bed.group(t, ruleFile("  - {alert: Slow, expr: slow, for: 10s, keep_firing_for: 20s}"))
	steps := []struct {
		after time.Duration
		slow  bool
		told  string
	}{
		{0, true, ""},
		{5 * time.Second, true, ""},
		{10 * time.Second, true, "firing"},
		{15 * time.Second, false, ""},
		{30 * time.Second, false, ""},
		{35 * time.Second, false, "resolved"},
	}
	for _, s := range steps {
		bed.silence("slow")
		if s.slow {
			bed.answer("slow", 1, "node", "n1")
		}
		at := t0.Add(s.after)
		g.evaluate(t.Context(), at)
		told := ""
		for _, a := range bed.take() {
			told = "firing"
			if !a.EndsAt.After(at) {
				told = "resolved"
			}
		}
		if told != s.told {
			t.Errorf("after %s told %q, want %q", s.after, told, s.told)
		}
	}
	if want := []string{"ALERTS firing", "ALERTS pending", "ALERTS_FOR_STATE"}; !slices.Equal(bed.names(), want) {
		t.Errorf("stored %v, want %v", bed.names(), want)
	}
}

func TestAfterARestartAlertsStandWhereTheyStood(t *testing.T) {
	const forState = `default_rollup(ALERTS_FOR_STATE{alertname=~"Slow"}[3600s])`
	const firing = `default_rollup(ALERTS{alertstate="firing",alertname=~"Slow"}[3600s])`
	const rule = "  - {alert: Slow, expr: slow, for: 10m}"
	start := func(t *testing.T, bed *testbed) *group {
		bed.answer(forState, float64(t0.Add(-time.Hour).Unix()), "__name__", "ALERTS_FOR_STATE", "alertname", "Slow", "node", "n1")
		bed.answer(firing, 1, "__name__", "ALERTS", "alertstate", "firing", "alertname", "Slow", "node", "n1")
		g := bed.group(t, ruleFile(rule))
		g.resume(t.Context(), t0, g.pastFromEngine(t.Context(), t0))
		return g
	}
	t.Run("one that still fires is told at once, with its first start", func(t *testing.T) {
		bed := newTestbed()
		bed.answer("slow", 1, "node", "n1")
		bed.answer("slow", 1, "node", "n2")
		g := start(t, bed)
		g.evaluate(t.Context(), t0)
		told := bed.take()
		if len(told) != 1 || told[0].Labels["node"] != "n1" || !told[0].StartsAt.Equal(t0.Add(-50*time.Minute)) {
			t.Errorf("told %v, want n1 firing since 50 minutes; n2 is new and pends", told)
		}
	})
	t.Run("one that ended meanwhile is resolved after the grace", func(t *testing.T) {
		bed := newTestbed()
		g := start(t, bed)
		for _, s := range []struct {
			after time.Duration
			told  int
		}{{0, 0}, {4 * time.Minute, 0}, {5 * time.Minute, 1}, {6 * time.Minute, 0}} {
			g.evaluate(t.Context(), t0.Add(s.after))
			if told := bed.take(); len(told) != s.told {
				t.Errorf("after %s told %v, want %d", s.after, told, s.told)
			}
		}
	})
	t.Run("an engine without MetricsQL is asked in PromQL", func(t *testing.T) {
		bed := newTestbed()
		bed.failing[forState] = true
		bed.answer(`ALERTS_FOR_STATE{alertname=~"Slow"}`, float64(t0.Add(-9*time.Minute).Unix()), "alertname", "Slow", "node", "n1")
		bed.answer("slow", 1, "node", "n1")
		g := bed.group(t, ruleFile(rule))
		g.resume(t.Context(), t0, g.pastFromEngine(t.Context(), t0))
		g.evaluate(t.Context(), t0)
		if told := bed.take(); len(told) != 0 {
			t.Errorf("told %v a minute early", told)
		}
		g.evaluate(t.Context(), t0.Add(time.Minute))
		if told := bed.take(); len(told) != 1 {
			t.Errorf("told %v, want n1", told)
		}
	})
}

func TestRecordedSeriesAreStoredUnderTheirName(t *testing.T) {
	bed := newTestbed()
	g := bed.group(t, ruleFile("  - {record: 'job:up:sum', expr: sum(up), labels: {source: rule}}"))
	bed.answer("sum(up)", 7, "job", "x")
	g.evaluate(t.Context(), t0.Add(300*time.Millisecond))
	if len(bed.stored) != 1 {
		t.Fatalf("stored %v", bed.stored)
	}
	got := bed.stored[0]
	labels := map[string]string{}
	for _, l := range got.Labels {
		labels[l.Name] = l.Value
	}
	if labels["__name__"] != "job:up:sum" || labels["job"] != "x" || labels["source"] != "rule" {
		t.Errorf("labels %v", labels)
	}
	if s := got.Samples[0]; s.Value != 7 || s.Timestamp != t0.UnixMilli() {
		t.Errorf("sample %+v, want 7 at the whole second", s)
	}
}

func TestAFailingRuleIsCountedAndTheOthersGoOn(t *testing.T) {
	bed := newTestbed()
	g := bed.group(t, ruleFile("  - {alert: Broken, expr: broken}", oomRule))
	bed.failing["broken"] = true
	bed.answer("oom > 0", 1, "workload", "web")
	g.evaluate(t.Context(), t0)
	if told := bed.take(); len(told) != 1 {
		t.Errorf("told %v, want the alert of the sound rule", told)
	}
	for rule, want := range map[string]float64{"Broken": 1, "OOM": 0, storing: 0} {
		if got := bed.metric(t, "plimsoll_collector_rule_evaluation_failures_total", "rule", rule); got != want {
			t.Errorf("%s failed %v times, want %v", rule, got, want)
		}
	}
	if got := bed.metric(t, "plimsoll_collector_rule_evaluations_total", "group", "g"); got != 2 {
		t.Errorf("%v evaluations, want 2", got)
	}
	bed.readOnly = true
	g.evaluate(t.Context(), t0.Add(5*time.Second))
	if got := bed.metric(t, "plimsoll_collector_rule_evaluation_failures_total", "rule", storing); got != 1 {
		t.Errorf("%v failures to store, want 1", got)
	}
}

func TestARuleThatYieldsMoreThanItsLimitFails(t *testing.T) {
	bed := newTestbed()
	g := bed.group(t, "groups:\n- name: g\n  limit: 1\n  rules:\n  - {record: r, expr: many}\n")
	bed.answer("many", 1, "a", "1")
	bed.answer("many", 1, "a", "2")
	g.evaluate(t.Context(), t0)
	if got := bed.metric(t, "plimsoll_collector_rule_evaluation_failures_total", "rule", "r"); got != 1 || len(bed.stored) != 0 {
		t.Errorf("%v failures, %d series stored; want 1 and 0", got, len(bed.stored))
	}
}

func TestAlertsPastTheLimitFailTheRuleAndEndNoneThatFires(t *testing.T) {
	bed := newTestbed()
	g := bed.group(t, "groups:\n- name: g\n  limit: 1\n  rules:\n  - {alert: Many, expr: many}\n")
	bed.answer("many", 1, "node", "n1")
	g.evaluate(t.Context(), t0)
	bed.answer("many", 1, "node", "n2")
	g.evaluate(t.Context(), t0.Add(5*time.Second))
	if told := bed.take(); len(told) != 1 || !told[0].EndsAt.After(t0.Add(time.Minute)) {
		t.Errorf("told %v, want n1 firing and nothing more", told)
	}
	view := g.view.Load().Rules[0]
	if view.Health != "err" || !strings.Contains(view.LastError, "2 series, the limit is 1") || len(*view.Alerts) != 1 {
		t.Errorf("health %s, error %q, alerts %v", view.Health, view.LastError, *view.Alerts)
	}
	if got := bed.metric(t, "plimsoll_collector_rule_evaluation_failures_total", "rule", "Many"); got != 1 {
		t.Errorf("%v failures, want 1: RuleEvaluationFailing rests on them", got)
	}
}

func TestTicksKeepTheirOffsetIntoTheInterval(t *testing.T) {
	g := newTestbed().group(t, ruleFile(oomRule))
	first := g.nextTick(t0)
	if wait := first.Sub(t0); wait <= 0 || wait > g.interval {
		t.Errorf("first tick after %s, interval %s", wait, g.interval)
	}
	if second := g.nextTick(first); second.Sub(first) != g.interval {
		t.Errorf("second tick %s after the first, want %s", second.Sub(first), g.interval)
	}
}
