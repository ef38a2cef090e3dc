// Package swarmstate turns what the leading manager says of a Docker Swarm into series: the replicas of its services, under the names and
// labels that workloads of Kubernetes have, and its nodes.
package swarmstate

import (
	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/agent/internal/docker"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/internal/series"
	"github.com/plimsoll/plimsoll/agent/wire"
)

// Config says where the facts come from.
type Config struct {
	// Swarm is asked once a round; it has services and nodes only on the leading manager.
	Swarm func() (docker.Swarm, bool)
	// Labels resolves the identity of a container of a service, so that a service has its tasks' project and workload.
	Labels func(identity.Facts) (identity.Labels, error)
}

// Source is a sampler's source.
type Source struct{ cfg Config }

// New returns a source.
func New(cfg Config) *Source { return &Source{cfg: cfg} }

// Collect puts what the Swarm is made of now.
func (s *Source) Collect(of func(labels ...wire.Label) *series.Set) {
	swarm, _ := s.cfg.Swarm()
	for i := range swarm.Services {
		service := &swarm.Services[i]
		l, err := s.cfg.Labels(facts(service))
		if err != nil { // a name of blanks: nothing to show it under
			continue
		}
		set := of(label("namespace", l.Namespace), label("project", l.Project), label("team", l.Team), label("tier", l.Tier), label("workload", l.Workload))
		set.Add(catalog.WorkloadDesired, float64(service.Desired)) // a Kubernetes that this agent is elected in may have a workload of the same name
		set.Add(catalog.WorkloadReady, float64(service.Ready))
		set.Add(catalog.WorkloadUpdated, float64(service.Updated))
	}
	for _, n := range swarm.Nodes {
		ready := 0.0
		if n.Ready {
			ready = 1
		}
		of(label("node", n.Name)).Put(catalog.SwarmNodeReady, ready)
	}
}

// facts are those of the service's containers, as far as all of them have the same.
func facts(service *docker.Service) identity.Facts {
	f := identity.FromDocker(service.Name, service.Image, "", service.Labels)
	f.Swarm.Service = service.Name
	return f
}

func label(name, value string) wire.Label { return wire.Label{Name: name, Value: value} }
