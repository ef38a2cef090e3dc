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
	cfg := config{
		binFolder: "../../bin", dataFolder: t.TempDir(),
		collectorListen: "127.0.0.1:0", agentListen: "127.0.0.1:0", readyWithin: time.Minute, runFor: 22 * time.Second,
		environ: append(os.Environ(), "PLIMSOLL_AGENT_DOCKER_HOST=unix:///nowhere/docker.sock", "PLIMSOLL_AGENT_INTERVAL=1s"),
	}
	out := &lockedBuffer{}
	err := supervise(context.Background(), cfg, &screen{out: out, every: 4 * time.Second})
	said := out.String()
	t.Log("\n" + said)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`! Docker: not reachable at unix:///nowhere/docker\.sock; showing this node and its cgroups`,
		`containers 0 .*\| samples [1-9][0-9,]* shipped`,
		`series [1-9]`,
		`agent CPU [0-9.]+ %, RSS [1-9][0-9]* MiB`,
		`collector CPU [0-9.]+ %, RSS [1-9][0-9]* MiB`,
		`agent stopped after`,
		`collector stopped after`,
	} {
		if !regexp.MustCompile(want).MatchString(said) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(said, "| ! ") {
		t.Error("something did not answer")
	}
}
