package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/docker/api/types/swarm"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
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

// A Swarm past the limit lost services without a word, and whichever the manager listed last.
func TestServicesPastTheLimitAreLeftOutAndCounted(t *testing.T) {
	var services []swarm.Service
	for i := range mostServices + 3 {
		s := swarm.Service{ID: fmt.Sprint(i), ServiceStatus: &swarm.ServiceStatus{DesiredTasks: 1}}
		s.Spec.Name, s.Spec.TaskTemplate.ContainerSpec = fmt.Sprintf("s%05d", mostServices+3-i), &swarm.ContainerSpec{Image: "web"}
		services = append(services, s)
	}
	self := swarm.Node{ID: "n1", ManagerStatus: &swarm.ManagerStatus{Leader: true}}
	manager := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Content-Type", "application/json")
		var answer any
		switch _, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); path {
		case "info":
			answer = map[string]any{"ServerVersion": "20.10.24", "Swarm": map[string]any{"NodeID": "n1", "ControlAvailable": true, "LocalNodeState": "active"}}
		case "nodes/n1":
			answer = self
		case "nodes":
			answer = []swarm.Node{self}
		case "services":
			answer = services
		}
		json.NewEncoder(w).Encode(answer)
	}))
	defer manager.Close()
	reg := prometheus.NewRegistry()
	e, err := New(Config{Host: strings.Replace(manager.URL, "http://", "tcp://", 1), Metrics: reg}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.ProbeSwarm(t.Context())
	if err != nil || len(s.Services) != mostServices || s.Services[0].Name != "s00001" || s.Services[mostServices-1].Name != fmt.Sprintf("s%05d", mostServices) || len(s.Nodes) != 1 {
		t.Fatalf("%d services, %d nodes (%v), want the first %d by name and 1", len(s.Services), len(s.Nodes), err, mostServices)
	}
	if got := testutil.ToFloat64(e.metrics.refused); got != 3 {
		t.Errorf("%g counted as refused, want 3", got)
	}
}
