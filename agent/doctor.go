package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/docker"
	"github.com/plimsoll/plimsoll/agent/internal/inventory"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
)

// doctor is `plimsoll-agent doctor`: what this agent can and can not see here, and why. It exits 1 when something is missing.
func doctor(cfg config) int {
	quiet := slog.New(slog.DiscardHandler)
	report := &report{w: os.Stdout}
	eyes, err := openEyes(cfg, nil, quiet, prometheus.NewRegistry())
	if err != nil {
		report.bad("start", "%v", err)
		return exitError
	}
	defer eyes.close()
	sampling, err := sampler.New(eyes.samplerConfig(cfg, nil, nil), quiet)
	if err != nil {
		report.bad("settings", "%v", err)
		return exitUsage
	}
	report.identity(eyes)
	report.kernel(eyes)
	report.hearing(cfg, eyes)
	report.docker(eyes)
	report.containers(cfg, eyes, sampling, quiet)
	report.processes(cfg, eyes)
	report.kubernetes(eyes)
	report.projects(eyes)
	report.shares(eyes)
	report.dataDir(cfg.dataDir)
	report.limits(cfg)
	if report.missing > 0 {
		return exitError
	}
	return exitOK
}

// report prints one line per finding and counts what is missing.
type report struct {
	w       io.Writer
	missing int
}

func (r *report) good(what, format string, args ...any) {
	fmt.Fprintf(r.w, "ok       %-12s %s\n", what, fmt.Sprintf(format, args...))
}

func (r *report) bad(what, format string, args ...any) {
	r.missing++
	fmt.Fprintf(r.w, "MISSING  %-12s %s\n", what, fmt.Sprintf(format, args...))
}

func (r *report) identity(e *eyes) {
	node, conflicts := e.where.settle()
	r.conflicts(conflicts)
	if node.IDC == "" || node.Cluster == "" {
		r.bad("identity", "node=%q idc=%q cluster=%q: give --idc and --cluster, label the Kubernetes node, the Swarm manager or the engine, or give the agent's token a place on the collector", node.Node, node.IDC, node.Cluster)
		return
	}
	r.good("identity", "node=%q idc=%q cluster=%q", node.Node, node.IDC, node.Cluster)
}

func (r *report) kernel(e *eyes) {
	r.good("cgroup", "%s at %s: %s", e.fs.Version(), e.fs.Root(), strings.Join(e.fs.Hierarchies(), " "))
	const mount = "mount the host's /sys/fs/cgroup, with its submounts (rslave), and point --root.cgroup at it"
	switch {
	case e.fs.Own():
		r.bad("cgroup", "%s is the cgroup of the agent's own container: other containers are not in it, and the node's CPU time and page faults are left out, its memory is of /proc/meminfo; %s", e.fs.Root(), mount)
	case e.fs.Nested():
		r.bad("cgroup", "%s is a child cgroup: the figures of the node are those of what is in it; unless that is the node, %s", e.fs.Root(), mount)
	}
	for _, l := range e.fs.Lacks() {
		r.bad("cgroup", "%s: %s are missing; %s", l.Missing, l.Costs, l.Mend)
	}
	var st cgroup.Stats
	if err := e.host.Read(&st, make([]byte, cgroup.BufferSize)); err != nil {
		r.bad("node", "%v", err)
	}
	network := "/proc/1/net/dev can not be read: mount the host's /proc at --root.proc"
	if e.fs.ForeignInit() {
		network = "process 1 is that of a container, whose network is not the node's: give the agent the host's PID namespace (docker run --pid=host, hostPID: true)"
	}
	for _, figure := range []struct {
		name string
		bit  cgroup.Has
		why  string
	}{
		{"CPU", cgroup.HasCPUUsage, "no cpuacct.usage or cpu.stat of the node at the root"},
		{"memory", cgroup.HasMemoryUsage, "no memory controller"},
		{"PSI", cgroup.HasCPUPressure, "the kernel has no pressure files, container_pressure_* are missing: boot with psi=1"},
		{"network", cgroup.HasNet, network},
	} {
		if st.Has&figure.bit == 0 {
			r.bad("node", "%s: %s", figure.name, figure.why)
		} else {
			r.good("node", "%s", figure.name)
		}
	}
	if e.fs.Version() == cgroup.V1 && st.Has&cgroup.HasCPUPressure != 0 {
		r.bad("cgroup", "PSI of containers: no cgroup2 hierarchy is mounted at %s: container_pressure_* are missing, and ends are heard of from processes alone; mount -t cgroup2 none there, with the host's hierarchy if this is a container", filepath.Join(e.fs.Root(), "unified"))
	}
	r.descriptors(e)
}

// filesHeld is about how many kernel files are held open of one cgroup.
const filesHeld = 16

// descriptors compares what may be held open with what the present cgroups take.
func (r *report) descriptors(e *eyes) {
	groups := 0
	if err := e.fs.Walk(func(cgroup.Found) { groups++ }); err != nil {
		return // births tells
	}
	if most := e.budget.Limit(); groups*filesHeld > most {
		r.bad("descriptors", "%d kernel files may be held open, and %d cgroups take some %d each: the rest is opened for each reading, at three times the cost; raise the limit of open files (LimitNOFILE, ulimit -n)", most, groups, filesHeld)
		return
	}
	r.good("descriptors", "%d kernel files may be held open", e.budget.Limit())
}

func (r *report) docker(e *eyes) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	info, err := e.engine.Probe(ctx)
	if errors.Is(err, docker.ErrAbsent) {
		r.good("docker", "%v; the API server tells the pods", err)
		return
	}
	if err != nil {
		r.bad("docker", "%v; without it nobody tells names, health, restarts and exit codes, unless Kubernetes does", err)
		return
	}
	r.good("docker", "%s, API %s, cgroup driver %s", info.Version, info.APIVersion, info.CgroupDriver)
	if info.Outside {
		r.bad("processes", "the engine is outside of the agent's PID namespace, and so are the processes of its containers: container_network_*, container_processes and container_file_descriptors are missing, and ends are heard of from cgroup.events and the engine alone; give the agent the host's PID namespace (docker run --pid=host, hostPID: true)")
	}
	r.swarm(ctx, e, info)
}

func (r *report) swarm(ctx context.Context, e *eyes, info docker.Info) {
	if info.SwarmNodeID == "" {
		return
	}
	swarm, err := e.engine.ProbeSwarm(ctx)
	switch {
	case err != nil:
		r.bad("swarm", "%v; without it the services are not reported from here", err)
	case swarm.Leader:
		r.good("swarm", "this node leads it: %d services and %d nodes are reported from here", len(swarm.Services), len(swarm.Nodes))
	case swarm.Manager:
		r.good("swarm", "a manager; the agent on the leading one reports the services")
	default:
		r.good("swarm", "a worker; the agent on the leading manager reports the services, and labels of nodes are told to managers only")
	}
}

func (r *report) containers(cfg config, e *eyes, sampling *sampler.Sampler, log *slog.Logger) {
	e.look(log, sampling)
	live := e.table.Live(nil)
	r.good("containers", "%d running", len(live))
	asked, err := e.askNow(sampling)
	switch {
	case err != nil:
		r.bad("docker-stats", "%d containers have no cgroup to be read here, and %v", asked, err)
	case cfg.asksAll():
		r.good("docker-stats", "the engine at %s tells the figures of %d containers, %s (--docker.stats=%s)", cfg.dockerHost, asked, askingCost, cfg.dockerStats)
	case asked > 0:
		r.good("docker-stats", "%d containers have no cgroup to be read here; the engine tells their figures, %s", asked, askingCost)
	case cfg.dockerStats == statsNever:
		r.unread(e, live)
	}
	if u := e.table.Unresolved(time.Now()); len(u) > 0 {
		r.bad("containers", "%d cgroups belong to containers nobody names (first: %s): is the runtime that started them one this agent asks?", len(u), u[0].Path)
	}
}

// unread tells of containers whose figures nobody has.
func (r *report) unread(e *eyes, live []inventory.Container) {
	unread := 0
	for _, c := range live {
		if _, err := e.fs.PathsOf(c.PID); err != nil {
			unread++
		}
	}
	if unread > 0 {
		r.bad("containers", "%d have no readable cgroup, and --docker.stats=never", unread)
	}
}

func (r *report) projects(e *eyes) {
	m, source := e.projects.Map()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := e.projects.Look(ctx); err != nil {
		r.bad("project-map", "%v; in force is the one from %s", err, source)
	} else {
		r.good("project-map", "from %s: %d rules", source, m.Rules())
	}
	subjects, _ := e.table.Subjects()
	if n := m.Cover(subjects).Unassigned; n > 0 {
		r.good("project-map", "%d of %d containers belong to no project; plimsoll-agent project-map test --against=live says why", n, len(subjects))
	}
}

func (r *report) dataDir(dir string) {
	probe := filepath.Join(dir, ".doctor")
	err := os.MkdirAll(dir, 0o750)
	if err == nil {
		err = os.WriteFile(probe, nil, 0o600)
	}
	if err != nil {
		r.bad("data-dir", "%v: slot counters and what no receiver has taken yet do not survive the agent; give its user a writable folder that lasts (--data-dir)", err)
		return
	}
	os.Remove(probe)
	r.good("data-dir", "%s is writable", dir)
}
