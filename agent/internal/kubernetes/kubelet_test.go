package kubernetes

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	dto "github.com/prometheus/client_model/go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// TestShowTheAgentBesideARealKubelet compares with a node that it starts, whose pods run on containerd or, with PLIMSOLL_CRI_DOCKERD, on
// Docker, and takes the API server away; or with a node that PLIMSOLL_NODE says is there, as in a guest.
func TestShowTheAgentBesideARealKubelet(t *testing.T) {
	binaries := showOnly(t)
	compared := comparison{byID: os.Getenv("PLIMSOLL_CRI_DOCKERD") != ""}
	folder := os.Getenv("PLIMSOLL_NODE")
	var c machine
	if folder == "" {
		c = startMachine(t, binaries)
		c.do("workload")
		folder = c.folder
	}
	flags := []string{"--node=plimsoll-node", "--kubernetes.kubeconfig=" + filepath.Join(folder, "agent.kubeconfig"), "--interval=1s",
		"--remote-write.url=http://127.0.0.1:1/write"} // with the Docker engine of this machine, whose containers are none of the pods'
	agent := startProgram(t, flags...)
	eventually(t, 2*time.Minute, "the agent shows the pods, the one that runs out of memory again and again perhaps not", func() bool {
		return agent.podContainersBut("oom") == 7
	})

	readings := compared.watch(t, agent, 45*time.Second)
	kubelet := kubeletMetrics(t, folder)
	readings = append(readings, compared.watch(t, agent, 5*time.Second)...) // the kubelet may have read a container when it was asked
	compared.withKubelet(t, readings, kubelet)
	namedAsTheAPIServerSays(t, agent, folder)
	if !t.Failed() && c.folder != "" {
		throughAnOutage(t, c, agent, flags)
	}
}

// comparison is of the series with all labels; or, where the kubelet names no container (with cri-dockerd its own cAdvisor knows none of
// them), of the series of each cgroup.
type comparison struct{ byID bool }

// reading is one look at the agent, by series.
type reading struct {
	at     time.Time
	values map[string]float64
}

// watch looks at the agent twice a second.
func (c comparison) watch(t *testing.T, p *program, length time.Duration) []reading {
	t.Helper()
	var all []reading
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		r := reading{at: time.Now(), values: map[string]float64{}}
		for name, f := range p.metrics() {
			for _, m := range f.Metric {
				if key := c.keyOf(name, m); key != "" {
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
func (c comparison) keyOf(name string, m *dto.Metric) string {
	ours := []string{"project", "workload", "idc", "cluster", "node", "name", "team", "tier"}
	if c.byID {
		return c.keyByID(name, m)
	}
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

// keyByID is a series' name with the cgroup of a container in a pod, and what tells the cgroup's series of one name apart.
func (c comparison) keyByID(name string, m *dto.Metric) string {
	named := []string{"project", "workload", "idc", "cluster", "node", "name", "team", "tier", "namespace", "pod", "container", "image"}
	var parts []string
	container := false
	for _, l := range m.Label {
		if l.GetValue() == "" || slices.Contains(named, l.GetName()) {
			continue
		}
		container = container || l.GetName() == "id" && strings.HasPrefix(l.GetValue(), "/kubepods/") && len(path.Base(l.GetValue())) == 64
		parts = append(parts, l.GetName()+"="+l.GetValue())
	}
	if !container {
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

func (c comparison) withKubelet(t *testing.T, readings []reading, kubelet map[string]*dto.MetricFamily) {
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
			key := c.keyOf(name, m)
			if key == "" || !c.alive(m, readings) {
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
					containers[path.Base(part(key, "id"))[:12]] = true
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
	t.Logf("series of containers at the kubelet's /metrics/cadvisor, and here:\n%s\n%d of %d compared series equal, of %d containers", out.String(), equalAll, comparedAll, len(containers))
	if comparedAll < 100 {
		t.Errorf("only %d series compared", comparedAll)
	}
}

func part(key, label string) string {
	_, rest, _ := strings.Cut(key, label+"=")
	value, _, _ := strings.Cut(strings.TrimSuffix(rest, "}"), ",")
	return value
}

// alive tells whether the container ran through all readings: the kubelet goes on showing what has ended, and the one that runs out of
// memory is never the same for long.
func (c comparison) alive(m *dto.Metric, readings []reading) bool {
	pod, container, id := "", "", ""
	for _, l := range m.Label {
		switch l.GetName() {
		case "pod":
			pod = l.GetValue()
		case "container":
			container = l.GetValue()
		case "id":
			id = l.GetValue()
		}
	}
	if pod == "oom" {
		return false
	}
	for _, r := range []reading{readings[0], readings[len(readings)-1]} {
		found := false
		for key := range r.values {
			if !strings.HasPrefix(key, "container_cpu_usage_seconds_total{") {
				continue
			}
			if c.byID || container != "" { // network is of the pod
				found = found || part(key, "id") == id
			} else {
				found = found || part(key, "pod") == pod
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// between is the range of a series' readings in a window round a moment, the last one before it and the first one after it included: on a
// machine that is short of CPU time the window may hold none.
func between(readings []reading, key string, at time.Time, window time.Duration) (low, high float64, found bool) {
	take := func(v float64) {
		if !found {
			low, high, found = v, v, true
		}
		low, high = min(low, v), max(high, v)
	}
	before := math.NaN()
	for _, r := range readings {
		v, there := r.values[key]
		switch {
		case !there:
		case r.at.Before(at.Add(-window)):
			before = v
		default:
			if !math.IsNaN(before) {
				take(before)
				before = math.NaN()
			}
			take(v)
			if r.at.After(at.Add(window)) {
				return low, high, found
			}
		}
	}
	return low, high, found
}

// slack allows for what moves between two readings: a page of memory is charged in batches of 64, a time is read in ticks of 10 ms, a shell
// runs its sleep.
func slack(name string, v float64) float64 {
	switch {
	case strings.HasPrefix(name, "container_spec_"), name == "container_threads_max":
		return 0
	case name == "container_threads":
		return 1
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

// namedAsTheAPIServerSays holds that the containers of pods shown are those the API server says run, each once under its names.
func namedAsTheAPIServerSays(t *testing.T, p *program, folder string) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(folder, "kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := kubernetes.NewForConfigOrDie(config).CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, pod := range list.Items {
		for i, s := range pod.Status.ContainerStatuses {
			if s.State.Running != nil && pod.Name != "oom" {
				want[string(idOf(s.ContainerID))] = strings.Join([]string{pod.Namespace, pod.Name, s.Name, pod.Spec.Containers[i].Image, strings.SplitN(s.ContainerID, ":", 2)[0]}, " ")
			}
		}
	}
	shown := 0
	for _, m := range p.metrics()["container_memory_usage_bytes"].GetMetric() {
		l := map[string]string{}
		for _, pair := range m.Label {
			l[pair.GetName()] = pair.GetValue()
		}
		runtime := want[path.Base(l["id"])]
		if !strings.HasPrefix(l["id"], "/kubepods/") || l["pod"] == "oom" {
			continue
		}
		shown++
		if have := strings.Join([]string{l["namespace"], l["pod"], l["container"], l["image"]}, " "); !strings.HasPrefix(runtime, have+" ") {
			t.Errorf("%s is shown as %q, the API server says %q", l["id"], have, runtime)
		}
	}
	if shown != len(want) {
		t.Errorf("%d containers of pods are shown, the API server says that %d run", shown, len(want))
	}
	t.Logf("%d containers of pods shown, each as the API server says: %v", shown, slices.Sorted(maps.Values(want)))
}

// throughAnOutage stops the API server for two minutes, in which the kubelet goes on restarting what fails and, unless Docker names the
// pods' containers too, a second agent starts.
func throughAnOutage(t *testing.T, c machine, agent *program, flags []string) {
	t.Helper()
	before := agent.podContainersBut("")
	c.do("stop-apiserver")
	began := time.Now()
	held := 0.0
	agents := []*program{agent}
	if os.Getenv("PLIMSOLL_CRI_DOCKERD") == "" {
		late := startProgram(t, flags...)
		agents = append(agents, late)
		eventually(t, time.Minute, "the agent that starts without an API server holds the pods' containers back", func() bool {
			return late.own("plimsoll_agent_containers_unresolved") >= 7
		})
		t.Logf("an agent that starts without an API server holds %g containers back", late.own("plimsoll_agent_containers_unresolved"))
	}
	for time.Since(began) < 2*time.Minute {
		for _, p := range agents {
			wholeAndOnce(t, p)
		}
		held = max(held, agent.own("plimsoll_agent_containers_unresolved"))
		time.Sleep(2 * time.Second)
	}
	t.Logf("API server away for %s: %d containers of pods before, %d at the end, at most %g held back; no series without its names, none twice", time.Since(began).Round(time.Second), before, agent.podContainersBut(""), held)
	c.do("start-apiserver")
	back := time.Now()
	for _, p := range agents {
		eventually(t, time.Minute, "everything is named again", func() bool {
			return p.own("plimsoll_agent_containers_unresolved") == 0 && p.podContainersBut("oom") == 7 && ownByLabels(p, "plimsoll_agent_source_up")["kubernetes"] == 1
		})
		t.Logf("everything is named %s after the API server was back", time.Since(back).Round(100*time.Millisecond))
		wholeAndOnce(t, p)
	}
	t.Logf("requests in all: %v", ownByLabels(agent, "plimsoll_agent_kubernetes_requests_total"))
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
