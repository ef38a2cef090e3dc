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
}

func (p *program) held(t *testing.T) held {
	t.Helper()
	descriptors, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	profile, err := get(p.url + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		t.Fatal(err)
	}
	goroutines := regexp.MustCompile(`total (\d+)`).FindStringSubmatch(profile)
	if goroutines == nil {
		t.Fatalf("no number of goroutines in %.100q", profile)
	}
	return held{
		containers:  p.metric(t, `plimsoll_agent_containers_by_source{source="cgroup"}`),
		descriptors: float64(len(descriptors)), goroutines: number(t, goroutines[1]), watches: p.metric(t, "plimsoll_agent_cgroup_watches"),
		files: p.metric(t, "plimsoll_agent_descriptors"), residentBytes: p.metric(t, "process_resident_memory_bytes"),
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

// TestChurn: containers as fast as the engine makes and removes them, beside cgroups that no runtime knows at 20 a second, and one that is
// paused and resumed all the while. Each container leaves a record, each cgroup is counted, and nothing is held when they are gone. What is
// held is told for the whole agent, so the engine has to be the test's alone.
func TestChurn(t *testing.T) {
	if os.Getenv("PLIMSOLL_SHOW") != "exits" {
		t.Skip("needs an engine nobody else uses: make show-churn")
	}
	p := newPair(t, interval)
	agent := p.agent(t)
	lasting := time.Minute
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
	var after held
	eventually(t, time.Minute, "nothing is held of what is gone", func() error {
		after = agent.held(t)
		more := max(0, after.containers-before.containers) // others' since
		if after.watches > before.watches+2+2*more || after.files > before.files+2+40*more || after.descriptors > before.descriptors+10+42*more || after.goroutines > before.goroutines+10 {
			return fmt.Errorf("before %+v, after %+v", before, after)
		}
		return nil
	})
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
	table(t,
		[]any{"", "containers", "descriptors", "goroutines", "watches", "kernel files", "resident MiB", "slots"},
		[]any{"before", before.containers, before.descriptors, before.goroutines, before.watches, before.files, before.residentBytes / (1 << 20), ""},
		[]any{"after", after.containers, after.descriptors, after.goroutines, after.watches, after.files, after.residentBytes / (1 << 20), agent.metric(t, "plimsoll_agent_slots")})
	if len(records) != containers {
		t.Errorf("%d records of %d containers", len(records), containers)
	}
	if float64(complete)+missed < float64(containers) {
		t.Errorf("%d records are complete and %v readings are counted as missed, of %d", complete, missed, containers)
	}
	if after.residentBytes > before.residentBytes+24<<20 {
		t.Errorf("resident memory went from %.0f to %.0f bytes", before.residentBytes, after.residentBytes)
	}
}
