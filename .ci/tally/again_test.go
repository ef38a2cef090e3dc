package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestASecondTryIsForFewTestsAndNothingElse(t *testing.T) {
	one, sub := failure{packagePath: "p", test: "TestA"}, failure{packagePath: "p", test: "TestA/sub"}
	other, whole := failure{packagePath: "q", test: "TestA"}, failure{packagePath: "q", reason: "the package"}
	for name, c := range map[string]struct {
		failures []failure
		limit    int
		passes   bool
		tries    int
		failed   int
	}{
		"a test and its subtest":      {[]failure{one, sub}, 1, true, 1, 0},
		"it fails again":              {[]failure{one, sub}, 1, false, 1, 2},
		"two of one name":             {[]failure{one, sub, other}, 2, true, 2, 0},
		"more than may":               {[]failure{one, other}, 1, true, 0, 2},
		"a package that did not pass": {[]failure{one, whole}, 2, true, 0, 2},
	} {
		counted, tries := newTally(), 0
		counted.failures, counted.failed = append([]failure{}, c.failures...), len(c.failures)
		ok := counted.secondTry(c.limit, func(failure) bool { tries++; return c.passes })
		if tries != c.tries || counted.failed != c.failed || len(counted.failures) != c.failed || ok != (c.failed == 0) {
			t.Errorf("%s: %d tries, %d failed %v, all well %v; want %d and %d", name, tries, counted.failed, counted.failures, ok, c.tries, c.failed)
		}
		if c.failed == 0 && counted.passed != len(c.failures) {
			t.Errorf("%s: %d passed, want %d", name, counted.passed, len(c.failures))
		}
	}
}

// The real go test on a module whose test passes every second time, and on one whose test never does.
func TestGoTestRunsATestOnceMore(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module p\ngo 1.26\n",
		"p_test.go": "package p\nimport (\"os\"; \"testing\")\nfunc TestX(t *testing.T) {\n\tif _, err := os.Stat(\"tried\"); err != nil {\n\t\tos.WriteFile(\"tried\", nil, 0o600)\n\t\tt.Error(\"the first\")\n\t}\n}\nfunc TestY(t *testing.T) {}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	var strict, lenient strings.Builder
	if err := run(t.Context(), []string{"./..."}, &strict); err == nil || !strings.HasSuffix(strict.String(), "1 passed, 1 failed, 0 skipped\n") {
		t.Errorf("without -again: %v\n%s", err, strict.String())
	}
	if err := os.Remove("tried"); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"-again=1", "./..."}, &lenient); err != nil || !strings.HasSuffix(lenient.String(), "2 passed, 0 failed, 0 skipped\n") ||
		!strings.Contains(lenient.String(), "unsteady: p TestX: failed beside the other tests, passed alone\n") || !strings.Contains(lenient.String(), "the first") {
		t.Errorf("with -again: %v\n%s", err, lenient.String())
	}
	if err := run(t.Context(), []string{"-again=some", "./..."}, &lenient); err == nil {
		t.Error("-again=some was taken")
	}
}
