package bench_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// image is the idle containers' image: busybox alone. .ci/run makes it.
const image = "plimsoll-bb:test"

// live is what the engine says of a running container.
type live struct {
	ID    string `json:"Id"`
	Name  string
	State struct{ Pid int }
}

// runIdle brings the machine to the given number of idle containers without a network and returns how many run in all, those of
// others included. What it started is removed when the benchmark ends; idle containers an earlier run left are used and kept.
func runIdle(b *testing.B, want int) int {
	if err := exec.Command("docker", "image", "inspect", image).Run(); err != nil {
		b.Skipf("no Docker engine with the image %s: %v", image, err)
	}
	here := 0
	for _, name := range docker(b, "ps", "--format", "{{.Names}}") {
		if strings.HasPrefix(name, "bench-") {
			here++
		}
	}
	var started []string
	b.Cleanup(func() {
		for len(started) > 0 {
			n := min(len(started), 50)
			if err := exec.Command("docker", append([]string{"rm", "-f"}, started[:n]...)...).Run(); err != nil {
				b.Errorf("remove containers: %v", err)
			}
			started = started[n:]
		}
	})
	for ; here < want; here++ {
		name := fmt.Sprintf("bench-idle-%d-%d", b.N, here)
		docker(b, "run", "-d", "--name", name, "--network", "none", image, "sleep", "1000000")
		started = append(started, name)
	}
	return len(docker(b, "ps", "-q"))
}

// inspect describes every running container.
func inspect(b *testing.B) []live {
	ids := docker(b, "ps", "-q", "--no-trunc")
	if len(ids) == 0 {
		return nil
	}
	var all []live
	out := strings.Join(docker(b, append([]string{"inspect"}, ids...)...), "\n")
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		b.Fatalf("docker inspect: %v", err)
	}
	return all
}

// follow counts the containers that start and end from now on, anybody's.
func follow(b *testing.B) *atomic.Int64 {
	var seen atomic.Int64
	p := start(b, exec.Command("docker", "events", "--filter", "type=container", "--filter", "event=start", "--filter", "event=die"))
	go func() {
		for {
			if _, err := p.lines.ReadString('\n'); err != nil {
				return
			}
			seen.Add(1)
		}
	}()
	return &seen
}

func docker(b *testing.B, args ...string) []string {
	b.Helper()
	out, err := exec.Command("docker", args...).Output()
	if err != nil {
		b.Fatalf("docker %s: %v", strings.Join(args[:min(len(args), 4)], " "), err)
	}
	if text := strings.TrimSpace(string(out)); text != "" {
		return strings.Split(text, "\n")
	}
	return nil
}
