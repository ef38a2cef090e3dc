// Package kubestate turns what the elected agent knows of a Kubernetes cluster into series: under the names of kube-state-metrics where it
// has one, and as the replicas of workloads with their project for the rules.
package kubestate

import (
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/internal/kubernetes"
	"github.com/plimsoll/plimsoll/agent/internal/series"
	"github.com/plimsoll/plimsoll/agent/wire"
)

// Config says where the facts come from.
type Config struct {
	// Cluster is asked once a round; empty unless this agent is elected.
	Cluster func() kubernetes.Cluster
	// Labels resolves the identity of a container of a workload, so that a workload has its pods' project.
	Labels func(identity.Facts) (identity.Labels, error)
	// NamespaceLabels are the labels of namespaces to pass on.
	NamespaceLabels []string
}

// Source is a sampler's source.
type Source struct{ cfg Config }

// New returns a source.
func New(cfg Config) *Source { return &Source{cfg: cfg} }

// Of returns the set of the series with these labels.
type Of = func(labels ...wire.Label) *series.Set

// Collect puts what the cluster is made of now.
func (s *Source) Collect(of func(labels ...wire.Label) *series.Set) {
	c := s.cfg.Cluster()
	known := make(map[target]identity.Labels, len(c.Workloads))
	for i := range c.Workloads {
		w := &c.Workloads[i]
		l := s.identify(w)
		known[target{w.Kind, w.Namespace, w.Name}] = l
		workload(of, w, l)
	}
	for _, a := range c.Autoscalers {
		l, found := known[target{a.TargetKind, a.Namespace, a.TargetName}]
		if !found { // of a kind that is not followed
			l = s.identify(&kubernetes.Workload{Namespace: a.Namespace, Name: a.TargetName})
		}
		autoscaler(of, a, l)
	}
	for _, q := range c.Quotas {
		set := of(label("namespace", q.Namespace), label("resourcequota", q.Name))
		for resource, amount := range q.Hard {
			set.PutFor(catalog.KubeResourceQuota, resource+",hard", amount)
		}
		for resource, amount := range q.Used {
			set.PutFor(catalog.KubeResourceQuota, resource+",used", amount)
		}
	}
	for _, n := range c.Namespaces {
		of(s.namespaceLabels(n)...).Put(catalog.KubeNamespaceLabels, 1)
	}
	for _, n := range c.Nodes {
		node(of, n)
	}
}

type target struct{ kind, namespace, name string }

func label(name, value string) wire.Label { return wire.Label{Name: name, Value: value} }

// identify gives a workload the labels its containers have.
func (s *Source) identify(w *kubernetes.Workload) identity.Labels {
	facts := identity.Facts{
		Image: w.Image, Labels: w.Labels, Annotations: w.Annotations,
		Kubernetes: identity.KubernetesFacts{Namespace: w.Namespace, Workload: w.Name, Pod: w.Name, Container: w.Container},
	}
	if w.Container == "" {
		facts.Kubernetes.Container = w.Name
	}
	l, err := s.cfg.Labels(facts)
	if err != nil { // a name of blanks: nothing to show it under but what the API server says
		return identity.Labels{Namespace: w.Namespace, Workload: w.Name}
	}
	return l
}

// workload puts replicas under a workload's own identity, and the object's names as kube-state-metrics has them.
func workload(of Of, w *kubernetes.Workload, l identity.Labels) {
	ids := map[string]struct {
		label                   string
		desired, ready, updated catalog.ID
	}{
		"Deployment":  {"deployment", catalog.KubeDeploymentDesired, catalog.KubeDeploymentReady, catalog.KubeDeploymentUpdated},
		"StatefulSet": {"statefulset", catalog.KubeStatefulSetDesired, catalog.KubeStatefulSetReady, catalog.KubeStatefulSetUpdated},
		"DaemonSet":   {"daemonset", catalog.KubeDaemonSetDesired, catalog.KubeDaemonSetReady, catalog.KubeDaemonSetUpdated},
	}[w.Kind]
	set := of(label(ids.label, w.Name), label("namespace", w.Namespace))
	set.Put(ids.desired, float64(w.Desired))
	set.Put(ids.ready, float64(w.Ready))
	set.Put(ids.updated, float64(w.Updated))

	set = of(workloadLabels(l)...) // another kind, or a Swarm that this agent leads, may have a workload of the same name
	set.Add(catalog.WorkloadDesired, float64(w.Desired))
	set.Add(catalog.WorkloadReady, float64(w.Ready))
	set.Add(catalog.WorkloadUpdated, float64(w.Updated))
}

// workloadLabels are the labels of a workload; empty ones are left out by the set.
func workloadLabels(l identity.Labels) []wire.Label {
	return []wire.Label{label("namespace", l.Namespace), label("project", l.Project), label("team", l.Team), label("tier", l.Tier), label("workload", l.Workload)}
}

func autoscaler(of Of, a kubernetes.Autoscaler, l identity.Labels) {
	set := of(label("horizontalpodautoscaler", a.Name), label("namespace", a.Namespace))
	set.Put(catalog.KubeHPAMin, float64(a.Min))
	set.Put(catalog.KubeHPAMax, float64(a.Max))
	set.Put(catalog.KubeHPACurrent, float64(a.Current))
	set.Put(catalog.KubeHPADesired, float64(a.Desired))
	of(workloadLabels(l)...).Put(catalog.WorkloadAtMax, truth(a.Current >= a.Max))
}

func (s *Source) namespaceLabels(n kubernetes.Namespace) []wire.Label {
	labels := []wire.Label{label("namespace", n.Name)}
	for _, name := range s.cfg.NamespaceLabels {
		if value := n.Labels[name]; value != "" {
			labels = append(labels, label("label_"+sanitise(name), value))
		}
	}
	return labels
}

// sanitise makes a label's name fit for Prometheus, as kube-state-metrics does.
func sanitise(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, name)
}

func node(of Of, n kubernetes.ClusterNode) {
	set := of(label("node", n.Name))
	for resource, amount := range n.Allocatable {
		set.PutFor(catalog.KubeNodeAllocatable, sanitise(resource)+","+unit(resource), amount)
	}
	for condition, is := range n.Conditions {
		for _, status := range [...]string{"True", "False", "Unknown"} {
			set.PutFor(catalog.KubeNodeCondition, condition+","+strings.ToLower(status), truth(is == status))
		}
	}
}

// unit is kube-state-metrics' name for the unit of a resource.
func unit(resource string) string {
	switch {
	case resource == "cpu":
		return "core"
	case slices.Contains([]string{"memory", "ephemeral-storage", "storage"}, resource), strings.HasPrefix(resource, "hugepages-"):
		return "byte"
	default:
		return "integer"
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
