package inventory

import (
	"iter"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
)

// Container is a real container, named by its runtime.
type Container struct {
	ID cgroup.ContainerID
	// Life tells the lives of one ID apart: it is new with every start.
	Life uint64
	// PID is the container's first process; 0 when it had exited before anyone could ask. CgroupPath is where the runtime, or
	// the tree, says the cgroup is.
	PID                int
	CgroupPath         string
	Labels             identity.Labels
	Slot               SlotKey
	Health             HealthState
	Created, StartedAt time.Time
	RestartCount       int
	NetworkMode        string
	Paused             bool
	Resources          Resources
}

// Resources are what a container of a pod asks for and may have at most. 0 is none, and what a runtime without them says.
type Resources struct {
	CPURequestCores, CPULimitCores       float64
	MemoryRequestBytes, MemoryLimitBytes float64
}

// HealthState is what the health check says.
type HealthState uint8

// The states of a health check.
const (
	NoHealthCheck HealthState = iota
	Starting
	Healthy
	Unhealthy // of a pod: not ready

	healthStates
)

// HealthStates are all there are.
func HealthStates() [healthStates]HealthState {
	return [...]HealthState{NoHealthCheck, Starting, Healthy, Unhealthy}
}

// Value is that of container_health_state. A check that is starting is not healthy yet.
func (h HealthState) Value() float64 {
	switch h {
	case NoHealthCheck:
		return -1
	case Healthy:
		return 1
	default:
		return 0
	}
}

// String is the value of a label status.
func (h HealthState) String() string {
	switch h {
	case Starting:
		return "starting"
	case Healthy:
		return "healthy"
	case Unhealthy:
		return "unhealthy"
	default:
		return "none"
	}
}

// Exit is how a life ended.
type Exit struct {
	Code int
	// Known is false when nobody could say how it ended; Code is 0 then.
	Known, OOMKilled bool
	// Asked tells that the runtime was told to stop the container, or the API server to delete its pod.
	Asked  bool
	Reason Reason
}

// Reason sorts exits.
type Reason uint8

// The reasons of an exit.
const (
	Unknown   Reason = iota // nobody could say
	Completed               // code 0
	Failed                  // any other code
	Signalled               // by a signal: code 128 + its number
	KilledOOM               // the kernel ran out of memory for it
	Stopped                 // asked for, whatever the code; the last one, as the ledger keeps counts by these numbers

	reasonCount
)

// Reasons are all there are.
func Reasons() iter.Seq[Reason] {
	return func(yield func(Reason) bool) {
		for _, r := range [reasonCount]Reason{Completed, Stopped, Failed, Signalled, KilledOOM, Unknown} {
			if !yield(r) {
				return
			}
		}
	}
}

// String is the value of a label reason.
func (r Reason) String() string {
	switch r {
	case Completed:
		return "completed"
	case Failed:
		return "error"
	case Signalled:
		return "signalled"
	case KilledOOM:
		return "oom_killed"
	case Stopped:
		return "stopped"
	default:
		return "unknown"
	}
}

// lastSignal is the highest signal number of Linux (SIGRTMAX).
const lastSignal = 64

// killed is the code of an exit by SIGKILL, which is how the kernel ends what has no memory left.
const killed = 128 + 9

// sort finds the reason. oomNow tells that the kernel counted an out-of-memory kill a moment before: the flag alone may be that of a child
// killed long ago, and may come later than the exit. Of a container that is being stopped, whatever else happens to it is no news.
func (e Exit) sort(oomNow bool) Reason {
	switch {
	case e.Asked:
		return Stopped
	case e.OOMKilled && (e.Code == killed || !e.Known), e.Code == killed && oomNow, e.Code != 0 && e.OOMKilled && oomNow:
		return KilledOOM
	case !e.Known:
		return Unknown
	case e.Code == 0:
		return Completed
	case e.Code > 128 && e.Code <= 128+lastSignal:
		return Signalled
	default:
		return Failed
	}
}
