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
	Reason           Reason
}

// Reason sorts exits.
type Reason uint8

// The reasons of an exit.
const (
	Unknown   Reason = iota // nobody could say
	Completed               // code 0
	Failed                  // any other code
	Signalled               // by a signal: code 128 + its number; a stop counts here, as the program may not handle it
	KilledOOM               // the kernel ran out of memory for it

	reasonCount
)

// Reasons are all there are.
func Reasons() iter.Seq[Reason] {
	return func(yield func(Reason) bool) {
		for _, r := range [reasonCount]Reason{Completed, Failed, Signalled, KilledOOM, Unknown} {
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
	default:
		return "unknown"
	}
}

// lastSignal is the highest signal number of Linux (SIGRTMAX).
const lastSignal = 64

func exitOf(code int, known, oomKilled bool) Exit {
	e := Exit{Code: code, Known: known, OOMKilled: oomKilled}
	switch {
	case oomKilled && (code != 0 || !known):
		e.Reason = KilledOOM
	case !known:
		e.Reason = Unknown
	case code == 0:
		e.Reason = Completed
	case code > 128 && code <= 128+lastSignal:
		e.Reason = Signalled
	default:
		e.Reason = Failed
	}
	return e
}
