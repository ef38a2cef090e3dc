package docker

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/events"
	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// followedActions are the events asked for. The engine filters: a health check alone makes three exec events a run.
func followedActions() []events.Action {
	return []events.Action{
		events.ActionStart, events.ActionDie, events.ActionOOM, events.ActionHealthStatus, events.ActionRename,
		events.ActionKill, events.ActionDestroy, events.ActionPause, events.ActionUnPause, events.ActionUpdate,
		events.ActionRemove, // Podman's word for destroy
	}
}

// event is a container event, read.
type event struct {
	id         cgroup.ContainerID
	action     events.Action // one of followedActions
	at         time.Time
	health     Health            // of health_status
	attributes map[string]string // the container's labels, and name, image, exitCode among them
}

// eventOf reads m; false if it is none of followedActions.
func eventOf(m events.Message) (event, bool) {
	action, detail, _ := strings.Cut(string(m.Action), ":")
	ev := event{id: cgroup.ContainerID(m.Actor.ID), action: events.Action(action), at: time.Unix(0, m.TimeNano), attributes: m.Actor.Attributes}
	if m.TimeNano == 0 {
		ev.at = time.Unix(m.Time, 0)
	}
	if m.Type != events.ContainerEventType || ev.id == "" {
		return event{}, false
	}
	ev.health = healthOf(strings.TrimSpace(detail))
	if ev.action == events.ActionRemove {
		ev.action = events.ActionDestroy
	}
	for _, followed := range followedActions() {
		if ev.action == followed {
			return ev, true
		}
	}
	return event{}, false
}

// exit is how a die event says the life ended.
func (ev event) exit(oomKilled bool) Exit {
	code, err := strconv.Atoi(ev.attributes["exitCode"])
	return Exit{Code: code, Known: err == nil, OOMKilled: oomKilled}
}

// stops tells whether a kill event is meant to end a container whose stop signal is stopSignal. Other signals tell a program something.
// Podman does not say which signal it was; nothing but `podman kill` makes that event there.
func (ev event) stops(stopSignal int) bool {
	text := ev.attributes["signal"]
	switch signal := signalNumber(text); signal {
	case 0:
		return text == ""
	case stopSignal, int(unix.SIGINT), int(unix.SIGQUIT), int(unix.SIGKILL), int(unix.SIGTERM):
		return true
	default:
		return false
	}
}

// firstRealTime is SIGRTMIN as the C library and the engine count it.
const firstRealTime = 34

// signalNumber reads a signal as the engine writes it in events and configurations: 15, SIGTERM, TERM, SIGRTMIN+3. 0 is none it knows.
func signalNumber(text string) int {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	name := "SIG" + strings.TrimPrefix(strings.ToUpper(text), "SIG")
	if above, ok := strings.CutPrefix(name, "SIGRTMIN"); ok {
		n, err := strconv.Atoi(cmp.Or(strings.TrimPrefix(above, "+"), "0"))
		if err != nil {
			return 0
		}
		return firstRealTime + n
	}
	return int(unix.SignalNum(name))
}

// container is what a start event alone tells, for a container the engine removed before it could be asked.
func (ev event) container(cgroupDriver string) Container {
	labels := make(map[string]string, len(ev.attributes))
	for name, value := range ev.attributes {
		switch name {
		case "name", "image", "exitCode", "execDuration", "oldName", "signal", "execID", "containerExitCode", "podId": // the last two are Podman's
		default:
			labels[name] = value
		}
	}
	return Container{
		ID: ev.id, Name: strings.TrimPrefix(ev.attributes["name"], "/"), Image: ev.attributes["image"],
		CgroupPath: cgroupPath(cgroupDriver, "", ev.id), Labels: labels, StartedAt: ev.at,
	}
}
