package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
)

// onRoot opens the agent's eyes on a tree of files under cgroup, with its report.
func onRoot(t *testing.T, files map[string]string) (config, *eyes, *report, *bytes.Buffer) {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := defaults()
	if err := cfg.parse([]string{"--root.cgroup=" + root + "/cgroup", "--docker.host=unix://" + root + "/no.sock", "--kubernetes=off", "--node=n", "--idc=i", "--cluster=c"}, io.Discard); err != nil {
		t.Fatal(err)
	}
	e, err := openEyes(cfg, nil, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.close)
	cfg.rootProc = root + "/proc"
	var said bytes.Buffer
	return cfg, e, &report{w: &said}, &said
}

func says(t *testing.T, said *bytes.Buffer, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(said.String(), w) {
			t.Errorf("does not say %q:\n%s", w, said)
		}
	}
}

func TestDoctorSaysWhatAKernelLacksAndWhatThatCosts(t *testing.T) {
	_, e, r, said := onRoot(t, map[string]string{"cgroup/cgroup.controllers": "cpu io pids\n", "cgroup/cpu.stat": "usage_usec 1\n"})
	r.kernel(e)
	r.docker(e)
	says(t, said, "MISSING  cgroup       no memory controller in cgroup.controllers: container_memory_*", "cgroup_disable=memory",
		"no.sock does not exist: start the Docker engine, or name its socket with --docker.host; without it nobody tells names")
	if strings.Contains(said.String(), "no cpu controller") {
		t.Errorf("there is one:\n%s", said)
	}
}

func TestDoctorSaysWhichHierarchyIsNotMounted(t *testing.T) {
	_, e, r, said := onRoot(t, map[string]string{"cgroup/cpu/cgroup.procs": "", "cgroup/cpuacct/cgroup.procs": "", "cgroup/cpuacct/cpuacct.usage": "1\n", "cgroup/pids/cgroup.procs": ""})
	r.kernel(e)
	says(t, said, "no memory hierarchy is mounted at "+e.fs.Root(), "mount /sys/fs/cgroup/memory of the host there", "no blkio hierarchy")
	if strings.Contains(said.String(), "no pids hierarchy") {
		t.Errorf("it is mounted:\n%s", said)
	}
}

func TestDoctorSaysWhatTheMachineIsTooSmallFor(t *testing.T) {
	_, e, r, said := onRoot(t, map[string]string{"cgroup/cpuacct/cgroup.procs": "", "cgroup/memory/cgroup.procs": ""})
	r.kernel(e)
	says(t, said, "kernel files may be held open")
	if _, err := os.ReadFile("/proc/pressure/cpu"); err == nil {
		says(t, said, "PSI of containers: no cgroup2 hierarchy is mounted at "+filepath.Join(e.fs.Root(), "unified"))
	}
	e.budget = cgroup.NewBudget(filesHeld - 1)
	if err := os.MkdirAll(filepath.Join(e.fs.Root(), "memory/docker"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.descriptors(e)
	says(t, said, "MISSING  descriptors  15 kernel files may be held open, and 1 cgroups take some 16 each", "LimitNOFILE")
	r.dataDir(filepath.Join(e.fs.Root(), "memory/cgroup.procs/data"))
	says(t, said, "MISSING  data-dir     mkdir ", "not a directory: slot counters", "--data-dir")
}

func TestDoctorSaysWhatBirthsAndDeathsAreHeardWith(t *testing.T) {
	files := map[string]string{"cgroup/cgroup.controllers": "cpu io memory pids\n", "cgroup/docker/" + strings.Repeat("a", 64) + "/cpu.stat": "", "cgroup/docker/" + strings.Repeat("b", 64) + "/cpu.stat": "", "proc/sys/fs/inotify/max_user_watches": "2\n"}
	cfg, e, r, said := onRoot(t, files)
	r.hearing(cfg, e)
	says(t, said, "MISSING  births       3 cgroups and fs.inotify.max_user_watches=2: births and deaths past that are heard of from the runtimes alone; raise it with sysctl", "deaths ", "urgency ")
	said.Reset()
	e.birthsErr, e.exitsErr = os.ErrPermission, os.ErrPermission
	r.hearing(cfg, e)
	says(t, said, "MISSING  births       permission denied: containers are heard of from the runtimes alone", "fs.inotify.max_user_instances", "MISSING  deaths       permission denied: final readings wait")
}

func TestDoctorSaysWhatARunningAgentHasMissed(t *testing.T) {
	f := func(took map[string]float64, missing int, want ...string) {
		t.Helper()
		var said bytes.Buffer
		r := &report{w: &said}
		r.losses(took)
		says(t, &said, want...)
		if r.missing != missing {
			t.Errorf("%d lines are bad, want %d:\n%s", r.missing, missing, &said)
		}
	}
	f(map[string]float64{}, 0, "0 containers ended without a final reading")
	f(map[string]float64{
		"plimsoll_agent_cgroup_notices_overflows_total":                          2,
		`plimsoll_agent_cgroup_watches_refused_total{reason="max_user_watches"}`: 7,
		"plimsoll_agent_slow_readings_deferred_total":                            30,
		"plimsoll_agent_exits_unwatched_total":                                   1,
		"plimsoll_agent_containers_held_refused_total":                           1,
		"plimsoll_agent_final_readings_missed_total":                             5,
		`plimsoll_agent_cgroup_notices_total{what="removed"}`:                    100,
	}, 6, "2 times the kernel dropped notices", "fs.inotify.max_queued_events", "7 watches were refused", "--limit.slow", "LimitNOFILE",
		"5 containers ended without a final reading since the agent's start; on a busy node CAP_SYS_NICE would mend that")
}

// The page of metrics is what the running agent gives: a fault told to sampler.Faults.
func TestDoctorSaysWhichFilesCouldNotBeUsedAndWhy(t *testing.T) {
	reg := prometheus.NewRegistry()
	faults := sampler.NewFaults(reg)
	for range 3 {
		faults.ReadFault("memory.stat", "malformed")
	}
	for _, fault := range [][2]string{{"cpu.stat", "malformed"}, {"fd", "permission"}, {"pids.current", "vanished"}, {"io.stat", "io"}, {"net/dev", "limit"}, {"net/tcp", "truncated"}, {"cpu.max", "descriptors"}} {
		faults.ReadFault(fault[0], fault[1])
	}
	page := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	took, err := ownMetrics(page.Body)
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	r := &report{w: &said}
	r.readErrors(took)
	says(t, &said, "MISSING  files        readings of cpu.stat (1), memory.stat (3) since the agent's start were not as the kernel documents them", "fd (1) since the agent's start were denied", "CAP_SYS_PTRACE",
		"pids.current (1) since", "cgroup.subtree_control", "io.stat (1)", "net/dev (1)", "net/tcp (1)", "cpu.max (1)", "LimitNOFILE")
	if r.missing != 7 {
		t.Errorf("%d lines are bad, want one for each reason:\n%s", r.missing, &said)
	}
}
