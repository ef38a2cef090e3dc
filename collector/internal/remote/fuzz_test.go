package remote

import (
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"

	"github.com/plimsoll/plimsoll/collector/internal/view"
)

// FuzzAnswer: what an engine elsewhere, or whatever is at its address, says to a query.
func FuzzAnswer(f *testing.F) {
	f.Add("vector", []byte(`[{"metric":{"__name__":"up","a":"b"},"value":[1.5,"2"]}]`))
	f.Add("matrix", []byte(`[{"metric":{},"values":[[1,"2"],[2,"NaN"],[3,"+Inf"]]}]`))
	f.Add("scalar", []byte(`[1e300,"2"]`))
	f.Add("vector", []byte(`[{"value":null,"values":[null,[],[1]]}]`))
	f.Fuzz(func(t *testing.T, kind string, result []byte) {
		all, err := read(kind, result)
		if err != nil && all != nil {
			t.Errorf("%v beside %v", all, err)
		}
		for _, s := range all {
			if len(s.Values) == 0 || len(s.Values) != len(s.TimestampsMillis) {
				t.Errorf("%d values at %d times", len(s.Values), len(s.TimestampsMillis))
			}
		}
	})
}

// FuzzRewrite: whatever a reader of one project asks, each selector of what is sent is bound to the project.
func FuzzRewrite(f *testing.F) {
	for _, expr := range []string{`up`, `sum(rate({a="b" or project="other"}[5m] offset 1h)) by (project)`, `WITH (x = up{project="other"}) x + x`, `label_set(up, "project", "shop")`, `{__name__=~".+"}`, `topk(1, up) or {project!=""}`} {
		f.Add(expr)
	}
	names, err := view.NewNames([]string{"shop"})
	if err != nil {
		f.Fatal(err)
	}
	bound := view.New(names)
	f.Fuzz(func(t *testing.T, expr string) {
		sent, err := rewrite(expr, bound)
		if err != nil {
			return
		}
		parsed, err := metricsql.Parse(sent)
		if err != nil {
			t.Fatalf("%q became %q, which is no expression: %v", expr, sent, err)
		}
		metricsql.VisitAll(parsed, func(e metricsql.Expr) {
			selector, ok := e.(*metricsql.MetricExpr)
			if !ok {
				return
			}
			for _, group := range selector.LabelFilterss {
				bound := false
				for _, one := range group {
					bound = bound || one.Label == "project" && one.Value == "shop" && !one.IsNegative
				}
				if !bound {
					t.Errorf("%q became %q: %q is not bound", expr, sent, strings.TrimSpace(string(selector.AppendString(nil))))
				}
			}
			if len(selector.LabelFilterss) == 0 {
				t.Errorf("%q became %q: a selector of everything", expr, sent)
			}
		})
	})
}
