package kubernetes

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// pod is what is kept of a pod.
type pod struct {
	uid, cgroupUID      string
	namespace, name     string
	node                string
	static              bool
	labels, annotations map[string]string
	owner               owner
	hostNetwork         bool
	created             time.Time
	deletion            time.Time      // when its deletion was asked for; zero while it is not
	containers          []podContainer // in the order of the spec: init, then regular, then ephemeral
	first               string         // name of the first regular container
}

// owner is the controller of a pod; the zero owner is none.
type owner struct{ kind, name, uid string }

// podContainer is one container of a pod with the newest of its status.
type podContainer struct {
	name, image  string
	resources    Resources
	probed       bool
	id           cgroup.ContainerID // of the present life; "" before the first
	running      bool
	ready        bool
	startedAt    time.Time
	restartCount int
	ends         [2]end // of the present life and the one before; a zero ID is none
}

// end is how one life of a container ended.
type end struct {
	id        cgroup.ContainerID
	startedAt time.Time
	at        time.Time
	exit      Exit
}

// longestAnnotation bounds what is kept of an annotation: rules match on short ones, tools store documents in long ones.
const longestAnnotation = 1024

// Annotations of static pods and their mirrors.
// https://pkg.go.dev/k8s.io/kubernetes/pkg/kubelet/types
const (
	configHash   = "kubernetes.io/config.hash"
	configMirror = "kubernetes.io/config.mirror"
)

// podOf copies what is needed of p; nothing of p is kept but strings.
func podOf(p *corev1.Pod) *pod {
	q := &pod{
		uid: string(p.UID), cgroupUID: string(p.UID), namespace: p.Namespace, name: p.Name, node: p.Spec.NodeName, labels: p.Labels,
		hostNetwork: p.Spec.HostNetwork, created: p.CreationTimestamp.Time,
	}
	for name, value := range p.Annotations {
		if len(value) <= longestAnnotation && name != "kubectl.kubernetes.io/last-applied-configuration" {
			if q.annotations == nil {
				q.annotations = make(map[string]string, len(p.Annotations))
			}
			q.annotations[name] = value
		}
	}
	if hash := p.Annotations[configHash]; hash != "" && p.Annotations[configMirror] != "" {
		q.static, q.cgroupUID = true, hash
	}
	if p.DeletionTimestamp != nil { // the end of the grace that was given
		q.deletion = p.DeletionTimestamp.Time
		if grace := p.DeletionGracePeriodSeconds; grace != nil {
			q.deletion = q.deletion.Add(-time.Duration(*grace) * time.Second)
		}
	}
	if o := metav1.GetControllerOf(p); o != nil {
		q.owner = owner{kind: o.Kind, name: o.Name, uid: string(o.UID)}
	}
	for i := range p.Spec.InitContainers {
		q.add(&p.Spec.InitContainers[i], p.Status.InitContainerStatuses)
	}
	for i := range p.Spec.Containers {
		q.add(&p.Spec.Containers[i], p.Status.ContainerStatuses)
	}
	if len(p.Spec.Containers) > 0 {
		q.first = p.Spec.Containers[0].Name
	}
	for i := range p.Spec.EphemeralContainers {
		e := &p.Spec.EphemeralContainers[i].EphemeralContainerCommon
		q.add(&corev1.Container{Name: e.Name, Image: e.Image}, p.Status.EphemeralContainerStatuses)
	}
	return q
}

func (q *pod) add(c *corev1.Container, statuses []corev1.ContainerStatus) {
	k := podContainer{
		name: c.Name, image: c.Image,
		probed: c.ReadinessProbe != nil || c.LivenessProbe != nil || c.StartupProbe != nil,
		resources: Resources{
			CPURequestCores: cores(c.Resources.Requests), CPULimitCores: cores(c.Resources.Limits),
			MemoryRequestBytes: memoryBytes(c.Resources.Requests), MemoryLimitBytes: memoryBytes(c.Resources.Limits),
		},
	}
	for i := range statuses {
		s := &statuses[i]
		if s.Name != c.Name {
			continue
		}
		k.id, k.ready, k.restartCount = idOf(s.ContainerID), s.Ready, int(s.RestartCount)
		if r := s.State.Running; r != nil && k.id != "" {
			k.running, k.startedAt = true, r.StartedAt.Time
		}
		k.ends = [2]end{endOf(s.State.Terminated), endOf(s.LastTerminationState.Terminated)}
		break
	}
	q.containers = append(q.containers, k)
}

func endOf(t *corev1.ContainerStateTerminated) end {
	if t == nil {
		return end{}
	}
	return end{
		id: idOf(t.ContainerID), startedAt: t.StartedAt.Time, at: t.FinishedAt.Time,
		exit: Exit{Code: int(t.ExitCode), Known: t.Reason != "ContainerStatusUnknown", OOMKilled: t.Reason == "OOMKilled"},
	}
}

// idOf cuts the runtime off: containerd://ID, cri-o://ID, docker://ID.
func idOf(status string) cgroup.ContainerID {
	_, id, _ := strings.Cut(status, "://")
	return cgroup.ContainerID(id)
}

func cores(list corev1.ResourceList) float64       { return float64(list.Cpu().MilliValue()) / 1000 }
func memoryBytes(list corev1.ResourceList) float64 { return float64(list.Memory().Value()) }

// container is what the sink is told of container k.
func (q *pod) container(k *podContainer, workload string) Container {
	c := Container{
		ID: k.id, PodUID: q.cgroupUID, Namespace: q.namespace, Pod: q.name, Name: k.name, Image: k.image,
		Labels: q.labels, Annotations: q.annotations, Workload: workload,
		HostNetwork: q.hostNetwork, OwnsNetwork: k.name == q.first,
		RestartCount: k.restartCount, Created: q.created, StartedAt: k.startedAt, Resources: k.resources,
	}
	switch {
	case k.probed && k.ready:
		c.Health = Ready
	case k.probed:
		c.Health = NotReady
	}
	return c
}
