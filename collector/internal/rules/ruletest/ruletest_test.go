package ruletest_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/collector/internal/rules/ruletest"
)

// TestMain collects garbage seldom: the engine takes 8 MiB anew at each of thousands of evaluations, and drops them at once.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	m.Run()
}

func TestTheBuiltinPackMeansTheSameToOurEngineAsToPrometheus(t *testing.T) {
	var out bytes.Buffer
	err := ruletest.UnitTest(&out, "../../../../alerts/tests/*.yaml")
	t.Log(out.String())
	if err != nil {
		t.Error(err)
	}
	if n := strings.Count(out.String(), "SUCCESS"); n < 4 {
		t.Errorf("%d files passed, want 4", n)
	}
}

func TestAFailingTestSaysWhatItGot(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "rules.yaml", "groups:\n- name: g\n  rules:\n  - {alert: Up, expr: up > 0, labels: {severity: info}}\n  - {record: ups, expr: sum(up)}\n")
	test := write(t, dir, "test.yaml", `rule_files: [rules.yaml]
evaluation_interval: 1m
tests:
- interval: 1m
  input_series: [{series: 'up{job="x"}', values: 1x5}]
  alert_rule_test: [{eval_time: 3m, alertname: Up}]
  promql_expr_test: [{expr: ups, eval_time: 3m, exp_samples: [{labels: ups, value: 1}]}]
`)
	var out bytes.Buffer
	if err := ruletest.UnitTest(&out, test); !errors.Is(err, ruletest.ErrFailed) {
		t.Errorf("got %v, want ErrFailed", err)
	}
	for _, want := range []string{test, "alertname: Up", `job="x"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "expr:") {
		t.Errorf("the sound expression is reported too:\n%s", out.String())
	}
}

func TestABrokenTestFileIsAnErrorThatNamesIt(t *testing.T) {
	dir := t.TempDir()
	broken := write(t, dir, "rules.yaml", "groups:\n- name: g\n  rules:\n  - {alert: Up, expr: 'sum('}\n")
	for text, want := range map[string]string{
		"rule_files: [rules.yaml]\ntests: []\n": broken + ":4: expr: ",
		"rule_files: [none.yaml]\ntests: []\n":  "none.yaml",
		"tests: []\n":                           "rule_files",
		"- a\n":                                 "must be a mapping",
		"a: [\n":                                "yaml",
	} {
		test := write(t, dir, "test.yaml", text)
		err := ruletest.UnitTest(&bytes.Buffer{}, test)
		if err == nil || !strings.HasPrefix(err.Error(), test+":") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	if err := ruletest.UnitTest(&bytes.Buffer{}, filepath.Join(dir, "nothing*.yaml")); err == nil {
		t.Error("no file is no error")
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
