package e2e_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestShowAnApplicationMovesFromSwarmToKubernetes runs one application as a plain container, a Compose project, a service of a real Swarm
// and a Deployment of a real Kubernetes, and then moves it from the Swarm to Kubernetes. `make show-join` runs it; it takes minutes. Two
// agents watch, as on two machines of two data centres: one the Docker engine, one the kubelet's node. Both see all cgroups of this
// machine, and each holds back those that its own runtime does not name.
func TestShowAnApplicationMovesFromSwarmToKubernetes(t *testing.T) {
	if os.Getenv("PLIMSOLL_SHOW") != "join" {
		t.Skip("takes minutes: make show-join")
	}
	requireDocker(t)
	require(t, os.Geteuid() == 0, "needs root: the agents read every container's counters")
	k := startKubernetes(t)
	joinSwarm(t)
	agentBinary, collectorBinary := buildPrograms(t)
	address := freePort(t)
	collector := start(t, "collector", "http://"+address, collectorBinary, "--listen="+address, "--data-dir="+t.TempDir())
	collector.waitReady(t)
	watch := func(name string, args ...string) {
		start(t, name, "", agentBinary, append([]string{"--listen=", "--data-dir=" + t.TempDir(), "--remote-write.url=" + collector.url + "/api/v1/write", "--interval=1s"}, args...)...)
	}
	watch("agent of the Docker host", "--node=docker-host", "--idc=bj1", "--cluster=swarm", "--kubernetes=off")
	watch("agent of the Kubernetes node", "--node=plimsoll-node", "--idc=bj2", "--cluster=k8s", "--docker.host=unix:///nowhere/docker.sock", "--kubernetes=on", "--kubernetes.kubeconfig="+filepath.Join(k.folder, "agent.kubeconfig"))

	app := application{project: fmt.Sprintf("e2e-move-%06x", rand.N(1<<24))}
	app.workload = app.project + "-web"
	m := move{t: t, app: app, url: collector.url}
	service := app.stack(t)
	plain := run(t, app.workload, "--label=project="+app.project, "--cpus=0.05", image, "sh", "-c", spin)
	composed := app.compose(t)
	k.deploy(app, 1)
	m.runs("swarm/"+service, "swarm/"+plain.name, "swarm/"+composed, "k8s/app")
	m.isJoined(4)

	docker(t, "rm", "-f", plain.id, composed)
	k.scale(app, 0)
	m.runs("swarm/" + service)
	m.isJoined(1)

	began := time.Now()
	time.Sleep(10 * time.Second)
	k.scale(app, 1)
	m.runs("swarm/"+service, "k8s/app")
	both := time.Now()
	docker(t, "stack", "rm", app.project)
	m.runs("k8s/app")
	alone := time.Now()
	time.Sleep(75 * time.Second) // longer than the rate reaches back: what it shows at the end is Kubernetes alone
	t.Logf("on the Swarm alone for 10 s, on both after %s, on Kubernetes alone after %s, the end after %s", seconds(both.Sub(began)), seconds(alone.Sub(began)), seconds(time.Since(began)))
	m.isContinuous(began, time.Now(), "1m")
	m.isContinuous(began, time.Now(), "5s")
}

func seconds(d time.Duration) string { return d.Round(100 * time.Millisecond).String() }

// move asks the collector about one application.
type move struct {
	t   *testing.T
	app application
	url string
}

// series are those of the application in the answer to a query that asks for no application.
func (m move) series(expr string) ([]sample, error) {
	found, err := query(m.url, expr)
	return slices.DeleteFunc(found, func(s sample) bool {
		return s.Metric["project"] != m.app.project && s.Metric["workload"] != m.app.workload
	}), err
}

// runs waits until these containers, given as cluster/container, use CPU time, and no others of the application.
func (m move) runs(want ...string) {
	m.t.Helper()
	slices.Sort(want)
	eventually(m.t, 60*time.Second, "the containers are "+strings.Join(want, ", "), func() error {
		found, err := m.series(`rate(container_cpu_usage_seconds_total[5s]) > 0`)
		if err != nil {
			return err
		}
		var have []string
		for _, s := range found {
			have = append(have, s.Metric["cluster"]+"/"+s.Metric["container"])
		}
		slices.Sort(have)
		if !slices.Equal(have, want) {
			return fmt.Errorf("they are %v", have)
		}
		return nil
	})
}

const joined = `sum by (project, workload) (rate(container_cpu_usage_seconds_total[%s]))`

// isJoined waits until the rate's minute holds nothing older, and then holds that the query gives one series of so many containers, which
// is what the kernel counted for them in that time.
func (m move) isJoined(containers int) {
	m.t.Helper()
	time.Sleep(5 * time.Second) // the last sample of what ended before
	parts, err := m.series(`container_cpu_usage_seconds_total`)
	if err != nil || len(parts) != containers {
		m.t.Fatalf("%d series, want %d: %v (%v)", len(parts), containers, parts, err)
	}
	before, began := m.kernel(parts), time.Now()
	time.Sleep(60 * time.Second)
	cores := (m.kernel(parts) - before) / time.Since(began).Seconds()
	found, err := m.series(fmt.Sprintf(joined, "1m"))
	if err != nil || len(found) != 1 || found[0].Metric["project"] != m.app.project || found[0].Metric["workload"] != m.app.workload {
		m.t.Fatalf("%d containers give %d series, want 1: %v (%v)", containers, len(found), found, err)
	}
	for _, p := range parts {
		m.t.Logf("  idc=%s cluster=%s node=%s namespace=%s pod=%s container=%s", p.Metric["idc"], p.Metric["cluster"], p.Metric["node"], p.Metric["namespace"], p.Metric["pod"], p.Metric["container"])
	}
	got := found[0].Value.value
	m.t.Logf("%s: 1 series of %d containers, %v, %.4f cores; the kernel counted %.4f", fmt.Sprintf(joined, "1m"), containers, found[0].Metric, got, cores)
	if got < 0.95*cores || got > 1.05*cores {
		m.t.Errorf("%.4f cores, the kernel counted %.4f", got, cores)
	}
}

// kernel is the CPU time, in seconds, that the kernel has counted for the containers of these series.
func (m move) kernel(series []sample) (sum float64) {
	m.t.Helper()
	for _, s := range series {
		paths := append(glob("/sys/fs/cgroup/cpu*"+s.Metric["id"]+"/cpuacct.usage"), glob("/sys/fs/cgroup"+s.Metric["id"]+"/cpu.stat")...)
		if len(paths) == 0 {
			m.t.Fatalf("no cgroup %s", s.Metric["id"])
		}
		sum += cpuSeconds(m.t, paths[0])
	}
	return sum
}

// isContinuous holds that every second between two moments has a value above 0, and that all of them are of one series.
func (m move) isContinuous(from, to time.Time, window string) {
	m.t.Helper()
	expr := fmt.Sprintf(joined, window)
	form := url.Values{"query": {expr}, "step": {"1s"}, "nocache": {"1"}, "start": {fmt.Sprint(from.Unix() + 1)}, "end": {fmt.Sprint(to.Unix() - 1)}}
	body, err := get(m.url + "/api/v1/query_range?" + form.Encode())
	if err != nil {
		m.t.Fatal(err)
	}
	var answer struct{ Data struct{ Result []sample } }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		m.t.Fatalf("%s: %v: %.300s", expr, err, body)
	}
	mine := slices.DeleteFunc(answer.Data.Result, func(s sample) bool {
		return s.Metric["project"] != m.app.project && s.Metric["workload"] != m.app.workload
	})
	if len(mine) != 1 {
		m.t.Fatalf("%s: the move gives %d series, want 1: %v", expr, len(mine), mine)
	}
	values := mine[0].Values
	want := int(to.Unix() - from.Unix() - 1)
	if len(values) != want {
		m.t.Errorf("%s: %d of %d seconds have a value", expr, len(values), want)
	}
	var every []string
	lowest, highest, longest := values[0].value, values[0].value, time.Duration(0)
	for i, v := range values {
		lowest, highest = min(lowest, v.value), max(highest, v.value)
		if i > 0 {
			longest = max(longest, v.at.Sub(values[i-1].at))
		}
		if v.value <= 0 {
			m.t.Errorf("%s: nothing at %s", expr, v.at)
		}
		every = append(every, fmt.Sprintf("%.0f", 1000*v.value))
	}
	m.t.Logf("%s over the move: 1 series, %d of %d seconds have a value, longest step %s, %.4f to %.4f cores; second by second in thousandths of a core:\n%s",
		expr, len(values), want, longest, lowest, highest, strings.Join(every, " "))
}

// kubernetes is a whole one on this machine, by .ci/peers/kubernetes/node.sh.
type kubernetes struct {
	t                        *testing.T
	script, folder, binaries string
}

func startKubernetes(t *testing.T) kubernetes {
	t.Helper()
	script, err := filepath.Abs("../../.ci/peers/kubernetes/node.sh")
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "plimsoll-node-")
	if err != nil {
		t.Fatal(err)
	}
	k := kubernetes{t, script, folder, os.Getenv("PLIMSOLL_KUBERNETES")}
	require(t, k.binaries != "", "PLIMSOLL_KUBERNETES names no folder with kube-apiserver and the others: make show-join")
	t.Cleanup(func() { k.do("down") })
	k.do("up")
	k.kubectl("", "create", "namespace", "plimsoll")
	k.kubectl("", "apply", "-n", "plimsoll", "-f", "../../deploy/kubernetes/base/rbac.yaml")
	return k
}

func (k kubernetes) do(action string) {
	k.t.Helper()
	if out, err := exec.Command(k.script, action, k.folder, k.binaries).CombinedOutput(); err != nil {
		k.t.Fatalf("node.sh %s: %v\n%s", action, err, out)
	}
}

func (k kubernetes) kubectl(stdin string, args ...string) string {
	k.t.Helper()
	command := exec.Command("kubectl", args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(k.folder, "kubeconfig"))
	command.Stdin = strings.NewReader(stdin)
	out, err := command.CombinedOutput()
	if err != nil {
		k.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// deploy makes the application a Deployment in the project's namespace and waits until it runs.
func (k kubernetes) deploy(a application, replicas int) {
	k.t.Helper()
	k.kubectl("", "create", "namespace", a.project)
	eventually(k.t, 30*time.Second, "the namespace has its service account", func() error {
		if !strings.Contains(k.kubectl("", "-n", a.project, "get", "serviceaccounts"), "default") {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	k.kubectl(fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: %[2]d
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: app, image: "localhost/plimsoll-bb:1", imagePullPolicy: Never, command: [sh, -c, %[3]q], resources: {limits: {cpu: 50m}}}]
`,
		a.workload, replicas, spin), "-n", a.project, "apply", "-f", "-")
	k.kubectl("", "-n", a.project, "rollout", "status", "deployment/"+a.workload, "--timeout=60s")
}

func (k kubernetes) scale(a application, replicas int) {
	k.t.Helper()
	k.kubectl("", "-n", a.project, "scale", "deployment/"+a.workload, fmt.Sprintf("--replicas=%d", replicas))
	k.kubectl("", "-n", a.project, "rollout", "status", "deployment/"+a.workload, "--timeout=60s")
}
