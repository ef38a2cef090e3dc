package docker

import (
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/events"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// followedActions are the events asked for. The engine filters: a health check alone makes three exec events a run.
func followedActions() []events.Action {
	return []events.Action{
		events.ActionStart, events.ActionDie, events.ActionOOM, events.ActionHealthStatus, events.ActionRename,
		events.ActionDestroy, events.ActionPause, events.ActionUnPause, events.ActionUpdate,
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

// container is what a start event alone tells, for a container the engine removed before it could be asked.
func (ev event) container(cgroupDriver string) Container {
	labels := make(map[string]string, len(ev.attributes))
	for name, value := range ev.attributes {
		switch name {
		case "name", "image", "exitCode", "execDuration", "oldName", "signal", "execID":
		default:
			labels[name] = value
		}
	}
	return Container{
		ID: ev.id, Name: strings.TrimPrefix(ev.attributes["name"], "/"), Image: ev.attributes["image"],
		CgroupPath: cgroupPath(cgroupDriver, "", ev.id), Labels: labels, StartedAt: ev.at,
	}
}
