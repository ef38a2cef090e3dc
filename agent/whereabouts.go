package main

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/docker"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/internal/sampler"
)

// whereabouts settles idc and cluster from those who say something about them: the flags, the labels of the Kubernetes node, those of
// the Swarm node (which managers alone are told), the labels of the Docker engine, the place of the agent's token on the collector that
// serves the project map, in this order.
type whereabouts struct {
	name    string
	changed chan struct{}
	shown   identity.Node // what the parts were built with
	keys    [2][]string   // labels of a node that name the idc and the cluster

	mu     sync.Mutex
	claims [5]identity.Claim
}

// The places in claims.
const (
	byFlags = iota
	byNodeLabels
	bySwarm
	byEngine
	byToken
)

func newWhereabouts(cfg config, reg *prometheus.Registry) *whereabouts {
	w := &whereabouts{name: cfg.node, keys: [2][]string{cfg.idcNodeLabel, cfg.clusterNodeLabel}, changed: make(chan struct{}, 1)}
	w.claims = [...]identity.Claim{{Source: "the flags", IDC: cfg.idc, Cluster: cfg.cluster}, {Source: "the node's labels"}, {Source: "the Swarm node's labels"}, {Source: "the engine's labels"}, {Source: "the place of the token on the collector"}}
	for _, label := range [...]string{"idc", "cluster"} {
		labels := prometheus.Labels{"label": label}
		reg.MustRegister(
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plimsoll_agent_identity_conflict", Help: "1 when two of flags, node labels, Swarm node labels, engine labels and the token's place disagree on the label; doctor names them.", ConstLabels: labels}, func() float64 {
				_, conflicts := w.settle()
				for _, c := range conflicts {
					if c.Label == label {
						return 1
					}
				}
				return 0
			}),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plimsoll_agent_identity_missing", Help: "1 when nobody says the label.", ConstLabels: labels}, func() float64 {
				n, _ := w.settle()
				if label == "idc" && n.IDC == "" || label == "cluster" && n.Cluster == "" {
					return 1
				}
				return 0
			}))
	}
	return w
}

func (w *whereabouts) settle() (identity.Node, []identity.Conflict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return identity.Settle(w.name, w.claims[:])
}

func (w *whereabouts) node() identity.Node {
	n, _ := w.settle()
	return n
}

// incomplete says that idc or cluster is open.
func (w *whereabouts) incomplete() bool {
	n := w.node()
	return n.IDC == "" || n.Cluster == ""
}

// say takes what one source says now.
func (w *whereabouts) say(by int, idc, cluster string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := &w.claims[by]; c.IDC != idc || c.Cluster != cluster {
		c.IDC, c.Cluster = idc, cluster
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}

// sayNode takes what the labels of a node say now.
func (w *whereabouts) sayNode(by int, labels map[string]string) {
	w.say(by, identity.FirstOf(labels, w.keys[0]), identity.FirstOf(labels, w.keys[1]))
}

// connected takes what an engine says of where it is, before it tells its containers.
func (e *eyes) connected(info docker.Info, swarm docker.Swarm) {
	e.where.say(byEngine, info.Labels["idc"], info.Labels["cluster"])
	e.where.sayNode(bySwarm, swarm.NodeLabels)
	e.place()
}

// place gives the containers that are told from now on what is known of where they are. learn does it for everything else.
func (e *eyes) place() {
	if e.table != nil { // at the start it is made with what is known
		e.table.SetNode(e.where.node(), time.Now())
	}
}

// learn relabels everything when what is said changes: an engine or an API server that was down at the start, a node relabelled.
func (e *eyes) learn(ctx context.Context, sampling *sampler.Sampler) error {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	shown := e.where.shown
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.where.changed:
		case <-tick.C:
			if info, connected := e.engine.Info(); connected {
				e.where.say(byEngine, info.Labels["idc"], info.Labels["cluster"])
			}
			if swarm, asked := e.engine.Swarm(); asked {
				e.where.sayNode(bySwarm, swarm.NodeLabels)
			}
		}
		if now := e.where.node(); now != shown {
			shown = now
			e.table.SetNode(now, time.Now())
			sampling.SetNode(now)
		}
	}
}
