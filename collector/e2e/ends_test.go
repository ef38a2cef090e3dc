package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestEveryKindOfEnd: containers that end in one way or another, ten of each below a cgroup of their own, leave a record for each of their
// lives, with the CPU time that the kernel counted for them all.
func TestEveryKindOfEnd(t *testing.T) {
	if os.Getenv("PLIMSOLL_SHOW") != "exits" {
		t.Skip("takes minutes: make show-exits")
	}
	p := newPair(t, interval)
	agent := p.agent(t)
	work := fmt.Sprintf("i=0; while [ $i -lt %d ]; do i=$((i+1)); done", loopsIn(t, 50*time.Millisecond))
	const each = 10
	run := func(t *testing.T, args ...string) { // its end is the point, not its code
		if out, err := exec.Command("docker", append([]string{"run", "--rm", "--network=none"}, args...)...).CombinedOutput(); err != nil && exitCode(err) >= 125 && exitCode(err) < 128 {
			t.Errorf("docker run %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	detached := func(t *testing.T, args ...string) (id string) {
		said := strings.Fields(docker(t, append([]string{"run", "-d", "--network=none"}, args...)...))
		id = said[len(said)-1]
		t.Cleanup(func() { exec.Command("docker", "rm", "-f", id).Run() })
		return id
	}
	kinds := []struct {
		kind   string
		lives  int
		reason string
		make   func(t *testing.T, common []string)
	}{
		{"ends at once", 1, "completed", func(t *testing.T, c []string) { run(t, append(c, image, "true")...) }},
		{"four processes burn at once", 1, "completed", func(t *testing.T, c []string) {
			run(t, append(c, image, "sh", "-c", strings.Repeat("("+work+") & ", 4)+"wait")...)
		}},
		{"leaves children behind", 1, "completed", func(t *testing.T, c []string) {
			run(t, append(c, image, "sh", "-c", "(while :; do :; done) & (while :; do :; done) & "+work)...)
		}},
		{"leaves children behind, PIDs of the host", 1, "completed", func(t *testing.T, c []string) {
			run(t, append(c, "--pid=host", image, "sh", "-c", "(while :; do :; done) & "+work)...)
		}},
		{"an init and its child", 1, "completed", func(t *testing.T, c []string) { run(t, append(c, "--init", image, "sh", "-c", work)...) }},
		{"out of memory at once", 1, "oom_killed", func(t *testing.T, c []string) {
			run(t, append(c, "--memory=8m", "--memory-swap=8m", image, "tail", "/dev/zero")...)
		}},
		{"out of memory after work", 1, "oom_killed", func(t *testing.T, c []string) {
			run(t, append(c, "--memory=8m", "--memory-swap=8m", image, "sh", "-c", work+"; exec tail /dev/zero")...)
		}},
		{"killed in its work", 1, "stopped", func(t *testing.T, c []string) {
			id := detached(t, append(c, image, "sh", "-c", "while :; do :; done")...)
			time.Sleep(200 * time.Millisecond)
			docker(t, "kill", id)
		}},
		{"kills itself", 1, "signalled", func(t *testing.T, c []string) {
			run(t, append(c, "--init", image, "sh", "-c", work+"; kill -9 $$")...)
		}},
		{"work in exec, then removed", 1, "stopped", func(t *testing.T, c []string) {
			id := detached(t, append(c, image, "sleep", "60")...)
			docker(t, "exec", id, "sh", "-c", work)
			docker(t, "rm", "-f", id)
		}},
		{"started three times by its policy", 3, "error", func(t *testing.T, c []string) {
			id := detached(t, append(c, "--restart=on-failure:2", image, "sh", "-c", work+"; exit 3")...)
			for range 100 {
				if docker(t, "inspect", "-f", "{{.RestartCount}} {{.State.Running}} {{.State.Restarting}}", id) == "2 false false" {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
			t.Errorf("%s was not started three times", id)
		}},
		{"in a pod's cgroup", 1, "completed", nil},
	}
	rows := [][]any{{"kind", "lives", "records", "complete", "reason", "CPU s, kernel", "CPU s, records", "error"}}
	for _, k := range kinds {
		project := fmt.Sprintf("end-%06x", rand.N(1<<24))
		parent := "/plimsoll-" + project
		common := []string{"--label=project=" + project, "--cgroup-parent=" + parent}
		if k.make == nil {
			common[1] += "/burstable/pod12345678-1234-1234-1234-123456789012"
			k.make = func(t *testing.T, c []string) { run(t, append(c, image, "sh", "-c", work)...) }
		}
		t.Cleanup(func() {
			for _, dir := range append(glob("/sys/fs/cgroup/*"+parent), glob("/sys/fs/cgroup"+parent)...) {
				exec.Command("find", dir, "-depth", "-type", "d", "-delete").Run()
			}
		})
		for n := range each {
			k.make(t, append([]string{fmt.Sprintf("--name=%s-%d", project, n)}, common...))
		}
		var records []exit
		for began := time.Now(); time.Since(began) < 15*time.Second && len(records) < each*k.lives; time.Sleep(200 * time.Millisecond) {
			var err error
			if records, err = exitsOf(p, project); err != nil {
				t.Fatal(err)
			}
		}
		complete, sum, wrong := 0, 0.0, map[string]int{}
		for _, r := range records {
			if r.CPU != nil && r.Memory != nil && r.Code != nil && r.Runtime != nil {
				complete++
			}
			if r.CPU != nil {
				sum += *r.CPU
			}
			if r.Reason != k.reason {
				wrong[r.Reason]++
			}
		}
		truth := parentUsage(t, parent)
		rows = append(rows, []any{k.kind, each * k.lives, len(records), complete, k.reason, truth, sum, percent(sum, truth)})
		if len(records) != each*k.lives || len(wrong) > 0 {
			t.Errorf("%s: %d records of %d lives, want reason %s and have also %v", k.kind, len(records), each*k.lives, k.reason, wrong)
		}
		if off := sum/truth - 1; off > 0.02 || off < -0.02 {
			t.Errorf("%s: the records add up to %.3f s, the kernel counted %.3f s", k.kind, sum, truth)
		}
	}
	table(t, rows...)
	t.Logf("final readings missed: %v", agent.metric(t, "plimsoll_agent_final_readings_missed_total"))
}

// exitCode is that of a command that ran, -1 otherwise.
func exitCode(err error) int {
	if exited, ok := err.(*exec.ExitError); ok {
		return exited.ExitCode()
	}
	return -1
}
