package bench_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
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

// job is what a busy container does; flags are the engine's for it, or none.
type job struct {
	name, script string
	flags        []string
}

// work is what busy containers do, in turn: a little all the time, a burst of CPU every few seconds, and writing to disk. One takes about
// 1 % of a CPU, so that a hundred of them leave the machine room.
var work = []job{
	{name: "steady", script: "while :; do i=0; while [ $i -lt 4000 ]; do i=$((i+1)); done; sleep 1; done"},
	{name: "bursty", script: "while :; do i=0; while [ $i -lt 80000 ]; do i=$((i+1)); done; sleep 7; done"},
	{name: "writing", script: "while :; do dd if=/dev/zero of=/tmp/x bs=64k count=8 conv=fsync 2> /dev/null; sleep 3; done"},
}

// mixedWork is what they do with BENCH_MIXED: also serve a network of their own, start processes, keep many, and answer health checks.
var mixedWork = append([]job{
	{name: "serving", script: "httpd -p 80 -h /; while :; do wget -q -O /dev/null http://127.0.0.1/bin/busybox; sleep 1; done", flags: []string{"--network", "bridge"}},
	{name: "checked", script: "sleep 1000000", flags: []string{"--network", "bridge", "--health-cmd", "true", "--health-interval", "10s"}},
	{name: "forking", script: "while :; do sleep 0.3; done", flags: []string{"--network", "none", "--cpus", "0.5", "--memory", "64m"}},
	{name: "crowded", script: "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000000 & done; while :; do sleep 5; done", flags: []string{"--network", "bridge"}},
}, work...)

// fleet is the containers that are measured.
type fleet struct {
	containers int
	flags      []string // of the agent, to see them
	ids        func(b *testing.B) []string
	comings    *atomic.Int64 // containers that have started or ended meanwhile, anybody's
}

// run brings up the containers of a run.
func run(b *testing.B, s settings) fleet {
	if s.bare {
		return runBare(b, s)
	}
	return fleet{containers: runMix(b, s), comings: follow(b), ids: func(b *testing.B) []string { return docker(b, "ps", "-q", "--no-trunc") }}
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
	return fleet{containers: len(ids), ids: func(*testing.B) []string { return slices.Clone(ids) }, comings: new(atomic.Int64), flags: []string{"--root.cgroup=" + tree.root, "--docker.host=" + engine.address, "--docker.stats=never", "--kubernetes=off"}}
}

// workOf is what the container of that number does, nil where it idles.
func (s settings) workOf(i int) *job {
	if (i+1)*s.busy/100 == i*s.busy/100 { // the busy ones are spread evenly
		return nil
	}
	jobs := work
	if s.mixed {
		jobs = mixedWork
	}
	return &jobs[i*s.busy/100%len(jobs)]
}

// runMix brings the machine to the given number of containers, the idle ones without a network, so many of a hundred busy, and returns how many run in
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
	for i := range s.containers {
		w := s.workOf(i)
		if w == nil {
			w = &job{name: "idle", script: "exec sleep 1000000"}
		}
		flags := w.flags
		if flags == nil {
			flags = []string{"--network", "none"}
		}
		if name := fmt.Sprintf("bench-%s-%d", w.name, i); !there[name] {
			docker(b, append(append([]string{"run", "-d", "--name", name}, flags...), image, "sh", "-c", w.script)...)
			started = append(started, name)
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
