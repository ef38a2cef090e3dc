package rules

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// after is the group of a program that starts with the state file another left; the engine knows nothing.
func (b *testbed) after(t *testing.T, state, rules string) *group {
	t.Helper()
	m, err := New(Config{Builtin: fstest.MapFS{"rules.yaml": {Data: []byte(rules)}}, StateFile: state}, b.ports(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	g := m.groups[0]
	g.vmalert = newVmalertGroup(g)
	t.Cleanup(func() { closeVmalertGroup(g.vmalert) })
	return g
}

// A kill -9 took the last seconds of the ALERTS series with it: a `for` began anew, a firing alert was forgotten.
func TestTheStateFileHasWhatTheEngineLost(t *testing.T) {
	rules := ruleFile("  - {alert: Slow, expr: slow, for: 10m}", "  - {alert: Kept, expr: kept, keep_firing_for: 30m}")
	state := filepath.Join(t.TempDir(), "alerts.json")
	bed := newTestbed()
	bed.answer("slow", 1, "node", "n1")
	bed.answer("kept", 1, "node", "n1")
	g := bed.after(t, state, rules)
	g.evaluate(t.Context(), t0)
	bed.silence("kept")
	g.evaluate(t.Context(), t0.Add(5*time.Second)) // Kept fires on without its condition
	if err := g.state.write(); err != nil {
		t.Fatal(err)
	}
	bed.take()

	g = bed.after(t, state, rules)
	restart := t0.Add(time.Minute)
	g.resume(t.Context(), restart, g.pastOf(t.Context(), restart))
	g.evaluate(t.Context(), restart)
	if told := bed.take(); len(told) != 0 {
		t.Errorf("at the restart told %v: Slow pends, Kept is known", told)
	}
	g.evaluate(t.Context(), t0.Add(10*time.Minute))
	if told := bed.take(); len(told) != 1 || told[0].Labels["alertname"] != "Slow" || told[0].ResolvedAt(t0.Add(10*time.Minute)) {
		t.Errorf("ten minutes after it began told %v, want Slow firing", told)
	}
	g.evaluate(t.Context(), t0.Add(29*time.Minute))
	for _, a := range bed.take() {
		if a.Labels["alertname"] == "Kept" {
			t.Errorf("resolved before its keep_firing_for was over: %v", a)
		}
	}
	g.evaluate(t.Context(), t0.Add(31*time.Minute))
	resolved := false
	for _, a := range bed.take() {
		resolved = resolved || a.Labels["alertname"] == "Kept" && a.ResolvedAt(t0.Add(31*time.Minute))
	}
	if !resolved {
		t.Error("Kept is not resolved after its keep_firing_for")
	}
}

func TestTheStateFileIsWrittenOnChangeOnly(t *testing.T) {
	bed := newTestbed()
	g := bed.after(t, filepath.Join(t.TempDir(), "alerts.json"), ruleFile("  - {alert: Slow, expr: slow}"))
	dirty := func() bool {
		select {
		case <-g.state.dirty:
			return true
		default:
			return false
		}
	}
	for i, step := range []struct {
		fires, writes bool
	}{{false, false}, {true, true}, {true, false}, {false, true}, {false, false}} {
		bed.silence("slow")
		if step.fires {
			bed.answer("slow", 1, "node", "n1")
		}
		g.evaluate(t.Context(), t0.Add(time.Duration(i)*5*time.Second))
		if got := dirty(); got != step.writes {
			t.Errorf("step %d: written is %v", i, got)
		}
	}
}

func TestABrokenOrOldStateFileIsNotTaken(t *testing.T) {
	name := filepath.Join(t.TempDir(), "alerts.json")
	if err := os.WriteFile(name, []byte(`{"k":{"activeAt":{"00000000000000`), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := openState(name, time.Hour, time.Now()); err == nil || len(s.groups) != 0 {
		t.Errorf("half a file: %v, error %v", s.groups, err)
	}
	if err := os.WriteFile(name, []byte(`{"k":{"activeAt":{},"firing":[]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := openState(name, time.Hour, time.Now()); err != nil || len(s.groups) != 1 {
		t.Errorf("%v, error %v", s.groups, err)
	}
	if s, err := openState(name, time.Hour, time.Now().Add(2*time.Hour)); err != nil || len(s.groups) != 0 {
		t.Errorf("two hours old: %v, error %v", s.groups, err)
	}
}
