package docker

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/system"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// Container is what the engine says about a container. Labels is shared: read only.
type Container struct {
	ID cgroup.ContainerID
	// PID is the container's first process in the engine's PID namespace. 0: it has exited already, or the engine did not say.
	PID   int
	Name  string // without the leading slash
	Image string // the reference it was started with; for a bare image ID the image's tag or digest if it has one, else the ID
	// CgroupParent is as configured, mostly empty. CgroupPath is the path the engine's cgroup driver gives the container,
	// "/docker/ID"; /proc/PID/cgroup is the truth while there is a process.
	CgroupParent, CgroupPath string
	NetworkMode              string // "host", "none", "bridge", "default", "container:ID" or a network's name
	Labels                   map[string]string
	Created, StartedAt       time.Time
	RestartCount             int // restarts by the restart policy since the last start by hand
	Health                   Health
	Paused                   bool
	OOMKilled                bool // the engine has seen an out-of-memory kill in this life
	// StopSignal is the number of the signal that a stop sends, where the image or the container says one; 0 is SIGTERM.
	StopSignal int
	// StopAsked is when the engine was last told in this life to stop the container; zero is never.
	StopAsked time.Time
}

// Exit is how a life ended.
type Exit struct {
	Code int
	// Known is false when the end was missed and the engine could not say any more; Code is 0 then.
	Known     bool
	OOMKilled bool
	// Asked tells that the engine was told to stop the container: docker stop, kill, restart or rm, a Swarm's update or scaling.
	Asked bool
}

// Health is the state of the container's health check.
type Health uint8

// The states of a health check.
const (
	HealthNone Health = iota // no health check
	HealthStarting
	HealthHealthy
	HealthUnhealthy
)

// String is the engine's own word.
func (h Health) String() string {
	switch h {
	case HealthStarting:
		return container.Starting
	case HealthHealthy:
		return container.Healthy
	case HealthUnhealthy:
		return container.Unhealthy
	default:
		return container.NoHealthcheck
	}
}

func healthOf(word string) Health {
	for _, h := range []Health{HealthStarting, HealthHealthy, HealthUnhealthy} {
		if word == h.String() {
			return h
		}
	}
	return HealthNone
}

// Info is what the engine says about itself.
type Info struct {
	Name, Version, APIVersion string // Name is the host's name
	CgroupDriver              string // cgroupfs, systemd, none
	CgroupVersion             string // 1, 2
	SwarmNodeID               string
	SwarmManager              bool              // the engine takes part in managing its Swarm
	Labels                    map[string]string // `dockerd --label idc=bj1`
	Outside                   bool              // it runs outside of this process's PID namespace (Config.SamePIDs)

	at time.Time // the engine's clock when it said so
}

func infoOf(in system.Info, apiVersion string) Info {
	labels := make(map[string]string, len(in.Labels))
	for _, l := range in.Labels {
		name, value, _ := strings.Cut(l, "=")
		labels[name] = value
	}
	return Info{
		Name: in.Name, Version: in.ServerVersion, APIVersion: apiVersion,
		CgroupDriver: in.CgroupDriver, CgroupVersion: in.CgroupVersion,
		SwarmNodeID: in.Swarm.NodeID, SwarmManager: in.Swarm.ControlAvailable, Labels: labels, at: moment(in.SystemTime),
	}
}

// inspection is what one inspect tells.
type inspection struct {
	Container
	running    bool // a restarting container does not run
	exit       Exit // how the last life ended, if not running
	finishedAt time.Time
}

func inspectionOf(in container.InspectResponse, cgroupDriver string) (inspection, error) {
	if in.ContainerJSONBase == nil || in.State == nil || in.Config == nil || in.ID == "" {
		return inspection{}, fmt.Errorf("inspect: the engine's answer has no id, state or config")
	}
	found := inspection{
		Container: Container{
			ID:           cgroup.ContainerID(in.ID),
			Name:         strings.TrimPrefix(in.Name, "/"),
			Image:        in.Config.Image,
			Labels:       in.Config.Labels,
			Created:      moment(in.Created),
			StartedAt:    moment(in.State.StartedAt),
			RestartCount: in.RestartCount,
			Paused:       in.State.Paused,
			OOMKilled:    in.State.OOMKilled,
		},
		running: in.State.Running && !in.State.Restarting,
	}
	found.StopSignal = signalNumber(in.Config.StopSignal)
	if in.HostConfig != nil {
		found.CgroupParent = in.HostConfig.CgroupParent
		found.NetworkMode = string(in.HostConfig.NetworkMode)
	}
	found.CgroupPath = cgroupPath(cgroupDriver, found.CgroupParent, found.ID)
	if in.State.Health != nil {
		found.Health = healthOf(in.State.Health.Status)
	}
	if found.running {
		found.PID = in.State.Pid
		return found, nil
	}
	found.exit = Exit{Code: in.State.ExitCode, Known: true, OOMKilled: in.State.OOMKilled}
	found.finishedAt = moment(in.State.FinishedAt)
	return found, nil
}

// moment reads the engine's RFC 3339 times; "" and the engine's "never" (year 1) are the zero time.
func moment(text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || at.Year() <= 1 {
		return time.Time{}
	}
	return at
}

// cgroupPath is where the engine's cgroup driver puts a container: below /docker or the configured parent, or with systemd in
// a scope below system.slice or the configured slice. "" if the engine makes no cgroups.
// https://docs.docker.com/reference/cli/docker/container/run/#cgroup-parent
func cgroupPath(driver, parent string, id cgroup.ContainerID) string {
	switch driver {
	case "cgroupfs":
		if parent == "" {
			parent = "/docker"
		}
		return path.Join("/", parent, string(id))
	case "systemd":
		if parent == "" {
			parent = "system.slice"
		}
		return path.Join(slicePath(path.Base(parent)), "docker-"+string(id)+".scope")
	default:
		return ""
	}
}

// slicePath expands a slice's name to its path, as systemd.slice(5) nests them: a-b.slice is /a.slice/a-b.slice.
func slicePath(slice string) string {
	stem := strings.TrimSuffix(slice, ".slice")
	full := "/"
	for i := 0; i <= len(stem); i++ {
		if i == len(stem) || stem[i] == '-' {
			full = path.Join(full, stem[:i]+".slice")
		}
	}
	return full
}
