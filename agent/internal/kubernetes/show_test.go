package kubernetes

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// The tests of this file show the agent's own binary beside a real kubelet, and in a large cluster; they take minutes, so they run for
// `make show-kubernetes` alone.
func showOnly(t *testing.T) string {
	t.Helper()
	if os.Getenv("PLIMSOLL_SHOW") != "kubernetes" {
		t.Skip("takes minutes: make show-kubernetes")
	}
	folder := os.Getenv("PLIMSOLL_KUBERNETES")
	if folder == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		folder = filepath.Join(cache, "plimsoll", "kubernetes-v1.34.4")
	}
	return folder
}

// program is a running agent.
type program struct {
	t       *testing.T
	url     string
	command *exec.Cmd
	log     string
}

func startProgram(t *testing.T, args ...string) *program {
	t.Helper()
	folder := t.TempDir()
	binary := os.Getenv("PLIMSOLL_AGENT") // where there is no compiler
	if binary == "" {
		binary = filepath.Join(folder, "plimsoll-agent")
		if out, err := exec.Command("go", "build", "-o", binary, "../..").CombinedOutput(); err != nil {
			t.Fatalf("build the agent: %v\n%s", err, out)
		}
	}
	p := &program{t: t, url: "http://127.0.0.1:" + freePort(t), log: filepath.Join(folder, "agent.log")}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.command = exec.Command(binary, append([]string{"run", "--data-dir", filepath.Join(folder, "data"), "--listen", strings.TrimPrefix(p.url, "http://"), "--kubernetes=on"}, args...)...)
	p.command.Stdout, p.command.Stderr = log, log
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.command.Process.Kill() // what it samples is of no use any more
		_ = p.command.Wait()
		if text, err := os.ReadFile(p.log); err == nil && t.Failed() {
			t.Logf("the agent's log:\n%s", text[max(0, len(text)-4000):])
		}
	})
	return p
}

func (p *program) metrics() map[string]*dto.MetricFamily {
	p.t.Helper()
	answer, err := http.Get(p.url + "/metrics")
	if err != nil {
		return nil
	}
	defer answer.Body.Close()
	return parse(p.t, answer.Body)
}

func parse(t *testing.T, r io.Reader) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// own is the value of one of the agent's own metrics, summed over its labels.
func (p *program) own(name string) (sum float64) {
	if f := p.metrics()[name]; f != nil {
		for _, m := range f.Metric {
			sum += valueOf(m)
		}
	}
	return sum
}

// podContainersBut is how many containers of pods are shown, one pod left out.
func (p *program) podContainersBut(pod string) (n int) {
	for _, m := range p.metrics()["container_cpu_usage_seconds_total"].GetMetric() {
		for _, l := range m.Label {
			if l.GetName() == "pod" && l.GetValue() != pod {
				n++
			}
		}
	}
	return n
}

func valueOf(m *dto.Metric) float64 {
	return m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
}

func (p *program) rssMB() float64 {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(kb)[0])
			if err != nil {
				p.t.Fatal(err)
			}
			return float64(n) / 1024
		}
	}
	return 0
}

// machine is this one with a whole Kubernetes, by .ci/peers/kubernetes/node.sh.
type machine struct {
	t              *testing.T
	script, folder string
	binaries       string
}

// startMachine starts it, until the test ends, with the rights of the deploy files for the agent and labels for the node.
func startMachine(t *testing.T, binaries string) machine {
	t.Helper()
	script, err := filepath.Abs("../../../.ci/peers/kubernetes/node.sh")
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "plimsoll-node-")
	if err != nil {
		t.Fatal(err)
	}
	c := machine{t, script, folder, binaries}
	t.Cleanup(func() { c.do("down") })
	c.do("up")
	c.kubectl("create", "namespace", "plimsoll")
	c.kubectl("apply", "-n", "plimsoll", "-f", "../../../deploy/kubernetes/base/rbac.yaml")
	c.kubectl("label", "node", "plimsoll-node", "topology.kubernetes.io/region=bj1", "cluster=show")
	return c
}

func (c machine) do(action string) {
	c.t.Helper()
	out, err := exec.Command(c.script, action, c.folder, c.binaries).CombinedOutput()
	c.t.Logf("%s:\n%s", action, out)
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c machine) kubectl(args ...string) string {
	c.t.Helper()
	command := exec.Command("kubectl", args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(c.folder, "kubeconfig"))
	out, err := command.CombinedOutput()
	if err != nil {
		c.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func ownByLabels(p *program, name string) map[string]float64 {
	values := map[string]float64{}
	if f := p.metrics()[name]; f != nil {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetValue())
			}
			values[strings.Join(labels, " ")] = valueOf(m)
		}
	}
	return values
}

// TestShowAnElectedAgentThatCrashesIsReplaced kills the elected one of two agents, which has no time to give the Lease back.
func TestShowAnElectedAgentThatCrashesIsReplaced(t *testing.T) {
	showOnly(t)
	s := startAPIServer(t)
	s.namespace("plimsoll", nil)
	s.namespace("shop", nil)
	s.rbac(rulesOfTheManifest(t))
	s.replicaSet("shop", "web-7d4b9c6f58", "web")
	start := func(node string) *program {
		return startProgram(t, "--node="+node, "--kubernetes.kubeconfig="+s.kubeconfig(agentToken), "--interval=1s", "--remote-write.url=http://127.0.0.1:1/write", "--docker.host=unix:///nowhere/docker.sock")
	}
	reports := func(p *program) bool { return p.own("kube_deployment_spec_replicas") > 0 }
	first := start("n-1")
	eventually(t, time.Minute, "the first agent is elected", func() bool { return reports(first) })
	second := start("n-2")
	eventually(t, time.Minute, "the second agent stands for election", func() bool {
		return ownByLabels(second, "plimsoll_agent_kubernetes_part_up")["lease"] == 1
	})
	if reports(second) {
		t.Fatal("both agents report the cluster")
	}
	if err := first.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	eventually(t, 3*time.Minute, "the second agent reports the cluster", func() bool { return reports(second) })
	t.Logf("the cluster is reported again %s after the elected agent was killed", time.Since(killed).Round(time.Second))
}
