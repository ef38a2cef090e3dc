package docker

import (
	"encoding/json"
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/docker/api/types/swarm"
)

func TestOnlyALeaderThatAnswersHasServices(t *testing.T) {
	leading := Swarm{Manager: true, Leader: true, NodeLabels: map[string]string{"idc": "bj1"}, Services: []Service{{Name: "web", Desired: 2}}, Nodes: []SwarmNode{{Name: "n1", Ready: true}}}
	onStage(t, func(p *puppet, e *Engine, _ *ledger, logged func() []string) {
		said := func(what string, wait time.Duration, want Swarm) {
			t.Helper()
			time.Sleep(wait)
			synctest.Wait()
			got, asked := e.Swarm()
			if !asked || got.Manager != want.Manager || got.Leader != want.Leader || len(got.Services) != len(want.Services) || len(got.Nodes) != len(want.Nodes) || got.NodeLabels["idc"] != want.NodeLabels["idc"] {
				t.Errorf("%s: %+v (asked: %t), want %+v", what, got, asked, want)
			}
		}
		said("an engine of no Swarm", time.Second, Swarm{})
		p.set(func() { p.isManager, p.swarmSays = true, leading })
		said("it becomes a manager, which is seen at the next comparison", e.cfg.Relist+time.Second, leading)
		p.set(func() { p.swarmRefused = errors.New("the swarm does not have a leader") })
		said("the managers have lost each other", e.cfg.SwarmInterval, Swarm{Manager: true, NodeLabels: leading.NodeLabels})
		p.set(func() { p.swarmRefused = nil })
		said("and found each other", e.cfg.SwarmInterval, leading)
		p.set(func() { p.refused = fs.ErrNotExist; p.ended <- fs.ErrNotExist })
		said("the engine stops", time.Second, Swarm{Manager: true, NodeLabels: leading.NodeLabels})
		p.set(func() { p.refused = nil })
		said("and is back", e.cfg.BackoffMax, leading)
		p.set(func() { p.isManager, p.swarmSays = false, Swarm{} })
		said("it leaves the Swarm", e.cfg.SwarmInterval, Swarm{})
		told := strings.Join(logged(), "\n")
		if n := strings.Count(told, "this node leads the Swarm"); n != 3 {
			t.Errorf("told %d times that it leads, want 3:\n%s", n, told)
		}
	})
}

func TestAnUpdateIsOverWhenSwarmSaysSo(t *testing.T) {
	for state, want := range map[swarm.UpdateState]bool{
		"": false, swarm.UpdateStateCompleted: false, swarm.UpdateStateRollbackCompleted: false,
		swarm.UpdateStateUpdating: true, swarm.UpdateStatePaused: true, swarm.UpdateStateRollbackStarted: true, swarm.UpdateStateRollbackPaused: true,
	} {
		if got := updating(&swarm.UpdateStatus{State: state}); got != want {
			t.Errorf("%q: updating %t", state, got)
		}
	}
	if updating(nil) {
		t.Error("a service that was never updated is updating")
	}
}

// Captured from Docker 20.10: a task lacks what its service's template has, and so none ever seemed to be of the newest version.
func TestATaskIsOfTheNewestVersionWithoutItsRestartPolicy(t *testing.T) {
	const (
		template = `{"ContainerSpec":{"Image":"web:1","Env":["A=1"],"Init":false,"StopGracePeriod":0,"DNSConfig":{},"Isolation":"default"},"Resources":{"Limits":{},"Reservations":{}},"RestartPolicy":{"Condition":"any","Delay":5000000000,"MaxAttempts":0},"Placement":{"Constraints":["node.role==worker"]},"Networks":[{"Target":"ukqxt67x"}],"ForceUpdate":0,"Runtime":"container"}`
		newest   = `{"ContainerSpec":{"Image":"web:1","Env":["A=1"],"Init":false,"StopGracePeriod":0,"DNSConfig":{},"Isolation":"default"},"Resources":{"Limits":{},"Reservations":{}},"Placement":{},"Networks":[{"Target":"ukqxt67x"}],"ForceUpdate":0}`
		older    = `{"ContainerSpec":{"Image":"web:1","Init":false,"StopGracePeriod":0,"DNSConfig":{},"Isolation":"default"},"Resources":{"Limits":{},"Reservations":{}},"Placement":{},"Networks":[{"Target":"ukqxt67x"}],"ForceUpdate":0}`
	)
	read := func(text string) swarm.TaskSpec {
		var spec swarm.TaskSpec
		if err := json.Unmarshal([]byte(text), &spec); err != nil {
			t.Fatal(err)
		}
		return versionOf(spec)
	}
	if !reflect.DeepEqual(read(newest), read(template)) {
		t.Error("a task of the newest version counts as older")
	}
	if reflect.DeepEqual(read(older), read(template)) {
		t.Error("a task of an older version counts as newest")
	}
}
