package bench_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// image is the containers' image: busybox alone. .ci/run makes it.
const image = "plimsoll-bb:test"

// live is what the engine says of a running container.
type live struct {
	ID    string `json:"Id"`
	Name  string
	State struct{ Pid int }
}

type job struct{ name, script string }

// work is what busy containers do, in turn: a little all the time, a burst of CPU every few seconds, and writing to disk. One takes about
// 1 % of a CPU, so that a hundred of them leave the machine room.
var work = [...]job{
	{"steady", "while :; do i=0; while [ $i -lt 4000 ]; do i=$((i+1)); done; sleep 1; done"},
	{"bursty", "while :; do i=0; while [ $i -lt 80000 ]; do i=$((i+1)); done; sleep 7; done"},
	{"writing", "while :; do dd if=/dev/zero of=/tmp/x bs=64k count=8 conv=fsync 2> /dev/null; sleep 3; done"},
}

// fleet is the containers that are measured.
type fleet struct {
	containers int
	flags      []string      // of the agent, to see them
	comings    *atomic.Int64 // containers that have started or ended meanwhile, anybody's
}

// run brings up the containers of a run.
func run(b *testing.B, s settings) fleet {
	if s.bare {
		return runBare(b, s)
	}
	return fleet{containers: runMix(b, s), comings: follow(b)}
}

// runBare makes cgroups with a process each, as a container has them, in a tree that only our agent looks at: on a machine where others start
// containers all the time nothing else can be measured in peace. There are no peers in it, and no networks.
func runBare(b *testing.B, s settings) fleet {
	tree, ids := newBareTree(b), containerIDs(s.containers)
	for i, id := range ids {
		tree.make(b, id)
		into := ""
		for _, top := range tree.tops {
			into += "echo $$ > " + filepath.Join(top, "docker", id, "cgroup.procs") + "; "
		}
		script := "exec sleep 1000000"
		if w := s.workOf(i); w != nil {
			script = strings.ReplaceAll(w.script, "/tmp/x", filepath.Join(b.TempDir(), "x"))
		}
		cmd := exec.Command("busybox", "sh", "-c", into+script)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			cmd.Wait()
		})
	}
	engine := startStub(b, ids)
	return fleet{containers: len(ids), comings: new(atomic.Int64), flags: []string{"--root.cgroup=" + tree.root, "--docker.host=" + engine.address, "--docker.stats=never", "--kubernetes=off"}}
}

// workOf is what the container of that number does, nil where it idles.
func (s settings) workOf(i int) *job {
	if (i+1)*s.busy/100 == i*s.busy/100 { // the busy ones are spread evenly
		return nil
	}
	return &work[i*s.busy/100%len(work)]
}

// runMix brings the machine to the given number of containers without a network, so many of a hundred busy, and returns how many run in
// all, those of others included. What it started is removed when the benchmark ends; containers an earlier run left are used and kept.
func runMix(b *testing.B, s settings) int {
	if err := exec.Command("docker", "image", "inspect", image).Run(); err != nil {
		b.Skipf("no Docker engine with the image %s: %v", image, err)
	}
	there := map[string]bool{}
	for _, name := range docker(b, "ps", "--format", "{{.Names}}") {
		there[name] = true
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
	launch := func(name string, command ...string) {
		if !there[name] {
			docker(b, append([]string{"run", "-d", "--name", name, "--network", "none", image}, command...)...)
			started = append(started, name)
		}
	}
	for i := range s.containers {
		if w := s.workOf(i); w != nil {
			launch(fmt.Sprintf("bench-%s-%d", w.name, i), "sh", "-c", w.script)
		} else {
			launch(fmt.Sprintf("bench-idle-%d", i), "sleep", "1000000")
		}
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
