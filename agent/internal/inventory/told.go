package inventory

import (
	"cmp"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/docker"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/internal/kubernetes"
)

// told is what one runtime says about the present life of a container, in no runtime's words.
type told struct {
	id                 cgroup.ContainerID
	facts              identity.Facts // CgroupPath is left to the entry
	pid                int
	cgroupPath         string
	networkMode        string
	health             HealthState
	paused, oomKilled  bool
	created, startedAt time.Time
	restartCount       int
	resources          Resources
	podUID             string
	container          *docker.Container // as the engine told it; nil: it did not
}

func fromEngine(c docker.Container) *told {
	return &told{
		container: &c,
		id:        c.ID, facts: identity.FromDocker(c.Name, c.Image, "", c.Labels), pid: c.PID, cgroupPath: c.CgroupPath, networkMode: c.NetworkMode,
		health: engineHealth(c.Health), paused: c.Paused, oomKilled: c.OOMKilled, created: c.Created, startedAt: c.StartedAt, restartCount: c.RestartCount,
	}
}

func fromPod(c kubernetes.Container) *told {
	l := &told{
		id: c.ID, podUID: c.PodUID, health: podHealth(c.Health), created: c.Created, startedAt: c.StartedAt, restartCount: c.RestartCount,
		facts: identity.Facts{
			Image: c.Image, Labels: c.Labels, Annotations: c.Annotations,
			Kubernetes: identity.KubernetesFacts{Namespace: c.Namespace, Pod: c.Pod, Container: c.Name, Workload: c.Workload},
		},
		resources: Resources(c.Resources),
	}
	switch {
	case c.HostNetwork:
		l.networkMode = networkOfHost
	case !c.OwnsNetwork:
		l.networkMode = networkOfAnother + c.Pod
	}
	return l
}

// Network modes, in the Docker engine's words, of containers whose interfaces are not their own.
const (
	networkOfHost    = "host"
	networkOfAnother = "container:"
)

// OwnNetwork tells whether the interfaces the container sees are to be shown with it. They are not where they are the node's, and
// where they are another container's: of a pod the first container has them, so that they count once.
func (c Container) OwnNetwork() bool {
	return c.NetworkMode != networkOfHost && !strings.HasPrefix(c.NetworkMode, networkOfAnother)
}

func engineHealth(h docker.Health) HealthState {
	switch h {
	case docker.HealthHealthy:
		return Healthy
	case docker.HealthStarting:
		return Starting
	case docker.HealthUnhealthy:
		return Unhealthy
	default:
		return NoHealthCheck
	}
}

func podHealth(h kubernetes.Health) HealthState {
	switch h {
	case kubernetes.Ready:
		return Healthy
	case kubernetes.NotReady:
		return Unhealthy
	default:
		return NoHealthCheck
	}
}

// take copies what the runtimes say of the present life. Where both the engine and the API server know a container (cri-dockerd), the
// engine has the process and the API server the names.
func (e *entry) take(l *told) {
	if l.podUID != "" {
		e.pod = l
	} else {
		e.engine = l
	}
	base := cmp.Or(e.engine, e.pod)
	e.facts = base.facts
	e.PID, e.StartedAt, e.RestartCount = cmp.Or(base.pid, e.PID), base.startedAt, base.restartCount
	e.Health, e.NetworkMode, e.Paused, e.Resources = base.health, base.networkMode, base.paused, base.resources
	e.CgroupPath = cmp.Or(e.CgroupPath, base.cgroupPath)
	if e.engine != nil && e.pod != nil {
		e.facts.Kubernetes, e.facts.Image = e.pod.facts.Kubernetes, e.pod.facts.Image
		e.facts.Labels, e.facts.Annotations = e.pod.facts.Labels, e.pod.facts.Annotations
		e.Health, e.NetworkMode, e.Resources = e.pod.health, e.pod.networkMode, e.pod.resources
	}
	e.facts.CgroupPath = e.CgroupPath
}
