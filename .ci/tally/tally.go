package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// event is one line of `go test -json`; its fields are those of `go doc test2json` and `go help buildjson`.
type event struct {
	Action     string
	Package    string
	Test       string
	Elapsed    float64 // seconds
	Output     string
	ImportPath string // of a build event
}

// tally counts tests and subtests; a package that fails without a failed test (build, panic, TestMain) counts as one failure.
type tally struct {
	passed, failed, skipped int
	packages                int
	tests                   map[string]*test // open tests by package and name
	open                    map[string]bool  // packages that started and did not end
	counts                  map[string]*counts
	failures                []failure
	unsteady, skips         []string
}

// failure is a test that failed; a package that failed as a whole has no test, and the reason.
type failure struct{ packagePath, test, reason string }

func (f failure) String() string {
	if f.test == "" {
		return short(f.packagePath) + " (" + f.reason + ")"
	}
	return short(f.packagePath) + " " + f.test
}

type test struct {
	name   string
	began  time.Time
	output []string
}

type counts struct{ passed, failed, skipped int }

func newTally() *tally {
	return &tally{tests: map[string]*test{}, open: map[string]bool{}, counts: map[string]*counts{}}
}

// step takes one event and returns what to print for it.
func (t *tally) step(e event, now time.Time) string {
	switch {
	case e.Action == "build-output", e.Package == "" && e.Action == "output":
		return e.Output
	case e.Package == "":
		return ""
	case e.Test == "":
		return t.stepPackage(e)
	}
	key := e.Package + "\x00" + e.Test
	switch e.Action {
	case "run":
		t.tests[key] = &test{name: e.Test, began: now}
	case "output":
		if open := t.tests[key]; open != nil && !strings.HasPrefix(strings.TrimSpace(e.Output), "=== ") {
			open.output = append(open.output, e.Output)
		}
	case "pass", "fail", "skip":
		open := t.tests[key]
		delete(t.tests, key)
		return t.end(e, open)
	}
	return ""
}

func (t *tally) end(e event, ended *test) string {
	name := short(e.Package) + " " + e.Test
	c := t.of(e.Package)
	switch e.Action {
	case "pass":
		t.passed++
		c.passed++
		return ""
	case "skip":
		t.skipped++
		c.skipped++
		t.skips = append(t.skips, name+reason(ended))
		return ""
	}
	t.failed++
	c.failed++
	t.failures = append(t.failures, failure{packagePath: e.Package, test: e.Test})
	if ended == nil {
		return fmt.Sprintf("--- FAIL: %s\n", name)
	}
	return fmt.Sprintf("--- FAIL: %s (%.2fs)\n%s", name, e.Elapsed, strings.Join(ended.output, ""))
}

func (t *tally) stepPackage(e event) string {
	c := t.of(e.Package)
	switch e.Action {
	case "start":
		t.open[e.Package] = true
		t.packages++
		return ""
	case "output":
		// The package's own lines (PASS, ok, coverage) are replaced by ours; a panic or a TestMain's words are kept.
		if ownLine(e.Output) {
			return ""
		}
		return e.Output
	case "pass":
		delete(t.open, e.Package)
		return fmt.Sprintf("ok    %-46s %6.2fs  %d passed%s\n", short(e.Package), e.Elapsed, c.passed, also(c.skipped, "skipped"))
	case "skip":
		delete(t.open, e.Package)
		return fmt.Sprintf("--    %-46s no tests\n", short(e.Package))
	case "fail":
		delete(t.open, e.Package)
		if c.failed == 0 {
			t.failed++
			c.failed++
			t.failures = append(t.failures, failure{packagePath: e.Package, reason: "the package"})
		}
		return fmt.Sprintf("FAIL  %-46s %6.2fs  %d passed, %d failed%s\n", short(e.Package), e.Elapsed, c.passed, c.failed, also(c.skipped, "skipped"))
	}
	return ""
}

// running names the innermost tests that are open, with their ages.
func (t *tally) running(now time.Time) string {
	var names []string
	for key, open := range t.tests {
		inner := false
		for other := range t.tests {
			inner = inner || strings.HasPrefix(other, key+"/")
		}
		if !inner {
			packagePath, _, _ := strings.Cut(key, "\x00")
			names = append(names, fmt.Sprintf("%s %s (%d s)", short(packagePath), open.name, int(now.Sub(open.began).Seconds())))
		}
	}
	if len(names) == 0 {
		return "...   building\n"
	}
	slices.Sort(names)
	return "...   running " + strings.Join(names, ", ") + "\n"
}

// close counts the packages that started and did not end as failed.
func (t *tally) close() {
	for packagePath := range t.open {
		t.failed++
		t.failures = append(t.failures, failure{packagePath: packagePath, reason: "did not end"})
	}
	clear(t.open)
	slices.SortFunc(t.failures, func(a, b failure) int { return strings.Compare(a.String(), b.String()) })
}

// summary prints skips with their reasons, what passed at the second try, failures, and the closing line.
func (t *tally) summary(out io.Writer, took time.Duration) {
	for _, s := range t.skips {
		fmt.Fprintln(out, "skipped:", s)
	}
	for _, u := range t.unsteady {
		fmt.Fprintln(out, "unsteady:", u)
	}
	for _, f := range t.failures {
		fmt.Fprintln(out, "failed: ", f)
	}
	fmt.Fprintf(out, "%d packages in %.0f s\n", t.packages, took.Seconds())
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
}

// err is the verdict when go test itself reported success.
func (t *tally) err() error {
	switch {
	case t.failed > 0:
		return fmt.Errorf("%d failed", t.failed)
	case t.passed == 0:
		return errors.New("no test ran")
	}
	return nil
}

func (t *tally) of(packagePath string) *counts {
	c := t.counts[packagePath]
	if c == nil {
		c = &counts{}
		t.counts[packagePath] = c
	}
	return c
}

func short(packagePath string) string {
	return strings.TrimPrefix(packagePath, "github.com/plimsoll/plimsoll/")
}

func also(n int, what string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d %s", n, what)
}

// reason is what a skipped test said: the text of its output without the file and the "--- SKIP" line.
func reason(skipped *test) string {
	if skipped == nil {
		return ""
	}
	for _, line := range skipped.output {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "--- SKIP") {
			if _, text, ok := strings.Cut(line, ".go:"); ok {
				_, text, _ = strings.Cut(text, ":")
				line = strings.TrimSpace(text)
			}
			return ": " + line
		}
	}
	return ""
}

func ownLine(line string) bool {
	for _, prefix := range []string{"PASS\n", "FAIL\n", "ok  \t", "FAIL\t", "?   \t", "\t", "testing: warning: no tests to run"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}
