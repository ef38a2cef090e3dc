package enginetest

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/plimsoll/plimsoll/alerts"
	"github.com/plimsoll/plimsoll/collector/internal/engine"
	"github.com/plimsoll/plimsoll/collector/internal/rules"
)

// aFailingRuleTellsOfItself: a rule of the user's whose query cannot be answered, with half an hour of evaluations of it and of the pack's
// rules on the pipeline, the manager's own metrics being stored as the collector stores them.
func aFailingRuleTellsOfItself(t *testing.T, eng *engine.Engine) {
	pack, err := fs.ReadFile(alerts.FS(), "alerts-pipeline.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "mine.yaml")
	text := "groups:\n- name: mine\n  interval: 30s\n  rules:\n  - {alert: NeverHeardOf, expr: 'selftest_a * on (x) selftest_b > 0'}\n  - {alert: StillHeardOf, expr: 'selftest_c > 0'}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	told := map[string]model.LabelSet{}
	now := time.Time{}
	m, err := rules.New(rules.Config{Builtin: fstest.MapFS{"alerts-pipeline.yaml": {Data: pack}}, Globs: []string{file}}, rules.Ports{
		Query: rules.Queries(eng.Query), Append: eng.Append, Flush: eng.Flush,
		Notify: func(_ context.Context, all ...*model.Alert) error {
			for _, a := range all {
				if a.EndsAt.After(now) {
					told[a.Name()] = a.Labels
				}
			}
			return nil
		},
	}, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	series := func(name string, value float64, pairs ...string) prompb.TimeSeries {
		ts := prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: name}}, Samples: []prompb.Sample{{Value: value, Timestamp: now.UnixMilli()}}}
		for i := 0; i < len(pairs); i += 2 {
			ts.Labels = append(ts.Labels, prompb.Label{Name: pairs[i], Value: pairs[i+1]})
		}
		return ts
	}
	for now = time.Now().Add(-30 * time.Minute).Truncate(time.Minute); time.Since(now) > time.Minute; now = now.Add(30 * time.Second) {
		batch := []prompb.TimeSeries{series("selftest_a", 1, "x", "1", "y", "1"), series("selftest_a", 1, "x", "1", "y", "2"), series("selftest_b", 1, "x", "1", "y", "1"), series("selftest_b", 1, "x", "1", "y", "2"), series("selftest_c", 1)}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, one := range f.GetMetric() {
				if one.Counter == nil {
					continue
				}
				pairs := []string{"collector", "selftest"}
				for _, l := range one.GetLabel() {
					pairs = append(pairs, l.GetName(), l.GetValue())
				}
				batch = append(batch, series(f.GetName(), one.Counter.GetValue(), pairs...))
			}
		}
		if err := eng.Append(batch); err != nil {
			t.Fatal(err)
		}
		eng.Flush()
		m.Evaluate(t.Context(), now)
	}
	if of := told["RuleEvaluationFailing"]; of["rule"] != "NeverHeardOf" || of["group"] != "mine" || of["severity"] != "critical" {
		t.Errorf("the rule that fails told %v", told)
	}
	if told["StillHeardOf"] == nil {
		t.Errorf("the other rule of its group is not heard: %v", told)
	}
}
