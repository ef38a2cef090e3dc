package kubernetes

import (
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// Container is what the API server says about a running container of a pod. The maps are shared: read only.
type Container struct {
	ID cgroup.ContainerID // without the runtime's prefix (containerd://, cri-o://, docker://)

	// PodUID is the pod's as its cgroup carries it: of a static pod the hash of its file, not the UID of its mirror.
	PodUID              string
	Namespace, Pod      string
	Name                string // of the container in the pod
	Image               string // as configured
	Labels, Annotations map[string]string
	// Workload is the pod's top owner: a Deployment through its ReplicaSet, a CronJob through its Job, a static pod's name
	// without the node's.
	Workload string

	// HostNetwork tells that the pod has no network of its own. OwnsNetwork tells that the pod's interfaces are shown with this
	// container: the first of the pod's containers; the others share them.
	HostNetwork, OwnsNetwork bool

	Health             Health
	RestartCount       int       // since the pod was made
	Created, StartedAt time.Time // of the pod; of the container's present run
	Resources          Resources
}

// Resources are what a container asks for and what it may have at most. 0 is none.
type Resources struct {
	CPURequestCores, CPULimitCores       float64
	MemoryRequestBytes, MemoryLimitBytes float64
}

// Health is what the probes say.
type Health uint8

// The states of health.
const (
	NoProbe  Health = iota
	NotReady        // starting, or its readiness probe fails
	Ready
)

// Exit is how a container ended.
type Exit struct {
	Code int
	// Known is false when nobody could say: the pod is gone, or its status has moved on.
	Known     bool
	OOMKilled bool
	// Asked tells that the pod's deletion had been asked for.
	Asked bool
}

// Sink learns what happens to the containers of this node's pods, from one goroutine. Started and Died alternate for one ID.
// The methods must not block for long.
type Sink interface {
	// PodSeen tells that the API server knows a pod: a cgroup in it that is no container's is the sandbox's.
	PodSeen(podUID string)
	// PodGone tells that the pod was deleted.
	PodGone(podUID string)
	// Started tells a container that runs.
	Started(c Container, at time.Time)
	// Changed tells new facts of a running container: workload, labels, health, resources.
	Changed(c Container, at time.Time)
	// Died tells the end of a container.
	Died(id cgroup.ContainerID, at time.Time, exit Exit)
}
