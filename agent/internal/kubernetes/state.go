package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Part is one thing that is asked of the API server.
type Part string

// The parts, and what is missing without them. Those from Lease on concern the elected agent only.
const (
	Pods        Part = "pods"
	Node        Part = "node"
	ReplicaSets Part = "replicasets"
	Jobs        Part = "jobs"
	Lease       Part = "lease"

	Deployments  Part = "deployments"
	StatefulSets Part = "statefulsets"
	DaemonSets   Part = "daemonsets"
	Autoscalers  Part = "horizontalpodautoscalers"
	Quotas       Part = "resourcequotas"
	Namespaces   Part = "namespaces"
	Nodes        Part = "nodes"
)

// Without says what is missing while a part is.
func (p Part) Without() string {
	switch p {
	case Pods:
		return "containers of pods that start now are not shown, known ones stay"
	case Node:
		return "idc and cluster are not read off the node's labels"
	case ReplicaSets:
		return "the Deployment of a pod is read off its name, unconfirmed"
	case Jobs:
		return "the CronJob of a pod is read off its name, unconfirmed"
	case Lease:
		return "this agent can not be elected to report the cluster's objects"
	default:
		return "the series of the cluster's " + string(p) + " are missing"
	}
}

// State says whether a part delivers.
type State struct {
	Part Part
	Up   bool
	// Reason says in one line why it does not. "" when Up.
	Reason string
	// Since is when Up or Reason last changed.
	Since time.Time
}

// parts is the state of all that has been asked for.
type parts struct {
	log *slog.Logger

	mu    sync.Mutex
	known map[Part]State
}

func newParts(log *slog.Logger) *parts { return &parts{log: log, known: map[Part]State{}} }

// State lists the parts that have been asked for, in alphabetical order.
func (s *Source) State() []State {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	list := make([]State, 0, len(s.state.known))
	for _, state := range s.state.known {
		list = append(list, state)
	}
	slices.SortFunc(list, func(a, b State) int { return strings.Compare(string(a.Part), string(b.Part)) })
	return list
}

func (p *parts) up(part Part) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[part].Up
}

// set takes the outcome of a request and logs a change once.
func (p *parts) set(part Part, host string, err error) {
	if errors.Is(err, context.Canceled) {
		return // the agent stops, or is no longer elected
	}
	next := State{Part: part, Up: err == nil, Since: time.Now()}
	if err != nil {
		next.Reason = reason(host, err)
	}
	p.mu.Lock()
	was, known := p.known[part]
	changed := !known || was.Up != next.Up || was.Reason != next.Reason
	if changed {
		p.known[part] = next
	}
	p.mu.Unlock()
	switch {
	case !changed:
	case err != nil:
		p.log.Warn("kubernetes "+string(part)+" unavailable", "reason", next.Reason, "effect", part.Without())
	default:
		p.log.Info("kubernetes "+string(part)+" available", "host", host)
	}
}

// forget drops a part that is not asked for any more.
func (p *parts) forget(part Part) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, part)
}

// reason puts a failure into one line. The same fault gives the same line.
func reason(host string, err error) string {
	var netErr net.Error
	switch {
	case apierrors.IsForbidden(err):
		return "forbidden: grant it as deploy/kubernetes/base/rbac.yaml does"
	case apierrors.IsUnauthorized(err):
		return "unauthorized: the API server does not accept the agent's token or certificate"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens on " + host
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return "no answer from " + host
	case errors.Is(err, syscall.ECONNRESET), strings.Contains(err.Error(), "EOF"):
		return host + " closed the connection: the API server stops or restarts"
	default:
		text := strings.Join(strings.Fields(err.Error()), " ")
		return fmt.Sprintf("%s: %s", host, text[:min(len(text), 300)])
	}
}
