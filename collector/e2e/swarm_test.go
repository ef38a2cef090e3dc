package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestShowASwarmOfTwoNodes makes the engine of this machine the manager of a Swarm with a worker, a second engine in a network namespace of
// its own. `make show-swarm` runs it. What the manager says of services, tasks and nodes reaches the collector, which misses the worker's
// agent until there is one, and the node when its engine is gone.
func TestShowASwarmOfTwoNodes(t *testing.T) {
	if os.Getenv("PLIMSOLL_SHOW") != "swarm" {
		t.Skip("takes minutes: make show-swarm")
	}
	requireDocker(t)
	require(t, os.Geteuid() == 0, "needs root: it makes a network namespace")
	worker := startWorker(t)
	joinSwarmAt(t, "10.213.7.1")
	worker.docker("swarm", "join", "--advertise-addr=10.213.7.2", "--listen-addr=10.213.7.2:2377", "--token="+docker(t, "swarm", "join-token", "-q", "worker"), docker(t, "info", "--format", "{{(index .Swarm.RemoteManagers 0).Addr}}"))
	t.Cleanup(func() { worker.docker("swarm", "leave") }) // before the manager
	manager := docker(t, "info", "--format", "{{.Name}}")
	for _, id := range strings.Fields(docker(t, "node", "ls", "-q")) {
		docker(t, "node", "update", "--label-add", "idc=swarm-idc", "--label-add", "cluster=swarm-cluster", id)
	}

	agentBinary, collectorBinary := buildPrograms(t)
	address := freePort(t)
	collector := start(t, "collector", "http://"+address, collectorBinary, "--listen="+address, "--data-dir="+t.TempDir())
	collector.waitReady(t)
	flags := func(node, engine string, more ...string) []string {
		return append([]string{"--listen=", "--data-dir=" + t.TempDir(), "--remote-write.url=" + collector.url + "/api/v1/write", "--interval=1s", "--node=" + node, "--docker.host=" + engine, "--kubernetes=off"}, more...)
	}
	start(t, "agent of the manager", "", agentBinary, flags(manager, "unix:///var/run/docker.sock")...)

	project := fmt.Sprintf("e2e-swarm-%06x", rand.N(1<<24))
	service := func(name string, args ...string) {
		docker(t, append(append([]string{"service", "create", "--quiet", "--detach", "--name=" + project + "-" + name, "--container-label=project=" + project, "--no-resolve-image", "--network=host",
			"--limit-cpu=0.05", "--stop-grace-period=0s", "--restart-delay=1s"}, args...), image, "sh", "-c", spin)...)
		t.Cleanup(func() { exec.Command("docker", "service", "rm", project+"-"+name).Run() })
	}
	service("web", "--replicas=4")
	service("everywhere", "--mode=global")
	selector := func(name string) string {
		return fmt.Sprintf(`{project=%q,workload=%q,idc="swarm-idc",cluster="swarm-cluster"}`, project, project+"-"+name)
	}
	replicas(t, collector.url, selector("web"), 4)
	replicas(t, collector.url, selector("everywhere"), 2)
	nodes := func(want map[string]float64) time.Duration {
		return eventually(t, time.Minute, fmt.Sprintf("the nodes are %v", want), func() error {
			found, err := query(collector.url, `swarm_node_ready{idc="swarm-idc",cluster="swarm-cluster"}`)
			if err != nil || len(found) != len(want) {
				return fmt.Errorf("%v %w", found, err)
			}
			for _, s := range found {
				if value, known := want[s.Metric["node"]]; !known || value != s.Value.value {
					return fmt.Errorf("they are %v", found)
				}
			}
			return nil
		})
	}
	nodes(map[string]float64{manager: 1, worker.name: 1})
	missing := fmt.Sprintf("\nplimsoll_collector_agent_missing{cluster=\"swarm-cluster\",idc=\"swarm-idc\",node=%q,source=\"swarm\"} 1\n", worker.name)
	figures(t, collector.url, "both nodes are expected, and the worker's has no agent", "plimsoll_collector_agents_expected{source=\"swarm\"} 2\n", missing[1:])

	out, code := output(t, agentBinary, append([]string{"doctor"}, flags(worker.name, worker.engine)...)...)
	if !strings.Contains(out, "a worker; the agent on the leading manager reports the services, and labels of nodes are told to managers only") || code == exitFine {
		t.Errorf("doctor on the worker ends with %d:\n%s", code, out)
	}
	start(t, "agent of the worker", "", agentBinary, flags(worker.name, worker.engine, "--idc=swarm-idc", "--cluster=swarm-cluster")...)
	eventually(t, 30*time.Second, "the worker's agent is no longer missed", func() error {
		text, err := get(collector.url + "/metrics")
		if err == nil && strings.Contains(text, missing) {
			err = fmt.Errorf("it is")
		}
		return err
	})
	tasks := map[string][]string{}
	eventually(t, 30*time.Second, "the tasks of both nodes are shown", func() error {
		clear(tasks)
		found, err := query(collector.url, fmt.Sprintf(`rate(container_cpu_usage_seconds_total{project=%q}[5s]) > 0`, project))
		for _, s := range found {
			tasks[s.Metric["node"]] = append(tasks[s.Metric["node"]], s.Metric["pod"])
		}
		if err == nil && (len(found) != 6 || len(tasks) != 2) {
			err = fmt.Errorf("they are %v", tasks)
		}
		return err
	})
	for _, pods := range tasks {
		slices.Sort(pods)
	}
	joined := mustQuery(t, collector.url, fmt.Sprintf(`sum by (project, workload) (rate(container_cpu_usage_seconds_total{project=%q}[10s]))`, project))
	t.Logf("tasks by node %v; joined %d series of 2 services", tasks, len(joined))
	if len(joined) != 2 {
		t.Errorf("2 services over 2 nodes give %d series: %v", len(joined), joined)
	}

	worker.stop()
	t.Logf("the worker's engine stopped; its node is no longer ready after %s", seconds(nodes(map[string]float64{manager: 1, worker.name: 0})))
	replicas(t, collector.url, selector("web"), 4) // moved to the manager
	figures(t, collector.url, "a node that is not ready is not expected to have an agent", "plimsoll_collector_agents_expected{source=\"swarm\"} 1\n")
	replicas(t, collector.url, selector("everywhere"), 1) // of a global service: one on each node that is left
}

// engine is a second one of this machine, by .ci/peers/swarm/worker.sh.
type engine struct {
	t                            *testing.T
	script, folder, engine, name string
}

func startWorker(t *testing.T) engine {
	t.Helper()
	script, err := filepath.Abs("../../.ci/peers/swarm/worker.sh")
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "plimsoll-worker-")
	if err != nil {
		t.Fatal(err)
	}
	e := engine{t: t, script: script, folder: folder, engine: "unix://" + filepath.Join(folder, "docker.sock"), name: "plimsoll-worker"}
	t.Cleanup(e.stop)
	if out, err := exec.Command(script, "up", folder).CombinedOutput(); err != nil {
		t.Fatalf("worker.sh up: %v\n%s", err, out)
	}
	save := exec.Command("sh", "-c", "docker save "+image+" | docker -H "+e.engine+" load")
	if out, err := save.CombinedOutput(); err != nil {
		t.Fatalf("load %s: %v\n%s", image, err, out)
	}
	return e
}

// docker runs the docker command with the worker's engine. The engine may be gone at the end.
func (e engine) docker(args ...string) {
	e.t.Helper()
	out, err := exec.Command("docker", append([]string{"-H", e.engine}, args...)...).CombinedOutput()
	if _, gone := os.Stat(e.folder); err != nil && gone == nil {
		e.t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (e engine) stop() {
	if out, err := exec.Command(e.script, "down", e.folder).CombinedOutput(); err != nil {
		e.t.Errorf("worker.sh down: %v\n%s", err, out)
	}
}
