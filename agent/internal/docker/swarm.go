package docker

import (
	"context"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/swarm"
	"github.com/prometheus/client_golang/prometheus"
)

// Swarm is what a manager of a Swarm says. The zero value is an engine that manages none. Its slices and maps are shared: read only.
type Swarm struct {
	// Manager tells that the engine manages a Swarm, Leader that it is the one manager of it that all others follow.
	Manager, Leader bool
	// NodeLabels are those of the engine's own node: `docker node update --label-add idc=bj1 NODE`.
	NodeLabels map[string]string
	// Services and Nodes are told by the leader only, so that one agent reports them. Jobs are left out: they have no replicas to keep.
	Services []Service
	Nodes    []SwarmNode
}

// Service is a Swarm service.
type Service struct {
	Name, Image string
	Labels      map[string]string // of its containers
	// Desired is how many tasks there should be, of a global service one per node that may have one. Ready run, and are healthy if they
	// have a health check. Updated run with the newest version of the service.
	Desired, Ready, Updated int
}

// SwarmNode is a node of the Swarm.
type SwarmNode struct {
	Name string // host name
	// Ready tells that it answers the managers and is not drained of tasks.
	Ready bool
}

// mostServices bounds the services that are told, and the nodes.
const mostServices = 10_000

// Swarm tells what the engine said last; false before it was asked. When it can not be asked, services and nodes are left out.
func (e *Engine) Swarm() (Swarm, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.swarm == nil {
		return Swarm{}, false
	}
	return *e.swarm, true
}

// ProbeSwarm connects once and asks.
func (e *Engine) ProbeSwarm(ctx context.Context) (Swarm, error) {
	conn, info, err := e.connect(ctx)
	if err != nil {
		return Swarm{}, e.explain(err)
	}
	defer conn.close()
	s, err := conn.swarm(ctx, info)
	if err != nil {
		return Swarm{}, e.explain(err)
	}
	return s, nil
}

// followSwarm asks a manager every SwarmInterval, and any other engine now and then whether it has become one, until ctx ends.
func (e *Engine) followSwarm(ctx context.Context, conn connection, info Info) {
	for {
		s, err := conn.swarm(ctx, info)
		if ctx.Err() != nil {
			break
		}
		e.setSwarm(s, err)
		pause := e.cfg.Relist
		if info.SwarmManager {
			pause = e.cfg.SwarmInterval
		}
		if !sleep(ctx, pause) {
			break
		}
		if err != nil || !s.Manager {
			if now, err := conn.info(ctx); err == nil {
				info = now
			}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.swarm != nil {
		e.swarm, e.swarmUp = e.swarm.unasked(), false
	}
}

// unasked is what stays of what was said while nobody can be asked: another manager may lead by now.
func (s *Swarm) unasked() *Swarm { return &Swarm{Manager: s.Manager, NodeLabels: s.NodeLabels} }

// setSwarm keeps what was said.
func (e *Engine) setSwarm(s Swarm, err error) {
	e.mu.Lock()
	var was Swarm
	if e.swarm != nil {
		was = *e.swarm
	}
	if err != nil {
		s = *was.unasked()
	}
	if err == nil || e.swarm != nil {
		e.swarm = &s
	}
	e.swarmUp = err == nil
	e.mu.Unlock()
	switch {
	case s.Leader && !was.Leader:
		e.log.Info("this node leads the Swarm: its services are reported from here", "services", len(s.Services), "nodes", len(s.Nodes))
	case was.Leader && err != nil:
		e.log.Warn("services of the Swarm unavailable", "reason", reason(e.cfg.Host, e.cfg.Timeout, err))
	case was.Leader && !s.Leader:
		e.log.Info("this node no longer leads the Swarm")
	}
}

// swarm asks the engine of this information.
func (w *wire) swarm(ctx context.Context, info Info) (Swarm, error) {
	if !info.SwarmManager {
		return Swarm{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	w.metrics.requests.WithLabelValues("node").Inc()
	self, _, err := w.cli.NodeInspectWithRaw(ctx, info.SwarmNodeID)
	if err != nil {
		return Swarm{}, w.failed("node", err)
	}
	s := Swarm{Manager: true, Leader: self.ManagerStatus != nil && self.ManagerStatus.Leader, NodeLabels: self.Spec.Labels}
	if !s.Leader {
		return s, nil
	}
	if s.Nodes, err = w.nodes(ctx); err != nil {
		return s, err
	}
	s.Services, err = w.services(ctx)
	return s, err
}

// bounded leaves out what is past the limit, each time the same ones: those last by name.
func bounded[T any](found []T, name func(T) string, refused prometheus.Counter) []T {
	if len(found) <= mostServices {
		return found
	}
	refused.Add(float64(len(found) - mostServices))
	slices.SortFunc(found, func(a, b T) int { return strings.Compare(name(a), name(b)) })
	return found[:mostServices]
}

func (w *wire) nodes(ctx context.Context) ([]SwarmNode, error) {
	w.metrics.requests.WithLabelValues("nodes").Inc()
	found, err := w.cli.NodeList(ctx, swarm.NodeListOptions{})
	if err != nil {
		return nil, w.failed("nodes", err)
	}
	found = bounded(found, func(n swarm.Node) string { return n.Description.Hostname }, w.metrics.refused)
	nodes := make([]SwarmNode, 0, len(found))
	for _, n := range found {
		nodes = append(nodes, SwarmNode{Name: n.Description.Hostname, Ready: n.Status.State == swarm.NodeStateReady && n.Spec.Availability != swarm.NodeAvailabilityDrain})
	}
	return nodes, nil
}

func (w *wire) services(ctx context.Context) ([]Service, error) {
	w.metrics.requests.WithLabelValues("services").Inc()
	found, err := w.cli.ServiceList(ctx, swarm.ServiceListOptions{Status: true})
	if err != nil {
		return nil, w.failed("services", err)
	}
	found = bounded(found, func(s swarm.Service) string { return s.Spec.Name }, w.metrics.refused)
	services := make([]Service, 0, len(found))
	for i := range found {
		in := &found[i]
		if in.Spec.Mode.ReplicatedJob != nil || in.Spec.Mode.GlobalJob != nil || in.Spec.TaskTemplate.ContainerSpec == nil {
			continue
		}
		s := Service{Name: in.Spec.Name, Image: in.Spec.TaskTemplate.ContainerSpec.Image, Labels: in.Spec.TaskTemplate.ContainerSpec.Labels}
		if in.ServiceStatus != nil { // Docker 20.10
			s.Desired, s.Ready = tasks(in.ServiceStatus.DesiredTasks), tasks(in.ServiceStatus.RunningTasks)
			s.Updated = s.Ready
		}
		if in.ServiceStatus == nil || updating(in.UpdateStatus) {
			if err := w.count(ctx, in, &s); err != nil {
				return nil, err
			}
		}
		services = append(services, s)
	}
	return services, nil
}

// tasks is a number of tasks as the API has it.
func tasks(n uint64) int { return int(min(n, math.MaxInt32)) }

// updating tells that some tasks may be of an older version. Afterwards none is, so that the tasks need not be looked at.
func updating(u *swarm.UpdateStatus) bool {
	return u != nil && u.State != "" && u.State != swarm.UpdateStateCompleted && u.State != swarm.UpdateStateRollbackCompleted
}

// count fills s from the tasks of the service.
func (w *wire) count(ctx context.Context, in *swarm.Service, s *Service) error {
	w.metrics.requests.WithLabelValues("tasks").Inc()
	found, err := w.cli.TaskList(ctx, swarm.TaskListOptions{Filters: filters.NewArgs(filters.Arg("service", in.ID), filters.Arg("desired-state", "running"))})
	if err != nil {
		return w.failed("tasks", err)
	}
	s.Desired, s.Ready, s.Updated = len(found), 0, 0
	if r := in.Spec.Mode.Replicated; r != nil && r.Replicas != nil {
		s.Desired = tasks(*r.Replicas)
	}
	newest := versionOf(in.Spec.TaskTemplate)
	for i := range found {
		if found[i].Status.State != swarm.TaskStateRunning {
			continue
		}
		s.Ready++
		if reflect.DeepEqual(versionOf(found[i].Spec), newest) {
			s.Updated++
		}
	}
	return nil
}

// versionOf is what makes tasks of two versions differ, as far as a task tells it: of the service's template a task has neither the
// restart policy nor the runtime, and Swarm itself leaves out where it may run.
// https://github.com/moby/swarmkit/blob/master/manager/orchestrator/task.go (IsTaskDirty)
func versionOf(t swarm.TaskSpec) swarm.TaskSpec {
	return swarm.TaskSpec{ContainerSpec: t.ContainerSpec, Resources: t.Resources, Networks: t.Networks, ForceUpdate: t.ForceUpdate}
}
