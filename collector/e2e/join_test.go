package e2e_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestOneApplicationIsOneWorkloadOnEveryRuntime moves an application from Swarm to a Deployment, with a container and a Compose project of
// it beside: sum by (project, workload) sees one series all along, and the manager says where the node is and how many replicas there are.
func TestOneApplicationIsOneWorkloadOnEveryRuntime(t *testing.T) {
	t.Parallel()
	requireDocker(t)
	require(t, os.Geteuid() == 0, "needs root: the agent reads every container's network counters")
	joinSwarm(t)
	agentBinary, collectorBinary := buildPrograms(t)
	address := freePort(t)
	collector := start(t, "collector", "http://"+address, collectorBinary, "--listen="+address, "--data-dir="+t.TempDir(), "--rules.builtin=false")
	collector.waitReady(t)

	app := application{project: fmt.Sprintf("e2e-join-%06x", rand.N(1<<24))}
	app.workload = app.project + "-web"
	service := app.stack(t)
	docker(t, "node", "update", "--label-add", "idc=join-idc", "--label-add", "cluster=join-cluster", docker(t, "info", "--format", "{{.Swarm.NodeID}}"))
	start(t, "agent", "", agentBinary, "--listen=", "--data-dir="+t.TempDir(), "--remote-write.url="+collector.url+"/api/v1/write",
		"--interval=1s", "--node=join-node", "--idc.node-label=idc", "--kubernetes=off")

	selector := fmt.Sprintf(`{project=%q,workload=%q,idc="join-idc",cluster="join-cluster"}`, app.project, app.workload)
	usage := strings.Replace(selector, "}", `,cpu="total"}`, 1)
	containers := func(want ...string) {
		t.Helper()
		eventually(t, 20*time.Second, "the containers of the application are "+strings.Join(want, ", "), func() error {
			found, err := query(collector.url, "rate(container_cpu_usage_seconds_total"+usage+"[5s]) > 0")
			if err != nil {
				return err
			}
			names := map[string]bool{}
			for _, s := range found {
				names[s.Metric["container"]] = true
			}
			for _, name := range want {
				if !names[name] {
					return fmt.Errorf("%s is not among %v", name, names)
				}
			}
			if len(found) != len(want) {
				return fmt.Errorf("%d series, want %d: %v", len(found), len(want), names)
			}
			return nil
		})
	}
	containers(service)
	began := time.Now()
	replicas(t, collector.url, selector, 1)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	figures(t, collector.url, "the Swarm's node is known by its host name, under which no agent writes",
		`plimsoll_collector_agents_expected{source="swarm"} 1`,
		fmt.Sprintf(`plimsoll_collector_agent_missing{cluster="join-cluster",idc="join-idc",node=%q,source="swarm"} 1`, host),
		`plimsoll_collector_agent_clock_skew_seconds{cluster="join-cluster",idc="join-idc",node="join-node"} `)

	plain := run(t, app.workload, "--label=project="+app.project, "--cpus=0.05", image, "sh", "-c", spin)
	composed := app.compose(t)
	pod := app.pod(t)
	containers(service, plain.name, composed, pod)
	joined, err := query(collector.url, "sum by (project, workload) (rate(container_cpu_usage_seconds_total"+usage+"[1m]))")
	if err != nil || len(joined) != 1 {
		t.Fatalf("four runtimes give %d series, want 1: %v (%v)", len(joined), joined, err)
	}
	parts, err := query(collector.url, "rate(container_cpu_usage_seconds_total"+usage+"[1m])")
	if err != nil || len(parts) != 4 {
		t.Fatalf("%d containers in the rate, want 4: %v (%v)", len(parts), parts, err)
	}
	t.Logf("joined %v: %.3f cores of 4 containers", joined[0].Metric, joined[0].Value.value)

	docker(t, "service", "scale", "--detach", service+"=0")
	replicas(t, collector.url, selector, 0)
	docker(t, "stack", "rm", app.project)
	docker(t, "rm", "-f", plain.id, composed)
	containers(pod)
	app.isOneSeries(t, collector.url, usage, began, time.Now())
}

// spin keeps a container busy.
const spin = "while :; do :; done"

// application is the same one on every runtime.
type application struct{ project, workload string }

// alone waits, and holds off until the test ends, tests of other packages that reach containers over published ports: leaving a
// Swarm cuts those.
func alone(t *testing.T) {
	t.Helper()
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "plimsoll-test-networks.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}

// joinSwarm makes the engine a Swarm of one node, until the test ends.
func joinSwarm(t *testing.T) {
	t.Helper()
	joinSwarmAt(t, "127.0.0.1")
}

// joinSwarmAt makes it one that nodes which reach this address can join.
func joinSwarmAt(t *testing.T, address string) {
	t.Helper()
	state, err := exec.Command("docker", "info", "--format", "{{.Swarm.LocalNodeState}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	require(t, strings.TrimSpace(string(state)) == "inactive", "the engine is in a Swarm already: "+string(state))
	gateway := exec.Command("docker", "network", "inspect", "docker_gwbridge").Run() == nil
	_, port, err := net.SplitHostPort(freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	alone(t)
	docker(t, "swarm", "init", "--advertise-addr="+address, "--listen-addr="+address+":"+port)
	t.Cleanup(func() {
		docker(t, "swarm", "leave", "--force")
		if !gateway {
			exec.Command("docker", "network", "rm", "docker_gwbridge").Run()
		}
	})
}

// stack deploys the application as a service of a stack and returns the service's name.
func (a application) stack(t *testing.T) string {
	t.Helper()
	file := a.file(t, "3.8", "deploy: {resources: {limits: {cpus: '0.05'}}}, networks: [host]", "networks: {host: {external: true, name: host}}")
	docker(t, "stack", "deploy", "--resolve-image=never", "--compose-file="+file, a.project)
	return a.project + "_" + a.workload
}

// compose starts the application as a Compose project and returns its container's name.
func (a application) compose(t *testing.T) string {
	t.Helper()
	compose, err := exec.LookPath("docker-compose")
	require(t, err == nil, "needs docker-compose (apt docker-compose)")
	command := func(args ...string) ([]byte, error) {
		return exec.Command(compose, append([]string{"--project-name=" + a.project, "--file=" + a.file(t, "2.4", "cpus: 0.05, network_mode: bridge", "")}, args...)...).CombinedOutput()
	}
	if out, err := command("up", "--detach"); err != nil {
		t.Fatalf("docker-compose up: %v\n%s", err, out)
	}
	name := docker(t, "ps", "--filter=label=com.docker.compose.project="+a.project, "--format={{.Names}}")
	t.Cleanup(func() { exec.Command("docker", "rm", "-f", name).Run() })
	return name
}

func (a application) file(t *testing.T, version, service, rest string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "compose.yaml")
	text := fmt.Sprintf("version: '%s'\nservices:\n  %s: {image: '%s', command: [sh, -c, '%s'], stop_grace_period: 0s, %s}\n%s\n", version, a.workload, image, spin, service, rest)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pod starts a container of a pod of a Deployment as cri-dockerd starts it, and returns the name it has in the pod.
func (a application) pod(t *testing.T) string {
	t.Helper()
	name := a.workload + "-7d4b9c6f58-x2x5z"
	run(t, "k8s_app_"+name+"_"+a.project+"_0", "--cpus=0.05", "--label=io.kubernetes.pod.namespace="+a.project, "--label=io.kubernetes.pod.name="+name,
		"--label=io.kubernetes.container.name=app", "--label=io.kubernetes.docker.type=container", image, "sh", "-c", spin)
	return "app"
}

// replicas waits until the manager's count of the service is this.
func replicas(t *testing.T, collectorURL, selector string, want float64) {
	t.Helper()
	for _, metric := range []string{"workload_desired_replicas", "workload_ready_replicas", "workload_updated_replicas"} {
		eventually(t, 20*time.Second, fmt.Sprintf("%s is %g", metric, want), func() error {
			s, err := one(collectorURL, metric+selector)
			if err == nil && s.Value.value != want {
				err = fmt.Errorf("it is %g", s.Value.value)
			}
			return err
		})
	}
}

// figures waits until the collector's own metrics have lines that begin so.
func figures(t *testing.T, collectorURL, what string, want ...string) {
	t.Helper()
	eventually(t, 20*time.Second, what, func() error {
		text, err := get(collectorURL + "/metrics")
		if err != nil {
			return err
		}
		for _, line := range want {
			if !strings.Contains(text, "\n"+line) {
				return fmt.Errorf("no %s", line)
			}
		}
		return nil
	})
}

// isOneSeries holds that the application's series had no end and no second between two moments.
func (a application) isOneSeries(t *testing.T, collectorURL, usage string, from, to time.Time) {
	t.Helper()
	form := url.Values{"query": {"sum by (project, workload) (rate(container_cpu_usage_seconds_total" + usage + "[1m]))"}, "step": {"1s"}, "nocache": {"1"},
		"start": {fmt.Sprint(from.Unix() + 1)}, "end": {fmt.Sprint(to.Unix() - 1)}}
	body, err := get(collectorURL + "/api/v1/query_range?" + form.Encode())
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ Data struct{ Result []sample } }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || len(answer.Data.Result) != 1 {
		t.Fatalf("the move gives %d series, want 1: %.300s (%v)", len(answer.Data.Result), body, err)
	}
	values := answer.Data.Result[0].Values
	if want := int(to.Unix() - from.Unix() - 1); len(values) != want {
		t.Errorf("%d of %d seconds have a value", len(values), want)
	}
	for _, v := range values {
		if v.value <= 0 {
			t.Errorf("nothing at %s", v.at)
		}
	}
	t.Logf("one series over the move, %d seconds without a gap", len(values))
}
