package rules

import (
	"slices"
	"testing"
	"time"
)

const (
	cpuRule    = `  - {alert: Busy, expr: 'cpu > 0.9', for: 2m}`
	absentRule = `  - {alert: AgentAbsent, expr: 'time() - plimsoll_collector_agent_last_received_timestamp_seconds > 180'}`
	absentExpr = `time() - plimsoll_collector_agent_last_received_timestamp_seconds > 180`
)

// hear says how many seconds ago each of two agents of one cluster was heard.
func (b *testbed) hear(n1, n2 float64) {
	b.silence(silences)
	b.answer(silences, n1, "idc", "i", "cluster", "c", "node", "n1")
	b.answer(silences, n2, "idc", "i", "cluster", "c", "node", "n2")
}

// lose says which agents are lost for sure.
func (b *testbed) lose(nodes ...string) {
	b.silence(lost)
	for _, n := range nodes {
		b.answer(lost, 1, "idc", "i", "cluster", "c", "node", n)
	}
}

func (b *testbed) busy(nodes ...string) {
	b.silence("cpu > 0.9")
	for _, n := range nodes {
		b.answer("cpu > 0.9", 0.95, "idc", "i", "cluster", "c", "node", n)
	}
}

// told is what was told since the last call: name, node, and "resolved" where it is over.
func (b *testbed) said(at time.Time) (said []string) {
	for _, a := range b.take() {
		text := a.Name() + " " + string(a.Labels["node"])
		if !a.EndsAt.After(at) {
			text += " resolved"
		}
		said = append(said, text)
	}
	slices.Sort(said)
	return said
}

// An agent was killed: AgentLost told of it after 13 s, and a rule about samples older than 25 s of each of its 20 containers before the
// minute was over after which an agent counts as silent.
func TestAlertsOfALostAgentNeitherFireNorEnd(t *testing.T) {
	bed := newTestbed()
	g := bed.group(t, ruleFile(cpuRule))
	step := func(after time.Duration, want ...string) {
		t.Helper()
		at := t0.Add(after)
		g.evaluate(t.Context(), at)
		if got := bed.said(at); !slices.Equal(got, want) {
			t.Fatalf("after %s told %q, want %q", after, got, want)
		}
	}
	g.silence.begin(t0.Add(time.Minute)) // what is merely silent is so two and a half minutes in
	bed.hear(5, 5)
	bed.busy("n1")
	step(0)
	bed.lose("n1") // and was heard a moment ago
	step(2 * time.Minute)
	bed.lose()
	step(4 * time.Minute)
	step(6*time.Minute, "Busy n1")
	bed.lose("n1")
	bed.busy()
	step(7*time.Minute, "Busy n1") // fires on without a sample
	bed.lose()
	step(8*time.Minute, "Busy n1 resolved")
}

func TestAlertsOfASilentAgentNeitherFireNorEnd(t *testing.T) {
	bed := newTestbed()
	g := bed.group(t, ruleFile(cpuRule, absentRule))
	step := func(after time.Duration, want ...string) {
		t.Helper()
		at := t0.Add(after)
		g.evaluate(t.Context(), at)
		got := bed.said(at)
		if !slices.Equal(got, want) {
			t.Fatalf("after %s told %q, want %q", after, got, want)
		}
	}
	bed.hear(5, 5)
	bed.busy("n1")
	step(0)
	step(2*time.Minute, "Busy n1")

	// n1 and n2 fall silent; n2 seems busy by its last sample, n1 still too.
	bed.hear(70, 70)
	bed.busy("n1", "n2")
	step(150 * time.Second)
	// Their samples leave the look-back. The absence itself is told: the collector sees it.
	bed.busy()
	bed.answer(absentExpr, 300, "idc", "i", "cluster", "c", "node", "n1")
	step(5*time.Minute, "AgentAbsent n1", "Busy n1")
	bed.silence(absentExpr)

	// Both are back, n1 is well again.
	bed.hear(3, 3)
	step(6*time.Minute, "AgentAbsent n1 resolved", "Busy n1 resolved")
}

func TestWhatIsHeldForASilentAgentEndsAfterAnHour(t *testing.T) {
	bed := newTestbed()
	g := bed.group(t, ruleFile("  - {alert: Busy, expr: 'cpu > 0.9'}"))
	bed.hear(5, 5)
	bed.busy("n1")
	g.evaluate(t.Context(), t0)
	bed.hear(100, 5)
	bed.busy()
	over := time.Duration(0)
	for d := time.Minute; d <= 90*time.Minute && over == 0; d += time.Minute {
		g.evaluate(t.Context(), t0.Add(d))
		for _, said := range bed.said(t0.Add(d)) {
			if said == "Busy n1 resolved" {
				over = d
			}
		}
	}
	if over != 61*time.Minute {
		t.Errorf("ended after %s, want an hour after its data was gone", over)
	}
}

func TestAnAlertOfAWholeClusterIsHeldWhileMostOfItsAgentsAreSilent(t *testing.T) {
	for _, c := range []struct {
		n1, n2 float64
		ends   bool
	}{{5, 5, true}, {100, 5, true}, {100, 100, false}} {
		bed := newTestbed()
		g := bed.group(t, ruleFile("  - {alert: Down, expr: 'ready == 0'}"))
		bed.hear(5, 5)
		bed.answer("ready == 0", 0, "idc", "i", "cluster", "c", "workload", "web")
		g.evaluate(t.Context(), t0)
		bed.take()
		bed.hear(c.n1, c.n2)
		bed.silence("ready == 0")
		g.evaluate(t.Context(), t0.Add(30*time.Second))
		if ended := len(bed.take()) > 0; ended != c.ends {
			t.Errorf("%v and %v s silent: ended %v, want %v", c.n1, c.n2, ended, c.ends)
		}
	}
}

func TestAfterAStartAgentsAreGivenTimeToBeHeardAgain(t *testing.T) {
	bed := newTestbed()
	g := bed.group(t, ruleFile("  - {alert: Busy, expr: 'cpu > 0.9'}"))
	g.silence.begin(t0)
	bed.hear(600, 600) // as it was when the collector went down
	bed.busy("n1")
	g.evaluate(t.Context(), t0.Add(time.Second))
	if said := bed.said(t0); len(said) != 1 {
		t.Errorf("told %q, want the alert that was there before", said)
	}
}

func TestAReloadKeepsWhatKeepFiringForHolds(t *testing.T) {
	bed := newTestbed()
	g := bed.group(t, ruleFile("  - {alert: Slow, expr: slow, keep_firing_for: 10m}"))
	bed.answer("slow", 1, "node", "n1")
	g.evaluate(t.Context(), t0)
	bed.silence("slow")
	g.evaluate(t.Context(), t0.Add(time.Minute))
	bed.take()

	next := newTestbed()
	after := next.group(t, ruleFile("  - {alert: Slow, expr: slow, keep_firing_for: 10m}", "  - {alert: New, expr: new}"))
	after.resume(t.Context(), t0.Add(2*time.Minute), g.leave())
	for _, s := range []struct {
		after time.Duration
		told  int
	}{{2 * time.Minute, 0}, {10 * time.Minute, 0}, {11 * time.Minute, 1}} {
		after.evaluate(t.Context(), t0.Add(s.after))
		if told := next.take(); len(told) != s.told {
			t.Errorf("after %s told %v, want %d", s.after, told, s.told)
		}
	}
}
