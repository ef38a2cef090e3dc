package kubernetes

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	binary := filepath.Join(folder, "plimsoll-agent")
	if out, err := exec.Command("go", "build", "-o", binary, "../..").CombinedOutput(); err != nil {
		t.Fatalf("build the agent: %v\n%s", err, out)
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

func TestShowTheAgentBesideARealKubelet(t *testing.T) {
	binaries := showOnly(t)
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
	c.do("workload")
	c.kubectl("create", "namespace", "plimsoll")
	c.kubectl("apply", "-n", "plimsoll", "-f", "../../../deploy/kubernetes/base/rbac.yaml")
	c.kubectl("label", "node", "plimsoll-node", "topology.kubernetes.io/region=bj1", "cluster=show")
	agent := startProgram(t, "--node=plimsoll-node", "--kubernetes.kubeconfig="+filepath.Join(folder, "agent.kubeconfig"), "--interval=1s",
		"--remote-write.url=http://127.0.0.1:1/write") // with the Docker engine of this machine, whose containers are none of the pods'
	eventually(t, 30*time.Second, "the agent shows the pods, the one that runs out of memory again and again perhaps not", func() bool {
		return agent.podContainersBut("oom") == 7
	})

	readings := watchAgent(t, agent, 45*time.Second)
	compareWithKubelet(t, readings, kubeletMetrics(t, folder))
	if t.Failed() {
		return
	}
	throughAnOutage(t, c, agent)
}

// reading is one look at the agent, by series.
type reading struct {
	at     time.Time
	values map[string]float64
}

// watchAgent looks at the agent twice a second.
func watchAgent(t *testing.T, p *program, length time.Duration) []reading {
	t.Helper()
	var all []reading
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		r := reading{at: time.Now(), values: map[string]float64{}}
		for name, f := range p.metrics() {
			for _, m := range f.Metric {
				if key := keyOf(name, m); key != "" {
					r.values[key] += valueOf(m)
				}
			}
		}
		all = append(all, r)
	}
	return all
}

// keyOf is a series' name with the labels that the agent and the kubelet both give; "" if it is no container's. The network is the pod's
// to the kubelet and its first container's to the agent, so container and image are left out there.
func keyOf(name string, m *dto.Metric) string {
	ours := []string{"project", "workload", "idc", "cluster", "node", "name", "team", "tier"}
	network := strings.HasPrefix(name, "container_network_")
	if network {
		ours = append(ours, "container", "image", "id")
	}
	var parts []string
	container, pod := false, false
	for _, l := range m.Label {
		if l.GetValue() == "" || slices.Contains(ours, l.GetName()) {
			continue
		}
		container = container || l.GetName() == "container"
		pod = pod || l.GetName() == "pod"
		parts = append(parts, l.GetName()+"="+l.GetValue())
	}
	if !pod || !container && !network {
		return ""
	}
	slices.Sort(parts)
	return name + "{" + strings.Join(parts, ",") + "}"
}

func kubeletMetrics(t *testing.T, folder string) map[string]*dto.MetricFamily {
	t.Helper()
	certificate, err := tls.LoadX509KeyPair(filepath.Join(folder, "admin.crt"), filepath.Join(folder, "admin.key"))
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, InsecureSkipVerify: true}}}
	answer, err := client.Get("https://127.0.0.1:21250/metrics/cadvisor")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("kubelet: %s %v", answer.Status, err)
	}
	return parse(t, bytes.NewReader(text))
}

// leftOut are metrics of the kubelet that the agent has no series for, or another figure, and why.
var leftOut = map[string]string{
	"container_tasks_state":                       "constant 0 without a load reader",
	"container_cpu_load_average_10s":              "constant 0 without a load reader",
	"container_cpu_load_d_average_10s":            "constant 0 without a load reader",
	"container_fs_inodes_free":                    "the node's file system, once more per container",
	"container_fs_inodes_total":                   "the node's file system, once more per container",
	"container_fs_limit_bytes":                    "the node's file system, once more per container",
	"container_fs_usage_bytes":                    "group layers, off by default",
	"container_fs_io_current":                     "constant 0",
	"container_fs_io_time_seconds_total":          "constant 0",
	"container_fs_io_time_weighted_seconds_total": "constant 0", "container_fs_read_seconds_total": "constant 0", "container_fs_write_seconds_total": "constant 0",
	"container_fs_sector_reads_total": "constant 0", "container_fs_sector_writes_total": "constant 0",
	"container_fs_reads_merged_total": "constant 0", "container_fs_writes_merged_total": "constant 0",
	"container_blkio_device_usage_total":         "group blkio, off by default",
	"container_oom_events_total":                 "counts per slot here, per container there",
	"container_ulimits_soft":                     "group process",
	"container_memory_kernel_usage":              "group memory_detail, off by default",
	"container_memory_total_active_file_bytes":   "group memory_detail, off by default",
	"container_memory_total_inactive_file_bytes": "group memory_detail, off by default",
	"container_processes":                        "group process, read each minute", "container_file_descriptors": "group process, read each minute", "container_sockets": "group process, read each minute",
	"container_last_seen": "the time of the reading",
}

func compareWithKubelet(t *testing.T, readings []reading, kubelet map[string]*dto.MetricFamily) {
	t.Helper()
	const window = 3 * time.Second // the kubelet's own timestamps are those of the end of its reading
	var out bytes.Buffer
	table := tabwriter.NewWriter(&out, 2, 0, 2, ' ', 0)
	fmt.Fprintln(table, "metric\tseries of the kubelet\tequal\tdiffer\tabsent here\twhy")
	containers, equalAll, comparedAll := map[string]bool{}, 0, 0
	newest := readings[len(readings)-1].at
	for _, name := range slices.Sorted(maps.Keys(kubelet)) {
		equal, differ, absent := 0, 0, 0
		explained := map[string]int{}
		var notEqual []string
		for _, m := range kubelet[name].Metric {
			key := keyOf(name, m)
			if key == "" || !alive(m, readings) {
				continue
			}
			at := newest // settings have no time
			if m.TimestampMs != nil {
				at = time.UnixMilli(m.GetTimestampMs())
			}
			low, high, found := between(readings, key, at, window)
			v := valueOf(m)
			same := found && v >= low-slack(name, low) && v <= high+slack(name, high)
			why := explain(name, key, v, found, same)
			switch {
			case why != "":
				explained[why]++
			case !found:
				absent++
				notEqual = append(notEqual, key)
			case same:
				equal++
				if !strings.HasPrefix(name, "container_network_") {
					containers[part(key, "pod")+"/"+part(key, "container")] = true
				}
			default:
				differ++
				notEqual = append(notEqual, fmt.Sprintf("%s: %g there, %g to %g here", key, v, low, high))
			}
		}
		if equal+differ+absent+len(explained) == 0 {
			continue
		}
		there, reasons := equal+differ+absent, strings.Join(notEqual, "; ")
		for why, n := range explained {
			there += n
			reasons += fmt.Sprintf("%d: %s ", n, why)
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%s\n", name, there, equal, differ, absent, reasons)
		equalAll += equal
		comparedAll += equal + differ + absent
		if differ+absent > 0 {
			t.Errorf("%s: %d differ, %d are absent", name, differ, absent)
		}
	}
	table.Flush()
	t.Logf("series of containers at the kubelet's /metrics/cadvisor, and here:\n%s\n%d of %d compared series equal, containers %v", out.String(), equalAll, comparedAll, slices.Sorted(maps.Keys(containers)))
	if comparedAll < 100 {
		t.Errorf("only %d series compared", comparedAll)
	}
}

func part(key, label string) string {
	_, rest, _ := strings.Cut(key, label+"=")
	value, _, _ := strings.Cut(strings.TrimSuffix(rest, "}"), ",")
	return value
}

// alive tells whether the container ran through all readings: the kubelet goes on showing what has ended.
func alive(m *dto.Metric, readings []reading) bool {
	cpu := keyOf("container_cpu_usage_seconds_total", &dto.Metric{Label: m.Label})
	pod := "pod=" + part(cpu, "pod")
	if cpu == "" { // network: of the pod
		for _, l := range m.Label {
			if l.GetName() == "pod" {
				pod = "pod=" + l.GetValue()
			}
		}
	}
	id := ""
	for _, l := range m.Label {
		if l.GetName() == "container" && l.GetValue() != "" {
			id = "container=" + l.GetValue() + ","
		}
	}
	for _, r := range []reading{readings[0], readings[len(readings)-1]} {
		found := false
		for key := range r.values {
			found = found || strings.HasPrefix(key, "container_cpu_usage_seconds_total{") && strings.Contains(key, pod) && strings.Contains(key, id)
		}
		if !found {
			return false
		}
	}
	return !strings.Contains(pod, "pod=oom") // never the same container for long
}

func between(readings []reading, key string, at time.Time, window time.Duration) (low, high float64, found bool) {
	for _, r := range readings {
		v, there := r.values[key]
		if !there || r.at.Sub(at).Abs() > window {
			continue
		}
		if !found {
			low, high, found = v, v, true
		}
		low, high = min(low, v), max(high, v)
	}
	return low, high, found
}

// slack allows for what moves between two readings: a page of memory is charged in batches of 64, a time is read in ticks of 10 ms.
func slack(name string, v float64) float64 {
	switch {
	case strings.HasPrefix(name, "container_spec_"), strings.HasPrefix(name, "container_threads"):
		return 0
	case strings.HasPrefix(name, "container_memory_failures_total"):
		return 100 + v/20
	case strings.HasPrefix(name, "container_memory_"):
		return 64*4096 + v/20
	case strings.Contains(name, "seconds"):
		return 0.02 + v/50
	default:
		return v / 20
	}
}

// explain says why a series of the kubelet is not here, or is another here; "" where it must be equal.
func explain(name, key string, there float64, found, same bool) string {
	switch {
	case leftOut[name] != "":
		return leftOut[name]
	case strings.HasPrefix(name, "container_network_") && strings.HasPrefix(part(key, "pod"), "agentlike-"):
		return "the node's own traffic, once more in a pod on the host's network"
	case strings.HasPrefix(name, "container_pressure_") && there == 0 && !same:
		return "the kubelet shows 0 on cgroup v1, the agent reads the unified tree"
	case !found && there == 0 && name == "container_memory_failcnt":
		return "0 there, cgroup v2 has no such counter"
	case !found && there == 0 && (strings.HasPrefix(name, "container_fs_") || name == "container_threads_max"):
		return "0 there for none, absent here"
	default:
		return ""
	}
}

// throughAnOutage stops the API server for two minutes, in which the kubelet goes on restarting what fails.
func throughAnOutage(t *testing.T, c machine, agent *program) {
	t.Helper()
	before := agent.podContainersBut("")
	c.do("stop-apiserver")
	began := time.Now()
	held := 0.0
	for time.Since(began) < 2*time.Minute {
		wholeAndOnce(t, agent)
		held = max(held, agent.own("plimsoll_agent_containers_unresolved"))
		time.Sleep(2 * time.Second)
	}
	t.Logf("API server away for %s: %d containers of pods before, %d at the end, at most %g held back; no series without its names, none twice", time.Since(began).Round(time.Second), before, agent.podContainersBut(""), held)
	c.do("start-apiserver")
	back := time.Now()
	eventually(t, time.Minute, "everything is named again", func() bool {
		return agent.own("plimsoll_agent_containers_unresolved") == 0 && ownByLabels(agent, "plimsoll_agent_source_up")["kubernetes"] == 1
	})
	wholeAndOnce(t, agent)
	t.Logf("named again %s after the API server was back; requests in all: %v", time.Since(back).Round(100*time.Millisecond), ownByLabels(agent, "plimsoll_agent_kubernetes_requests_total"))
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

// wholeAndOnce fails series of a container's cgroup without its names, and two series of one cgroup.
func wholeAndOnce(t *testing.T, p *program) {
	t.Helper()
	seen := map[string]bool{}
	f := p.metrics()["container_cpu_usage_seconds_total"]
	for _, m := range f.GetMetric() {
		labels := map[string]string{}
		for _, l := range m.Label {
			labels[l.GetName()] = l.GetValue()
		}
		id := labels["id"]
		if seen[id] {
			t.Errorf("%s is shown twice", id)
		}
		seen[id] = true
		if strings.HasPrefix(id, "/kubepods/") && (labels["container"] == "" || labels["pod"] == "" || labels["workload"] == "" || labels["idc"] != "bj1" || labels["cluster"] != "show" || len(labels["container"]) > 20) {
			t.Errorf("%v: a container without its names", labels)
		}
	}
}

func TestShowTheMemoryOfAnAgentInALargeCluster(t *testing.T) {
	showOnly(t)
	const pods, here = 5000, 110
	s := startAPIServer(t)
	s.namespace("plimsoll", nil)
	s.namespace("large", nil)
	s.rbac(rulesOfTheManifest(t))
	uid := s.replicaSet("large", "web-7d4b9c6f58", "web")
	for i := range 500 {
		s.replicaSet("large", fmt.Sprintf("app%d-7d4b9c6f58", i), fmt.Sprintf("app%d", i))
	}
	began := time.Now()
	numbers := make(chan int)
	var makers sync.WaitGroup
	for range 8 {
		makers.Go(func() {
			for i := range numbers {
				node := fmt.Sprintf("n-%d", i/here)
				p := s.pod("large", fmt.Sprintf("web-7d4b9c6f58-%05d", i), node, owned("ReplicaSet", "web-7d4b9c6f58", uid), func(p *corev1.Pod) {
					for l := range 10 {
						p.Labels[fmt.Sprintf("example.com/label-%d", l)] = fmt.Sprintf("value-%d", l)
					}
					p.Labels["pod-template-hash"] = "7d4b9c6f58"
					p.Annotations = map[string]string{"example.com/document": strings.Repeat("x", 4000)}
				})
				if i < here {
					status := running("web", "a", 0)
					status.ContainerID = fmt.Sprintf("containerd://%064x", i+1)
					s.status(p, status)
				}
			}
		})
	}
	for i := range pods {
		numbers <- i
	}
	close(numbers)
	makers.Wait()
	list, err := s.admin.CoreV1().Pods("large").List(context.Background(), metav1.ListOptions{Limit: 1})
	s.check(err)
	t.Logf("%d pods, %d of them on the agent's node, 501 Deployments, made in %s", len(list.Items)+int(*list.RemainingItemCount), here, time.Since(began).Round(time.Second))

	agent := startProgram(t, "--node=n-0", "--kubernetes.kubeconfig="+s.kubeconfig(agentToken), "--interval=5s", "--remote-write.url=http://127.0.0.1:1/write", "--docker.host=unix:///nowhere/docker.sock")
	eventually(t, time.Minute, "the agent has its pods and is elected", func() bool {
		return agent.own("plimsoll_agent_kubernetes_pods") == here && agent.own("plimsoll_agent_kubernetes_leader") == 1 && agent.own("kube_deployment_spec_replicas") > 0
	})
	peak := 0.0
	for range 40 {
		peak = max(peak, agent.rssMB())
		time.Sleep(time.Second)
	}
	t.Logf("elected agent: RSS %.1f MB, at most %.1f MB in 40 s; %g containers; requests %v", agent.rssMB(), peak, agent.own("plimsoll_agent_containers"), ownByLabels(agent, "plimsoll_agent_kubernetes_requests_total"))
	if peak > 60 {
		t.Errorf("at most %.1f MB, want 60", peak)
	}
}
