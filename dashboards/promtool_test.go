package dashboards

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Behind a collector may stand Prometheus, Mimir or Thanos: what only MetricsQL understands would be an empty panel there.
func TestEveryExpressionIsPrometheus(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("promtool is missing: apt install prometheus")
		}
		t.Skip("no promtool: apt install prometheus")
	}
	all, err := Load(FS())
	if err != nil {
		t.Fatal(err)
	}
	var rules strings.Builder
	rules.WriteString("groups:\n- name: panels\n  rules:\n")
	count := 0
	for _, d := range all {
		queries, err := d.QueriesAt(t.Context(), one, nil)
		if err != nil {
			t.Fatal(err)
		}
		marks, err := d.AnnotationQueries(t.Context(), one)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range append(queries, marks...) {
			fmt.Fprintf(&rules, "  - record: panel:%d\n    expr: %q\n    labels: {of: %q}\n", count, q.Expr, fmt.Sprint(q.Dashboard, ", ", q.Panel, ", ", q.RefID))
			count++
		}
	}
	file := filepath.Join(t.TempDir(), "panels.yaml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := exec.Command(promtool, "check", "rules", file).CombinedOutput()
	if err != nil || !strings.Contains(string(said), fmt.Sprintf("%d rules found", count)) {
		t.Errorf("%v\n%.3000s", err, said)
	}
	t.Logf("%d expressions", count)
}

// one gives every variable the value x.
func one(_ context.Context, expr string) ([]map[string]string, error) {
	inside, _, _ := strings.Cut(strings.TrimPrefix(expr, "count by ("), ")")
	return []map[string]string{{inside: "x"}}, nil
}
