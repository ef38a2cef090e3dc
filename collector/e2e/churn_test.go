package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// held is what an agent holds on to.
type held struct {
	containers                                             float64 // of which the machine may have others
	descriptors, goroutines, watches, files, residentBytes float64
	pidfds                                                 int            // descriptors of processes
	folders                                                map[string]int // descriptors by the cgroup they are of
	gone                                                   []string       // what descriptors are open of that is not there any more
}

func (p *program) held(t *testing.T) held {
	t.Helper()
	profile, err := get(p.url + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		t.Fatal(err)
	}
	goroutines := regexp.MustCompile(`total (\d+)`).FindStringSubmatch(profile)
	if goroutines == nil {
		t.Fatalf("no number of goroutines in %.100q", profile)
	}
	h := held{
		containers: p.metric(t, `plimsoll_agent_containers_by_source{source="cgroup"}`),
		goroutines: number(t, goroutines[1]), watches: p.metric(t, "plimsoll_agent_cgroup_watches"),
		files: p.metric(t, "plimsoll_agent_descriptors"), residentBytes: p.metric(t, "process_resident_memory_bytes"), folders: map[string]int{},
	}
	for _, path := range glob(fmt.Sprintf("/proc/%d/fd/*", p.cmd.Process.Pid)) {
		to, err := os.Readlink(path)
		if err != nil {
			continue // closed since
		}
		h.descriptors++
		switch {
		case to == "anon_inode:[pidfd]":
			h.pidfds++
		case strings.HasPrefix(to, "/sys/fs/cgroup/"):
			h.folders[filepath.Dir(to)]++
		}
		if _, err := os.Stat(strings.TrimSuffix(to, " (deleted)")); filepath.IsAbs(to) && err != nil {
			h.gone = append(h.gone, to)
		}
	}
	return h
}

// heldNoMore waits until nothing is held of what is gone, and no more watches, processes and goroutines than before but for others'
// containers since; it prints both.
func (p *program) heldNoMore(t *testing.T, before held) {
	t.Helper()
	var after held
	released := false
	for began := time.Now(); !released && time.Since(began) < time.Minute; time.Sleep(time.Second) {
		after = p.held(t)
		more := max(0, after.containers-before.containers)
		released = len(after.gone) == 0 && after.watches <= before.watches+4+2*more && float64(after.pidfds) <= float64(before.pidfds)+2*more && after.goroutines <= before.goroutines+10
	}
	before.print(t, after, p.metric(t, "plimsoll_agent_slots"))
	if !released {
		t.Errorf("held of what is gone: %q; or more of watches, processes and goroutines than before", after.gone)
	}
	// A slot outlives its container by 15 minutes, so that containers with a name of their own each add up for so long.
	if slots := p.metric(t, "plimsoll_agent_slots"); after.residentBytes > before.residentBytes+24<<20+slots*(16<<10) {
		t.Errorf("resident memory went from %.0f to %.0f bytes", before.residentBytes, after.residentBytes)
	}
}

func (before held) print(t *testing.T, after held, slots float64) {
	t.Helper()
	table(t,
		[]any{"", "containers", "descriptors", "of what is gone", "of processes", "goroutines", "watches", "kernel files", "resident MiB", "slots"},
		[]any{"before", before.containers, before.descriptors, len(before.gone), before.pidfds, before.goroutines, before.watches, before.files, before.residentBytes / (1 << 20), ""},
		[]any{"after", after.containers, after.descriptors, len(after.gone), after.pidfds, after.goroutines, after.watches, after.files, after.residentBytes / (1 << 20), slots})
	for folder, n := range after.folders {
		if more := n - before.folders[folder]; more > 0 {
			t.Logf("%d files more of %s, which is there", more, folder)
		}
	}
}

// bare is a cgroup in all hierarchies of this kernel that no runtime knows, named like a container's.
type bare []string

func newBare(t *testing.T, parent, id string) bare {
	t.Helper()
	var dirs bare
	for _, pattern := range []string{"/sys/fs/cgroup/*/cgroup.procs", "/sys/fs/cgroup/cgroup.procs"} {
		for _, procs := range glob(pattern) {
			dir := filepath.Join(filepath.Dir(procs), parent, id)
			if os.MkdirAll(dir, 0o755) == nil && !strings.Contains(dir, "/cpuset/") { // a cpuset takes nobody in before it has CPUs
				dirs = append(dirs, dir)
			}
		}
		if len(dirs) > 0 { // the root of v2 has subdirectories too
			break
		}
	}
	return dirs
}

// live runs a program in it until that has ended.
func (b bare) live(program string) {
	var enter strings.Builder
	for _, dir := range b {
		fmt.Fprintf(&enter, "echo 0 > %s/cgroup.procs; ", dir)
	}
	exec.Command("sh", "-c", enter.String()+"exec "+program).Run()
}

func (b bare) remove() {
	for _, dir := range b {
		for range 100 {
			if os.Remove(dir) == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// churnFor is how long a test lets containers come and go, unless PLIMSOLL_CHURN_FOR says otherwise.
func churnFor(t *testing.T, unset time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv("PLIMSOLL_CHURN_FOR")
	if text == "" {
		return unset
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("PLIMSOLL_CHURN_FOR: %v", err)
	}
	return d
}

// TestChurn: containers as fast as the engine makes and removes them, beside cgroups that no runtime knows at 20 a second, and one that is
// paused and resumed all the while. Each container leaves a record, each cgroup is counted, and nothing is held when they are gone. What is
// held is told for the whole agent, so the engine has to be the test's alone.
func TestChurn(t *testing.T) {
	if os.Getenv("PLIMSOLL_SHOW") != "exits" {
		t.Skip("needs an engine nobody else uses: make show-churn")
	}
	p := newPair(t, interval)
	agent := p.agent(t)
	lasting := churnFor(t, time.Minute)
	project := fmt.Sprintf("churn-%06x", rand.N(1<<24))
	paused := run(t, project+"-paused", "--network=none", "--label=project="+project, image, "sh", "-c", "while :; do sleep 0.1; done")
	eventually(t, 30*time.Second, "the agent has named it", func() error {
		_, err := one(p.collector.url, fmt.Sprintf(`container_last_seen{name=%q}`, paused.name))
		return err
	})
	notices := func(what string) float64 {
		return agent.metric(t, `plimsoll_agent_cgroup_notices_total{what="`+what+`"}`)
	}
	before, appeared, removed := agent.held(t), notices("appeared"), notices("removed")
	unnamed := func() float64 {
		return agent.metric(t, "plimsoll_agent_containers_unnamed_total") + agent.metric(t, "plimsoll_agent_containers_held") + agent.metric(t, "plimsoll_agent_containers_held_refused_total") +
			agent.metric(t, "plimsoll_agent_containers_unopened_total")
	}
	unnamedBefore := unnamed()

	began := time.Now()
	var all sync.WaitGroup
	made := make([]int, 4)
	for worker := range made {
		all.Go(func() { // a name for each, so that they share a slot
			for time.Since(began) < lasting {
				name := fmt.Sprintf("%s-%d", project, worker)
				if out, err := exec.Command("docker", "run", "--rm", "--network=none", "--label=project="+project, "--name="+name, image, "true").CombinedOutput(); err != nil {
					t.Errorf("docker run %s: %v: %s", name, err, out)
					return
				}
				made[worker]++
			}
		})
	}
	bares := 0
	var living sync.WaitGroup
	for tick := time.NewTicker(50 * time.Millisecond); time.Since(began) < lasting; <-tick.C {
		id := fmt.Sprintf("%032x%032x", rand.Uint64(), bares)
		bares++
		living.Go(func() {
			b := newBare(t, "docker", id)
			b.live("sleep 0.02")
			b.remove()
		})
	}
	bareRate := float64(bares) / time.Since(began).Seconds()
	all.Wait()
	living.Wait()
	elapsed := time.Since(began).Seconds()
	for range 2 {
		docker(t, "pause", paused.id)
		docker(t, "unpause", paused.id)
	}

	containers := 0
	for _, n := range made {
		containers += n
	}
	var records []exit
	eventually(t, 30*time.Second, "the records reach the collector", func() (err error) {
		if records, err = exitsOf(p, project); err == nil && len(records) < containers {
			err = fmt.Errorf("%d of %d", len(records), containers)
		}
		return err
	})
	complete := 0
	for _, r := range records {
		if r.CPU != nil && r.Memory != nil && r.Code != nil && r.Runtime != nil {
			complete++
		}
	}
	missed := agent.metric(t, "plimsoll_agent_final_readings_missed_total")
	eventually(t, 30*time.Second, "each cgroup that came has gone and is counted", func() error {
		came, gone, nobodys := notices("appeared")-appeared, notices("removed")-removed, unnamed()-unnamedBefore
		if came < float64(containers+bares) || gone < float64(containers+bares) || nobodys < float64(bares) {
			return fmt.Errorf("%v appeared and %v were removed of %d containers and %d bare cgroups, %v are unnamed", came, gone, containers, bares, nobodys)
		}
		return nil
	})
	agent.heldNoMore(t, before)
	eventually(t, 10*time.Second, "the paused container runs on", func() error {
		s, err := one(p.collector.url, fmt.Sprintf(`changes(container_cpu_usage_seconds_total{name=%q}[10s])`, paused.name))
		if err == nil && s.Value.value == 0 {
			err = fmt.Errorf("its CPU time stands")
		}
		return err
	})
	table(t,
		[]any{"containers", "a second", "records", "complete", "missed", "bare cgroups", "a second", "elapsed s"},
		[]any{containers, float64(containers) / elapsed, len(records), complete, missed, bares, bareRate, elapsed})
	if len(records) != containers {
		t.Errorf("%d records of %d containers", len(records), containers)
	}
	if float64(complete)+missed < float64(containers) {
		t.Errorf("%d records are complete and %v readings are counted as missed, of %d", complete, missed, containers)
	}
}
