package kubernetes

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// TestWithARealAPIServer shares one server, which takes seconds to start; every part has its own node and namespace.
func TestWithARealAPIServer(t *testing.T) {
	s := startAPIServer(t)
	s.namespace("plimsoll", nil)
	s.rbac(rulesOfTheManifest(t))
	t.Run("pods", func(t *testing.T) { podsAreTold(t, s) })
	t.Run("missed lives", func(t *testing.T) { livesBetweenTwoReportsCount(t, s) })
	t.Run("requests", func(t *testing.T) { onlyTheOwnNodeIsAsked(t, s) })
	t.Run("node labels", func(t *testing.T) { nodeLabelsAreTold(t, s) })
	t.Run("election", func(t *testing.T) { oneOfTwoReportsTheCluster(t, s) })
	t.Run("rights", func(t *testing.T) { everyRuleIsUsedAndItsLossNamed(t, s) })
	t.Run("outage", func(t *testing.T) { whatWasKnownStaysThroughAnOutage(t, s) })
	t.Run("late server", func(t *testing.T) { anAPIServerThatComesLateIsHeard(t, s) })
}

// heard is a Sink that remembers.
type heard struct {
	mu   sync.Mutex
	live map[string]Container // pod/container
	log  []string
	pods map[string]bool
}

func (h *heard) PodSeen(uid string) { h.mu.Lock(); defer h.mu.Unlock(); h.pods[uid] = true }
func (h *heard) PodGone(uid string) { h.mu.Lock(); defer h.mu.Unlock(); delete(h.pods, uid) }

func (h *heard) Started(c Container, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.live[c.Pod+"/"+c.Name] = c
	h.log = append(h.log, fmt.Sprintf("started %s/%s %s", c.Pod, c.Name, c.ID))
}

func (h *heard) Changed(c Container, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.live[c.Pod+"/"+c.Name] = c
	h.log = append(h.log, fmt.Sprintf("changed %s/%s %s", c.Pod, c.Name, c.ID))
}

func (h *heard) Died(id cgroup.ContainerID, at time.Time, exit Exit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, c := range h.live {
		if c.ID == id {
			delete(h.live, name)
			line := fmt.Sprintf("died %s %s %d known=%v oom=%v", name, id, exit.Code, exit.Known, exit.OOMKilled)
			if exit.Asked {
				line += " asked"
			}
			h.log = append(h.log, line)
		}
	}
}

func (h *heard) get(name string) (Container, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, there := h.live[name]
	return c, there
}

func (h *heard) names() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.live))
}

func (h *heard) happened() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.log)
}

// agent runs a Source as the agent of a node until the test ends.
func (s *apiserver) agent(t *testing.T, node string, change ...func(*Config)) (*Source, *heard, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	cfg := Config{Mode: On, Kubeconfig: s.kubeconfig(agentToken), Node: node, LeaseDuration: 3 * time.Second, Metrics: registry}
	for _, c := range change {
		c(&cfg)
	}
	source, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	sink := &heard{live: map[string]Container{}, pods: map[string]bool{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- source.Run(ctx, sink) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return source, sink, registry
}

func (s *apiserver) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *apiserver) namespace(name string, labels map[string]string) {
	s.t.Helper()
	_, err := s.admin.CoreV1().Namespaces().Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
	s.check(err)
}

func owned(kind, name string, uid types.UID) []metav1.OwnerReference {
	yes, version := true, "apps/v1"
	if kind == "Job" || kind == "CronJob" {
		version = "batch/v1"
	}
	if kind == "Node" {
		version = "v1"
	}
	return []metav1.OwnerReference{{APIVersion: version, Kind: kind, Name: name, UID: uid, Controller: &yes}}
}

func template(app string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: app, Image: app + ":1"}}},
	}
}

func selector(app string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
}

// replicaSet makes one, and the Deployment that owns it if that has a name.
func (s *apiserver) replicaSet(namespace, name, deployment string) types.UID {
	s.t.Helper()
	ctx := context.Background()
	var owners []metav1.OwnerReference
	if deployment != "" {
		replicas := int32(3)
		d, err := s.admin.AppsV1().Deployments(namespace).Create(ctx, &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: deployment}, Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: selector(deployment), Template: template(deployment)},
		}, metav1.CreateOptions{})
		s.check(err)
		owners = owned("Deployment", deployment, d.UID)
	}
	r, err := s.admin.AppsV1().ReplicaSets(namespace).Create(ctx, &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: owners}, Spec: appsv1.ReplicaSetSpec{Selector: selector(name), Template: template(name)},
	}, metav1.CreateOptions{})
	s.check(err)
	return r.UID
}

// pod makes a pod bound to a node; its containers are those of the status.
func (s *apiserver) pod(namespace, name, node string, owners []metav1.OwnerReference, change func(*corev1.Pod)) *corev1.Pod {
	s.t.Helper()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: owners, Labels: map[string]string{"project": "till"}},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "web", Image: "web:1"}}},
	}
	if change != nil {
		change(p)
	}
	made, err := s.admin.CoreV1().Pods(namespace).Create(context.Background(), p, metav1.CreateOptions{})
	s.check(err)
	return made
}

// status writes the container statuses of a pod, as its kubelet would.
func (s *apiserver) status(p *corev1.Pod, statuses ...corev1.ContainerStatus) *corev1.Pod {
	s.t.Helper()
	p, err := s.admin.CoreV1().Pods(p.Namespace).Get(context.Background(), p.Name, metav1.GetOptions{})
	s.check(err)
	p.Status.Phase = corev1.PodRunning
	p.Status.ContainerStatuses = statuses
	p, err = s.admin.CoreV1().Pods(p.Namespace).UpdateStatus(context.Background(), p, metav1.UpdateOptions{})
	s.check(err)
	return p
}

func id(name string) string { return strings.Repeat(fmt.Sprintf("%02x", name[0]), 32) }

func running(container, idName string, restarts int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: container, Ready: true, RestartCount: restarts, ContainerID: "containerd://" + id(idName), Image: "web:1", ImageID: "x",
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}},
	}
}

func terminated(idName, reason string, code int32) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ContainerID: "containerd://" + id(idName), Reason: reason, ExitCode: code, StartedAt: metav1.Now(), FinishedAt: metav1.NewTime(time.Now().Add(time.Second)),
	}}
}

func podsAreTold(t *testing.T, s *apiserver) {
	s.namespace("shop", nil)
	const node = "n-pods"
	job := func(name string, owners []metav1.OwnerReference) types.UID {
		j, err := s.admin.BatchV1().Jobs("shop").Create(context.Background(), &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: owners},
			Spec:       batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "j", Image: "j"}}}}},
		}, metav1.CreateOptions{})
		s.check(err)
		return j.UID
	}
	staticHash := strings.Repeat("c1", 16)
	want := map[string]string{} // pod -> workload
	start := func(workload, name string, owners []metav1.OwnerReference, change func(*corev1.Pod)) {
		p := s.pod("shop", name, node, owners, change)
		s.status(p, running("web", name, 0))
		want[name] = workload
	}
	start("web", "a-web-7d4b9c6f58-x2x5z", owned("ReplicaSet", "web-7d4b9c6f58", s.replicaSet("shop", "web-7d4b9c6f58", "web")), func(p *corev1.Pod) { p.Labels["pod-template-hash"] = "7d4b9c6f58" })
	start("bare-456789bcdf", "b-bare-456789bcdf-x2x5z", owned("ReplicaSet", "bare-456789bcdf", s.replicaSet("shop", "bare-456789bcdf", "")), nil)
	start("backup", "c-backup-28912345-x2x5z", owned("Job", "backup-28912345", job("backup-28912345", owned("CronJob", "backup", "u-1"))), nil)
	start("import-20260101", "d-import-20260101-x2x5z", owned("Job", "import-20260101", job("import-20260101", nil)), nil)
	start("db", "e-db-0", owned("StatefulSet", "db", "u-2"), nil)
	start("logs", "f-logs-x2x5z", owned("DaemonSet", "logs", "u-3"), nil)
	start("g-alone", "g-alone", nil, nil)
	start("h-etcd", "h-etcd-"+node, owned("Node", node, "u-4"), func(p *corev1.Pod) {
		p.Annotations = map[string]string{configHash: staticHash, configMirror: staticHash}
	})
	s.status(s.pod("shop", "z-elsewhere", "n-other", nil, nil), running("web", "z", 0))

	_, sink, _ := s.agent(t, node)
	for pod, workload := range want {
		eventually(t, 20*time.Second, pod+" belongs to "+workload, func() bool {
			c, there := sink.get(pod + "/web")
			return there && c.Workload == workload
		})
	}
	if _, there := sink.get("z-elsewhere/web"); there {
		t.Error("a pod of another node was told")
	}
	c, _ := sink.get("a-web-7d4b9c6f58-x2x5z/web")
	if c.ID != cgroup.ContainerID(id("a")) || c.Namespace != "shop" || c.Image != "web:1" || c.Labels["project"] != "till" || c.Health != NoProbe || !c.OwnsNetwork {
		t.Errorf("told %+v", c)
	}
	for _, line := range sink.happened() {
		if strings.HasPrefix(line, "changed a-web") || strings.HasPrefix(line, "changed c-backup") {
			t.Errorf("%s: what the names say was right and needs no relabelling", line)
		}
	}
	if static, _ := sink.get("h-etcd-" + node + "/web"); static.PodUID != staticHash {
		t.Errorf("the cgroup of a static pod carries %q, want the hash of its file", static.PodUID)
	}

	full := s.pod("shop", "full", node, nil, func(p *corev1.Pod) {
		always := corev1.ContainerRestartPolicyAlways
		p.Spec.InitContainers = []corev1.Container{{Name: "sidecar", Image: "s:1", RestartPolicy: &always}}
		p.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{}}}
		p.Spec.Containers[0].ReadinessProbe.TCPSocket.Port.IntVal = 80
		p.Spec.Containers[0].Resources = corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("16Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Gi")},
		}
	})
	full.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "d:1", TerminationMessagePolicy: "File", ImagePullPolicy: "Always"}}}
	full, err := s.admin.CoreV1().Pods("shop").UpdateEphemeralContainers(context.Background(), "full", full, metav1.UpdateOptions{})
	s.check(err)
	full.Status.InitContainerStatuses = []corev1.ContainerStatus{running("sidecar", "1", 0)}
	full.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{running("debug", "2", 0)}
	web := running("web", "3", 0)
	web.Ready = false
	full.Status.ContainerStatuses = []corev1.ContainerStatus{web}
	_, err = s.admin.CoreV1().Pods("shop").UpdateStatus(context.Background(), full, metav1.UpdateOptions{})
	s.check(err)
	eventually(t, 10*time.Second, "init and ephemeral containers are told", func() bool {
		_, a := sink.get("full/sidecar")
		_, b := sink.get("full/debug")
		_, c := sink.get("full/web")
		return a && b && c
	})
	c, _ = sink.get("full/web")
	if c.Health != NotReady || c.Resources != (Resources{0.05, 2, 16 << 20, 1 << 30}) || !c.OwnsNetwork {
		t.Errorf("told %+v", c)
	}
	if c, _ := sink.get("full/sidecar"); c.OwnsNetwork {
		t.Error("the pod's interfaces are shown twice")
	}

	oom := running("web", "4", 1)
	oom.LastTerminationState = terminated("3", "OOMKilled", 137)
	s.status(full, oom)
	eventually(t, 10*time.Second, "the restart is told", func() bool { c, _ := sink.get("full/web"); return c.ID == cgroup.ContainerID(id("4")) })
	if log := sink.happened(); !slices.Contains(log, "died full/web "+id("3")+" 137 known=true oom=true") {
		t.Errorf("happened:\n%s", strings.Join(log, "\n"))
	}
	grace, none := int64(30), int64(0)
	s.check(s.admin.CoreV1().Pods("shop").Delete(context.Background(), "full", metav1.DeleteOptions{GracePeriodSeconds: &grace}))
	full, err = s.admin.CoreV1().Pods("shop").Get(context.Background(), "full", metav1.GetOptions{})
	s.check(err)
	stopped := running("web", "4", 1)
	stopped.State = terminated("4", "Error", 143)
	s.status(full, stopped)
	s.check(s.admin.CoreV1().Pods("shop").Delete(context.Background(), "full", metav1.DeleteOptions{GracePeriodSeconds: &none}))
	eventually(t, 10*time.Second, "the end of the pod is told", func() bool {
		return !slices.ContainsFunc(sink.names(), func(name string) bool { return strings.HasPrefix(name, "full/") })
	})
	log := sink.happened()
	for _, want := range []string{"died full/web " + id("4") + " 143 known=true oom=false asked", "died full/sidecar " + id("1") + " 0 known=false oom=false asked"} {
		if !slices.Contains(log, want) {
			t.Errorf("want %q, happened:\n%s", want, strings.Join(log, "\n"))
		}
	}
}

// A container that starts and is killed between two reports of the kubelet.
func livesBetweenTwoReportsCount(t *testing.T, s *apiserver) {
	s.namespace("crash", nil)
	_, sink, _ := s.agent(t, "n-crash")
	p := s.status(s.pod("crash", "loop", "n-crash", nil, nil), running("web", "a", 0))
	eventually(t, 10*time.Second, "it runs", func() bool { _, there := sink.get("loop/web"); return there })
	waiting := corev1.ContainerStatus{
		Name: "web", Image: "web:1", ImageID: "x", RestartCount: 2, ContainerID: "containerd://" + id("c"),
		State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		LastTerminationState: terminated("c", "OOMKilled", 137),
	}
	p = s.status(p, waiting)
	eventually(t, 10*time.Second, "both ends are told", func() bool { return len(sink.happened()) == 4 })
	after := running("web", "d", 3)
	after.LastTerminationState = terminated("c", "OOMKilled", 137)
	s.status(p, after)
	eventually(t, 10*time.Second, "the next start is told", func() bool { _, there := sink.get("loop/web"); return there })
	want := []string{
		"started loop/web " + id("a"), "died loop/web " + id("a") + " 0 known=false oom=false",
		"started loop/web " + id("c"), "died loop/web " + id("c") + " 137 known=true oom=true",
		"started loop/web " + id("d"),
	}
	if log := sink.happened(); !slices.Equal(log, want) {
		t.Errorf("happened:\n%s\nwant:\n%s", strings.Join(log, "\n"), strings.Join(want, "\n"))
	}
}

func requests(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "plimsoll_agent_kubernetes_requests_total" {
			continue
		}
		for _, m := range f.Metric {
			var resource, verb string
			for _, l := range m.Label {
				if l.GetName() == "verb" {
					verb = l.GetValue()
				} else {
					resource = l.GetValue()
				}
			}
			counts[verb+" "+resource] = m.Counter.GetValue()
		}
	}
	return counts
}

// One ReplicaSet costs one request however many pods it has, and nobody lists pods or ReplicaSets.
func onlyTheOwnNodeIsAsked(t *testing.T, s *apiserver) {
	s.namespace("many", nil)
	uid := s.replicaSet("many", "api-7d4b9c6f58", "api")
	for i := range 20 {
		name := fmt.Sprintf("%c-api-7d4b9c6f58-x2x5%c", 'a'+i, 'b'+i)
		s.status(s.pod("many", name, "n-many", owned("ReplicaSet", "api-7d4b9c6f58", uid), nil), running("web", name, 0))
	}
	_, sink, registry := s.agent(t, "n-many")
	eventually(t, 20*time.Second, "all are told", func() bool { return len(sink.names()) == 20 })
	eventually(t, 20*time.Second, "the ReplicaSet was asked for", func() bool { return requests(t, registry)["get replicasets"] > 0 })
	counts := requests(t, registry)
	t.Log(counts)
	// Servers that can not stream a first list (their etcd is older than 3.4.25) refuse one watch and are asked for a list.
	if counts["get replicasets"] != 1 || counts["watch pods"] > 2 || counts["list pods"] > 1 {
		t.Errorf("requests %v", counts)
	}
	for request := range counts {
		if strings.Contains(request, "replicasets") && request != "get replicasets" {
			t.Errorf("request %q", request)
		}
	}
}

func nodeLabelsAreTold(t *testing.T, s *apiserver) {
	_, err := s.admin.CoreV1().Nodes().Create(context.Background(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n-labels", Labels: map[string]string{"topology.kubernetes.io/region": "bj1"}}}, metav1.CreateOptions{})
	s.check(err)
	told := make(chan map[string]string, 10)
	s.agent(t, "n-labels", func(c *Config) {
		c.NodeEvery = 200 * time.Millisecond
		c.NodeLabels = func(labels map[string]string) { told <- labels }
	})
	if labels := <-told; labels["topology.kubernetes.io/region"] != "bj1" {
		t.Errorf("told %v", labels)
	}
	_, err = s.admin.CoreV1().Nodes().Patch(context.Background(), "n-labels", types.MergePatchType, []byte(`{"metadata":{"labels":{"topology.kubernetes.io/region":"sh2"}}}`), metav1.PatchOptions{})
	s.check(err)
	if labels := <-told; labels["topology.kubernetes.io/region"] != "sh2" {
		t.Errorf("told %v", labels)
	}
}

func oneOfTwoReportsTheCluster(t *testing.T, s *apiserver) {
	s.namespace("fleet", map[string]string{"team": "core"})
	ctx := context.Background()
	s.replicaSet("fleet", "web-7d4b9c6f58", "web")
	d, err := s.admin.AppsV1().Deployments("fleet").Get(ctx, "web", metav1.GetOptions{})
	s.check(err)
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 3, UpdatedReplicas: 3, ReadyReplicas: 2, AvailableReplicas: 2}
	_, err = s.admin.AppsV1().Deployments("fleet").UpdateStatus(ctx, d, metav1.UpdateOptions{})
	s.check(err)
	_, err = s.admin.AppsV1().StatefulSets("fleet").Create(ctx, &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "db"}, Spec: appsv1.StatefulSetSpec{Selector: selector("db"), Template: template("db")}}, metav1.CreateOptions{})
	s.check(err)
	_, err = s.admin.AppsV1().DaemonSets("fleet").Create(ctx, &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "logs"}, Spec: appsv1.DaemonSetSpec{Selector: selector("logs"), Template: template("logs")}}, metav1.CreateOptions{})
	s.check(err)
	hpa, err := s.admin.AutoscalingV2().HorizontalPodAutoscalers("fleet").Create(ctx, &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MaxReplicas: 3, ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "web", APIVersion: "apps/v1"}},
	}, metav1.CreateOptions{})
	s.check(err)
	hpa.Status = autoscalingv2.HorizontalPodAutoscalerStatus{CurrentReplicas: 3, DesiredReplicas: 3}
	_, err = s.admin.AutoscalingV2().HorizontalPodAutoscalers("fleet").UpdateStatus(ctx, hpa, metav1.UpdateOptions{})
	s.check(err)
	quota, err := s.admin.CoreV1().ResourceQuotas("fleet").Create(ctx, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "all"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"requests.cpu": resource.MustParse("10")}}}, metav1.CreateOptions{})
	s.check(err)
	quota.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: corev1.ResourceList{"requests.cpu": resource.MustParse("1500m")}}
	_, err = s.admin.CoreV1().ResourceQuotas("fleet").UpdateStatus(ctx, quota, metav1.UpdateOptions{})
	s.check(err)
	node, err := s.admin.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n-fleet"}}, metav1.CreateOptions{})
	s.check(err)
	node.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("3920m")}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	_, err = s.admin.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{})
	s.check(err)

	first, _, _ := s.agent(t, "n-one")
	eventually(t, 20*time.Second, "the only agent is elected and knows the cluster", func() bool {
		c := first.Cluster()
		in := func(namespace string) bool { return namespace == "fleet" }
		return slices.ContainsFunc(c.Workloads, func(w Workload) bool {
			return in(w.Namespace) && w.Kind == "Deployment" && w.Desired == 3 && w.Ready == 2 && w.Updated == 3 && w.Image == "web:1" && w.Labels["app"] == "web"
		}) && slices.ContainsFunc(c.Workloads, func(w Workload) bool { return in(w.Namespace) && w.Kind == "StatefulSet" && w.Desired == 1 }) &&
			slices.ContainsFunc(c.Workloads, func(w Workload) bool { return in(w.Namespace) && w.Kind == "DaemonSet" }) &&
			slices.ContainsFunc(c.Autoscalers, func(a Autoscaler) bool {
				return in(a.Namespace) && a.Min == 1 && a.Max == 3 && a.Current == 3 && a.TargetName == "web"
			}) &&
			slices.ContainsFunc(c.Quotas, func(q Quota) bool {
				return in(q.Namespace) && q.Hard["requests.cpu"] == 10 && q.Used["requests.cpu"] == 1.5
			}) &&
			slices.ContainsFunc(c.Namespaces, func(n Namespace) bool { return n.Name == "fleet" && n.Labels["team"] == "core" }) &&
			slices.ContainsFunc(c.Nodes, func(n ClusterNode) bool {
				return n.Name == "n-fleet" && n.Allocatable["cpu"] == 3.92 && n.Conditions["Ready"] == "True"
			})
	})
	second, _, registry := s.agent(t, "n-two")
	eventually(t, 20*time.Second, "the second has seen the Lease", func() bool { return second.state.up(Lease) })
	time.Sleep(time.Second)
	if c := second.Cluster(); len(c.Workloads) > 0 || requests(t, registry)["watch deployments"] > 0 {
		t.Error("both report the cluster")
	}
	s.check(s.admin.CoordinationV1().Leases("plimsoll").Delete(ctx, leaseName, metav1.DeleteOptions{})) // another may take it now
	eventually(t, 30*time.Second, "exactly one reports again", func() bool {
		return (len(first.Cluster().Workloads) > 0) != (len(second.Cluster().Workloads) > 0)
	})
}

// manifest is what the agent is allowed by deploy/kubernetes/base/rbac.yaml.
type manifest struct{ cluster, lease []rbacv1.PolicyRule }

func rulesOfTheManifest(t *testing.T) manifest {
	t.Helper()
	text, err := os.ReadFile("../../../deploy/kubernetes/base/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var m manifest
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal([]byte(document), &role); err != nil {
			t.Fatal(err)
		}
		switch role.Kind {
		case "ClusterRole":
			m.cluster = role.Rules
		case "Role":
			m.lease = role.Rules
		}
	}
	return m
}

// rbac grants the agent these rules and no others.
func (s *apiserver) rbac(m manifest) {
	s.t.Helper()
	ctx, name := context.Background(), metav1.ObjectMeta{Name: "plimsoll-agent"}
	subjects := []rbacv1.Subject{{Kind: "ServiceAccount", Name: "plimsoll-agent", Namespace: "plimsoll"}}
	r := s.admin.RbacV1()
	_ = r.ClusterRoles().Delete(ctx, name.Name, metav1.DeleteOptions{}) // the first time there is none
	_ = r.Roles("plimsoll").Delete(ctx, name.Name, metav1.DeleteOptions{})
	_ = r.ClusterRoleBindings().Delete(ctx, name.Name, metav1.DeleteOptions{})
	_ = r.RoleBindings("plimsoll").Delete(ctx, name.Name, metav1.DeleteOptions{})
	_, err := r.ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: name, Rules: m.cluster}, metav1.CreateOptions{})
	s.check(err)
	_, err = r.Roles("plimsoll").Create(ctx, &rbacv1.Role{ObjectMeta: name, Rules: m.lease}, metav1.CreateOptions{})
	s.check(err)
	_, err = r.ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: name, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name.Name}}, metav1.CreateOptions{})
	s.check(err)
	_, err = r.RoleBindings("plimsoll").Create(ctx, &rbacv1.RoleBinding{ObjectMeta: name, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name.Name}}, metav1.CreateOptions{})
	s.check(err)
}

func everyRuleIsUsedAndItsLossNamed(t *testing.T, s *apiserver) {
	s.namespace("rights", nil)
	uid := s.replicaSet("rights", "web-7d4b9c6f58", "web")
	s.status(s.pod("rights", "a-web-7d4b9c6f58-x2x5z", "n-rights", owned("ReplicaSet", "web-7d4b9c6f58", uid), nil), running("web", "a", 0))
	s.status(s.pod("rights", "b-job-28912345-x2x5z", "n-rights", owned("Job", "job-28912345", "u-9"), nil), running("web", "b", 0))
	_, err := s.admin.CoreV1().Nodes().Create(context.Background(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n-rights"}}, metav1.CreateOptions{})
	s.check(err)
	all := rulesOfTheManifest(t)
	want := map[string]Part{
		"pods list watch": Pods, "nodes get": Node, "replicasets get": ReplicaSets, "jobs get": Jobs,
		"nodes list watch": Nodes, "namespaces list watch": Namespaces, "resourcequotas list watch": Quotas,
		"deployments list watch": Deployments, "statefulsets list watch": StatefulSets, "daemonsets list watch": DaemonSets,
		"horizontalpodautoscalers list watch": Autoscalers, "leases create": Lease, "leases get update": Lease,
	}
	run := func(t *testing.T, m manifest, right func([]State) bool) {
		_ = s.admin.CoordinationV1().Leases("plimsoll").Delete(context.Background(), leaseName, metav1.DeleteOptions{}) // there may be none
		s.rbac(m)
		t.Run("agent", func(t *testing.T) { // ends the agent before the next one starts
			source, _, _ := s.agent(t, "n-rights", func(c *Config) { c.NodeLabels = func(map[string]string) {} })
			var states []State
			defer func() { // of what is not right
				if t.Failed() {
					t.Logf("%+v", states)
				}
			}()
			eventually(t, 20*time.Second, "the state is as the rights are", func() bool {
				states = source.State()
				return right(states)
			})
		})
	}
	everything := len(want) - 1
	run(t, all, func(states []State) bool {
		return len(states) == everything && !slices.ContainsFunc(states, func(state State) bool { return !state.Up })
	})
	lost := func(rule rbacv1.PolicyRule, m manifest) {
		name := strings.Join(append(slices.Clone(rule.Resources), rule.Verbs...), " ")
		t.Run("without "+name, func(t *testing.T) {
			part, known := want[name]
			if !known {
				t.Fatal("nobody uses this rule")
			}
			asked := everything
			switch part {
			case Lease:
				asked = 5 // nothing of the cluster
			case Pods:
				asked -= 2 // no owners without pods
			}
			run(t, m, func(states []State) bool {
				return len(states) == asked && !slices.ContainsFunc(states, func(state State) bool {
					return state.Up == (state.Part == part) || !state.Up && !strings.HasPrefix(state.Reason, "forbidden")
				})
			})
		})
	}
	for i, rule := range all.cluster {
		lost(rule, manifest{slices.Delete(slices.Clone(all.cluster), i, i+1), all.lease})
	}
	for i, rule := range all.lease {
		lost(rule, manifest{all.cluster, slices.Delete(slices.Clone(all.lease), i, i+1)})
	}
	s.rbac(all)
}

func whatWasKnownStaysThroughAnOutage(t *testing.T, s *apiserver) {
	s.namespace("outage", nil)
	p := s.status(s.pod("outage", "web-0", "n-outage", owned("StatefulSet", "web", "u-7"), nil), running("web", "a", 0))
	source, sink, _ := s.agent(t, "n-outage")
	eventually(t, 10*time.Second, "it is told", func() bool { _, there := sink.get("web-0/web"); return there })
	s.stop()
	eventually(t, 30*time.Second, "the outage is noticed", func() bool { return !source.state.up(Pods) })
	if got := sink.happened(); len(got) != 1 {
		t.Errorf("the outage changed what is known: %q", got)
	}
	for _, state := range source.State() {
		if state.Part == Pods && !strings.HasPrefix(state.Reason, "nothing listens on https://127.0.0.1:") {
			t.Errorf("%+v", state)
		}
	}
	s.start()
	next := running("web", "b", 1)
	next.LastTerminationState = terminated("a", "Error", 1)
	s.status(p, next)
	eventually(t, 60*time.Second, "the agent is back", func() bool { c, _ := sink.get("web-0/web"); return c.ID == cgroup.ContainerID(id("b")) })
	want := []string{"started web-0/web " + id("a"), "died web-0/web " + id("a") + " 1 known=true oom=false", "started web-0/web " + id("b")}
	if log := sink.happened(); !slices.Equal(log, want) {
		t.Errorf("happened %q, want %q", log, want)
	}
}

// The pods were told at once and the node's labels minutes later, so that the series began without their idc.
func anAPIServerThatComesLateIsHeard(t *testing.T, s *apiserver) {
	_, err := s.admin.CoreV1().Nodes().Create(context.Background(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n-outage", Labels: map[string]string{"idc": "bj1"}}}, metav1.CreateOptions{})
	s.check(err)
	s.stop()
	known := make(chan *heard, 1)
	source, sink, _ := s.agent(t, "n-outage", func(c *Config) {
		c.NodeLabels = func(labels map[string]string) {
			h := <-known
			h.mu.Lock()
			defer h.mu.Unlock()
			h.log = append(h.log, "the node is in "+labels["idc"])
		}
	})
	known <- sink
	eventually(t, 30*time.Second, "the absence is named", func() bool { state := source.State(); return len(state) > 0 && !state[0].Up })
	s.start()
	eventually(t, 60*time.Second, "the pod is told", func() bool { c, _ := sink.get("web-0/web"); return c.Workload == "web" })
	if log := sink.happened(); log[0] != "the node is in bj1" {
		t.Errorf("happened %q, want the node's labels first", log)
	}
}
