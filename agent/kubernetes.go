package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/internal/kubernetes"
	"github.com/plimsoll/plimsoll/agent/internal/kubestate"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
	"github.com/plimsoll/plimsoll/agent/internal/swarmstate"
)

// openKubernetes makes the source of pods; there is none where Kubernetes is off, and off says why.
func (e *eyes) openKubernetes(cfg config, log *slog.Logger, reg *prometheus.Registry) (err error) {
	say := func(labels map[string]string) {
		e.where.sayNode(byNodeLabels, labels)
		e.place()
	}
	e.pods, err = kubernetes.New(kubernetes.Config{
		Mode: kubernetes.Mode(cfg.kubernetes), Kubeconfig: cfg.kubeconfig, Node: cfg.node, NodeLabels: say, Metrics: reg,
	}, log)
	if errors.Is(err, kubernetes.ErrOff) {
		e.podsOff = err
		return nil
	}
	if err != nil {
		return fmt.Errorf("--kubernetes=%s: %w", cfg.kubernetes, err)
	}
	e.namespaceLabels = cfg.namespaceLabels
	if e.where.incomplete() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if labels, err := e.pods.NodeLabels(ctx); err == nil { // down: its state says so, and run asks again
			say(labels)
		}
	}
	return nil
}

// locate finds the cgroup and the first process of a pod's container.
func (e *eyes) locate(podUID string, id cgroup.ContainerID, path string) (string, int) {
	if path == "" {
		path = e.fs.LocatePod(podUID, id)
	}
	if path == "" {
		return "", 0
	}
	pid, err := e.fs.InitPID(e.fs.PathsFor(path))
	if err != nil {
		return path, 0 // gone again, or of another PID namespace: the network stays unread
	}
	return path, pid
}

// sources are the series besides those of the node and its containers.
func (e *eyes) sources() []sampler.Source {
	all := []sampler.Source{swarmstate.New(swarmstate.Config{Swarm: e.engine.Swarm, Labels: e.table.Identify})}
	if e.pods != nil {
		all = append(all, kubestate.New(kubestate.Config{Cluster: e.pods.Cluster, Labels: e.table.Identify, NamespaceLabels: e.namespaceLabels}))
	}
	return all
}

func (r *report) kubernetes(e *eyes) {
	if e.pods == nil {
		r.good("kubernetes", "%v", e.podsOff)
		return
	}
	for _, state := range e.pods.Probe(context.Background()) {
		if state.Up {
			r.good("kubernetes", "%s at %s", state.Part, e.pods.Host())
		} else {
			r.bad("kubernetes", "%s: %s; without it %s", state.Part, state.Reason, state.Part.Without())
		}
	}
}

func (r *report) conflicts(conflicts []identity.Conflict) {
	for _, c := range conflicts {
		r.bad("identity", "%s", c)
	}
}
