package identity

import "strings"

// Facts are what a runtime says about a container, in no runtime's words. Empty means not said.
type Facts struct {
	Name       string // as the engine shows it, without the leading slash
	Image      string // reference as configured
	CgroupPath string // relative to the hierarchy, "/docker/ID"
	// Labels and Annotations are the container's (Kubernetes: and its pod's). Resolving reads them, nothing keeps or changes them.
	Labels, Annotations map[string]string

	Kubernetes KubernetesFacts
	Swarm      SwarmFacts
	Compose    ComposeFacts
}

// Contradictory tells that labels of two runtimes claim the container, as when someone copied them. Kubernetes goes before
// Swarm, and Swarm before Compose.
func (f Facts) Contradictory() bool {
	claims := 0
	for _, claimed := range []bool{f.Kubernetes.Pod != "", f.Swarm.Service != "", f.Compose.Project != ""} {
		if claimed {
			claims++
		}
	}
	return claims > 1
}

// KubernetesFacts place a container of a pod.
type KubernetesFacts struct {
	Namespace, Pod, Container string
	// Workload is the pod's top owner (Deployment, StatefulSet, DaemonSet, CronJob, Job) as the Kubernetes API tells it.
	// Empty until then: the owner is read off the pod's name.
	Workload string
	// Sandbox is true for the pause container, which holds the pod's namespaces.
	Sandbox bool
}

// SwarmFacts place a task's container.
type SwarmFacts struct {
	Stack   string // com.docker.stack.namespace; empty for a service made without a stack
	Service string // service name, stack prefix included, as `docker service ls` shows it
	Task    string // service.slot; service.NODEID for a global service
	NodeID  string
}

// workload is the service's name in its stack's file.
func (f SwarmFacts) workload() string {
	if name, ok := strings.CutPrefix(f.Service, f.Stack+"_"); ok && f.Stack != "" && name != "" {
		return name
	}
	return f.Service
}

// ComposeFacts place a container made by Docker Compose.
type ComposeFacts struct{ Project, Service string }

// FromDocker reads the facts of a container of a Docker engine off its labels: Swarm and Compose mark theirs, and so do
// dockershim and cri-dockerd. labels is read only.
func FromDocker(name, image, cgroupPath string, labels map[string]string) Facts {
	return Facts{
		Name:       strings.TrimPrefix(name, "/"),
		Image:      image,
		CgroupPath: cgroupPath,
		Labels:     labels,
		Kubernetes: KubernetesFacts{
			Namespace: labels["io.kubernetes.pod.namespace"],
			Pod:       labels["io.kubernetes.pod.name"],
			Container: labels["io.kubernetes.container.name"],
			Sandbox:   labels["io.kubernetes.docker.type"] == "podsandbox" || labels["io.kubernetes.container.name"] == "POD",
		},
		Swarm: SwarmFacts{
			Stack:   labels["com.docker.stack.namespace"],
			Service: labels["com.docker.swarm.service.name"],
			Task:    swarmSlot(labels["com.docker.swarm.task.name"], labels["com.docker.swarm.task.id"]),
			NodeID:  labels["com.docker.swarm.node.id"],
		},
		Compose: ComposeFacts{
			Project: labels["com.docker.compose.project"],
			Service: labels["com.docker.compose.service"],
		},
	}
}

// swarmSlot takes the task's ID off its name, because the ID is new with every restart and the slot stays:
// web.1.x7k2 -> web.1, and for a global service web.NODEID.x7k2 -> web.NODEID.
func swarmSlot(taskName, taskID string) string {
	if taskID != "" {
		if slot, ok := strings.CutSuffix(taskName, "."+taskID); ok {
			return slot
		}
	}
	if strings.Count(taskName, ".") < 2 {
		return taskName
	}
	return taskName[:strings.LastIndexByte(taskName, '.')]
}

// Characters of the generated parts of pod names. randomAlphabet is k8s.io/apimachinery/pkg/util/rand; a pod template hash
// is a decimal number written with that package's SafeEncodeString, which maps the ten digits to these ten characters.
const (
	randomAlphabet = "bcdfghjklmnpqrstvwxz2456789"
	hashAlphabet   = "456789bcdf"
	digits         = "0123456789"
)

// ownerOfPod reads the workload off a pod's name, for as long as no Kubernetes API says it:
//
//	api-7d4b9c6f58-x2x5z  Deployment api
//	backup-28912345-x2x5z CronJob backup
//	agent-x2x5z           DaemonSet or Job agent
//	db-0                  StatefulSet db
//	etcd-node1            itself
func ownerOfPod(pod string) string {
	rest, last, ok := cutLast(pod)
	switch {
	case !ok:
		return pod
	case madeOf(last, digits) && len(last) <= 5:
		return rest
	case len(last) == 5 && madeOf(last, randomAlphabet):
		owner, middle, ok := cutLast(rest)
		isHash := len(middle) >= 6 && len(middle) <= 10 && madeOf(middle, hashAlphabet)
		isMinute := len(middle) >= 8 && madeOf(middle, digits) // a CronJob's Job: scheduled minute since 1970
		if ok && (isHash || isMinute) {
			return owner
		}
		return rest
	default:
		return pod
	}
}

func cutLast(name string) (before, after string, ok bool) {
	i := strings.LastIndexByte(name, '-')
	if i <= 0 || i == len(name)-1 {
		return name, "", false
	}
	return name[:i], name[i+1:], true
}

func madeOf(s, alphabet string) bool { return s != "" && strings.Trim(s, alphabet) == "" }
