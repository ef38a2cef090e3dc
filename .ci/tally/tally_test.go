package main

import (
	"strings"
	"testing"
	"time"
)

// replay feeds a stream of go test -json and returns what was printed while it ran, the summary and the verdict.
func replay(t *testing.T, stream string) (printed, summary string, verdict error) {
	t.Helper()
	counted := newTally()
	var live, end strings.Builder
	follow(strings.NewReader(stream), counted, &live)
	counted.close()
	counted.summary(&end, 2*time.Second)
	return live.String(), end.String(), counted.err()
}

func TestTheLastLineCountsTestsAndSubtests(t *testing.T) {
	printed, summary, err := replay(t, `
{"Action":"start","Package":"github.com/plimsoll/plimsoll/alerts"}
{"Action":"run","Package":"github.com/plimsoll/plimsoll/alerts","Test":"TestA"}
{"Action":"run","Package":"github.com/plimsoll/plimsoll/alerts","Test":"TestA/sub"}
{"Action":"output","Package":"github.com/plimsoll/plimsoll/alerts","Test":"TestA/sub","Output":"chatter\n"}
{"Action":"pass","Package":"github.com/plimsoll/plimsoll/alerts","Test":"TestA/sub","Elapsed":0.1}
{"Action":"pass","Package":"github.com/plimsoll/plimsoll/alerts","Test":"TestA","Elapsed":0.1}
{"Action":"output","Package":"github.com/plimsoll/plimsoll/alerts","Output":"PASS\n"}
{"Action":"pass","Package":"github.com/plimsoll/plimsoll/alerts","Elapsed":0.25}
`)
	if err != nil {
		t.Errorf("verdict %v, want none", err)
	}
	if !strings.HasSuffix(summary, "\n2 passed, 0 failed, 0 skipped\n") {
		t.Errorf("summary ends otherwise:\n%s", summary)
	}
	if !strings.Contains(printed, "ok    alerts ") || strings.Contains(printed, "chatter") {
		t.Errorf("a passing package is one line without its tests' output, got:\n%s", printed)
	}
}

func TestASkipIsListedWithItsReason(t *testing.T) {
	_, summary, err := replay(t, `
{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestOK"}
{"Action":"pass","Package":"p","Test":"TestOK"}
{"Action":"run","Package":"p","Test":"TestDocker"}
{"Action":"output","Package":"p","Test":"TestDocker","Output":"=== RUN   TestDocker\n"}
{"Action":"output","Package":"p","Test":"TestDocker","Output":"    docker_test.go:12: no dockerd at unix:///var/run/docker.sock\n"}
{"Action":"output","Package":"p","Test":"TestDocker","Output":"--- SKIP: TestDocker (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestDocker"}
{"Action":"pass","Package":"p"}
`)
	if err != nil {
		t.Errorf("a skip is no failure, got %v", err)
	}
	if !strings.Contains(summary, "skipped: p TestDocker: no dockerd at unix:///var/run/docker.sock\n") {
		t.Errorf("the reason is missing:\n%s", summary)
	}
	if !strings.HasSuffix(summary, "1 passed, 0 failed, 1 skipped\n") {
		t.Errorf("summary ends otherwise:\n%s", summary)
	}
}

func TestAFailedTestShowsItsOutputAtOnce(t *testing.T) {
	printed, summary, err := replay(t, `
{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestX"}
{"Action":"output","Package":"p","Test":"TestX","Output":"    x_test.go:3: got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestX","Elapsed":0.5}
{"Action":"fail","Package":"p","Elapsed":0.6}
`)
	if err == nil {
		t.Error("a failed test must fail the run")
	}
	if !strings.Contains(printed, "--- FAIL: p TestX (0.50s)\n    x_test.go:3: got 1, want 2\n") {
		t.Errorf("printed:\n%s", printed)
	}
	if !strings.HasSuffix(summary, "0 passed, 1 failed, 0 skipped\n") {
		t.Errorf("a package whose test failed counts once, got:\n%s", summary)
	}
}

func TestAPackageThatDoesNotBuildIsOneFailure(t *testing.T) {
	printed, summary, err := replay(t, `
{"ImportPath":"p [p.test]","Action":"build-output","Output":"p/x.go:3: undefined: y\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}
`)
	if err == nil || !strings.Contains(summary, "0 passed, 1 failed, 0 skipped") {
		t.Errorf("verdict %v, summary:\n%s", err, summary)
	}
	if !strings.Contains(printed, "undefined: y") {
		t.Errorf("the compiler's words are missing:\n%s", printed)
	}
}

func TestAPackageThatNeverEndsIsAFailure(t *testing.T) {
	_, summary, err := replay(t, `{"Action":"start","Package":"p"}`+"\n")
	if err == nil || !strings.Contains(summary, "failed:  p (did not end)") {
		t.Errorf("verdict %v, summary:\n%s", err, summary)
	}
}

func TestARunWithoutTestsFails(t *testing.T) {
	if _, _, err := replay(t, `{"Action":"start","Package":"p"}`+"\n"+`{"Action":"skip","Package":"p"}`+"\n"); err == nil {
		t.Error("no test ran, yet no error")
	}
}

func TestALongSilenceNamesTheInnermostRunningTests(t *testing.T) {
	counted, began := newTally(), time.Unix(1000, 0)
	for _, name := range []string{"TestA", "TestA/sub", "TestB"} {
		counted.step(event{Action: "run", Package: "p", Test: name}, began)
	}
	got := counted.running(began.Add(45 * time.Second))
	if want := "...   running p TestA/sub (45 s), p TestB (45 s)\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
