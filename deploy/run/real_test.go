package main

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The two real programs on a machine without Docker: the run says so and shows the node.
func TestARunWithoutDockerSaysSoAndShowsTheNode(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: builds and runs both programs")
	}
	build := exec.Command("make", "-C", "../..", "build")
	build.Env = append(os.Environ(), "MAKEFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, out)
	}
	whileItRuns := []string{
		`! Docker: not reachable at unix:///nowhere/docker\.sock; showing this node and its cgroups`,
		`containers 0 .*\| samples [1-9][0-9,]* shipped`,
		`series [1-9]`,
		`agent CPU [0-9.]+ %, RSS [1-9][0-9]* MiB`,
		`collector CPU [0-9.]+ %, RSS [1-9][0-9]* MiB`,
	}
	atItsEnd := []string{`agent stopped after`, `collector stopped after`}
	cfg := config{
		binFolder: "../../bin", dataFolder: t.TempDir(),
		collectorListen: "127.0.0.1:0", agentListen: "127.0.0.1:0", readyWithin: time.Minute,
		environ: append(os.Environ(), "PLIMSOLL_AGENT_DOCKER_HOST=unix:///nowhere/docker.sock", "PLIMSOLL_AGENT_INTERVAL=1s"),
	}
	out := &lockedBuffer{}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	go func() { // until the screen has shown everything once
		for ctx.Err() == nil && len(unsaid(out.String(), whileItRuns)) > 0 {
			time.Sleep(100 * time.Millisecond)
		}
		stop()
	}()
	err := supervise(ctx, cfg, &screen{out: out, every: 2 * time.Second})
	said := out.String()
	t.Log("\n" + said)
	if err != nil {
		t.Fatal(err)
	}
	for _, missing := range append(unsaid(said, whileItRuns), unsaid(said, atItsEnd)...) {
		t.Errorf("%q is missing", missing)
	}
	if strings.Contains(said, "| ! ") {
		t.Error("something did not answer")
	}
}

// unsaid gives the patterns that text does not hold.
func unsaid(text string, patterns []string) (missing []string) {
	for _, pattern := range patterns {
		if !regexp.MustCompile(pattern).MatchString(text) {
			missing = append(missing, pattern)
		}
	}
	return missing
}
