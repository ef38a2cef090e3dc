package kubernetes

import (
	"context"
	"maps"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// Workload is a Deployment, StatefulSet or DaemonSet. Labels and Annotations are those of its pods' template.
type Workload struct {
	Kind                    string
	Namespace, Name         string
	Container, Image        string // of the first container
	Labels, Annotations     map[string]string
	Desired, Ready, Updated int32
}

// Autoscaler is a HorizontalPodAutoscaler.
type Autoscaler struct {
	Namespace, Name        string
	TargetKind, TargetName string
	Min, Max               int32
	Current, Desired       int32
}

// Quota is a ResourceQuota: what is allowed and used, by resource ("requests.cpu"), in the resource's base unit.
type Quota struct {
	Namespace, Name string
	Hard, Used      map[string]float64
}

// Namespace is a namespace with its labels.
type Namespace struct {
	Name   string
	Labels map[string]string
}

// ClusterNode is a node of the cluster.
type ClusterNode struct {
	Name        string
	Labels      map[string]string
	Allocatable map[string]float64 // by resource, in its base unit: cores, bytes, count
	Conditions  map[string]string  // type -> True, False, Unknown
}

// mostObjects bounds the objects of one kind that are kept.
const mostObjects = 50_000

// collection keeps what fact makes of every object of one kind.
type collection[F any] struct {
	fact    func(object any) (key string, f F, ok bool)
	refused func()

	mu    sync.Mutex
	facts map[string]F
}

var _ cache.TransformingStore = (*collection[Quota])(nil)

func newCollection[F any](fact func(object any) (string, F, bool), refused func()) *collection[F] {
	return &collection[F]{fact: fact, refused: refused, facts: map[string]F{}}
}

// Add keeps one object.
func (c *collection[F]) Add(object any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(object)
	return nil
}

func (c *collection[F]) add(object any) {
	key, f, ok := c.fact(object)
	if _, known := c.facts[key]; ok && !known && len(c.facts) >= mostObjects {
		c.refused()
		return
	}
	if ok {
		c.facts[key] = f
	}
}

// Update keeps one object's newest state.
func (c *collection[F]) Update(object any) error { return c.Add(object) }

// Delete forgets one object.
func (c *collection[F]) Delete(object any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if key, _, ok := c.fact(object); ok {
		delete(c.facts, key)
	}
	return nil
}

// Replace keeps these objects and forgets all others.
func (c *collection[F]) Replace(objects []any, _ string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.facts)
	for _, o := range objects {
		c.add(o)
	}
	return nil
}

// Resync has nothing to do.
func (c *collection[F]) Resync() error { return nil }

// Transformer trims what the reflector holds while it collects a first list.
func (c *collection[F]) Transformer() cache.TransformFunc {
	return func(object any) (any, error) {
		if o, ok := object.(metav1.Object); ok {
			o.SetManagedFields(nil)
		}
		return object, nil
	}
}

func (c *collection[F]) each(yield func(F)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.facts {
		yield(f)
	}
}

func (c *collection[F]) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.facts)
}

// cluster is what the elected agent knows of the cluster.
type cluster struct {
	deployments, statefulSets, daemonSets *collection[Workload]
	autoscalers                           *collection[Autoscaler]
	quotas                                *collection[Quota]
	namespaces                            *collection[Namespace]
	nodes                                 *collection[ClusterNode]
}

func newCluster(refused func()) *cluster {
	return &cluster{
		deployments: newCollection(deploymentFact, refused), statefulSets: newCollection(statefulSetFact, refused), daemonSets: newCollection(daemonSetFact, refused),
		autoscalers: newCollection(autoscalerFact, refused), quotas: newCollection(quotaFact, refused),
		namespaces: newCollection(namespaceFact, refused), nodes: newCollection(nodeFact, refused),
	}
}

// Cluster is a snapshot of the cluster's objects. Its maps are shared: read only.
type Cluster struct {
	Workloads   []Workload
	Autoscalers []Autoscaler
	Quotas      []Quota
	Namespaces  []Namespace
	Nodes       []ClusterNode
}

// Cluster returns what the cluster is made of; empty unless this agent is elected.
func (s *Source) Cluster() Cluster {
	var c Cluster
	if !s.metrics.leads.Load() {
		return c
	}
	for _, workloads := range []*collection[Workload]{s.cluster.deployments, s.cluster.statefulSets, s.cluster.daemonSets} {
		workloads.each(func(w Workload) { c.Workloads = append(c.Workloads, w) })
	}
	s.cluster.autoscalers.each(func(a Autoscaler) { c.Autoscalers = append(c.Autoscalers, a) })
	s.cluster.quotas.each(func(q Quota) { c.Quotas = append(c.Quotas, q) })
	s.cluster.namespaces.each(func(n Namespace) { c.Namespaces = append(c.Namespaces, n) })
	s.cluster.nodes.each(func(n ClusterNode) { c.Nodes = append(c.Nodes, n) })
	return c
}

// followCluster follows every kind until ctx ends, then forgets everything: another agent reports it now.
func (s *Source) followCluster(ctx context.Context) {
	var all sync.WaitGroup
	apps, core := s.clients.AppsV1(), s.clients.CoreV1()
	start := func(part Part, example runtime.Object, store interface {
		cache.ReflectorStore
		reset()
	}, list func(context.Context, metav1.ListOptions) (runtime.Object, error), watcher func(context.Context, metav1.ListOptions) (watch.Interface, error)) {
		all.Go(func() {
			s.follow(ctx, part, example, store, list, watcher)
			store.reset()
			s.state.forget(part)
		})
	}
	deployments := apps.Deployments("")
	start(Deployments, &appsv1.Deployment{}, s.cluster.deployments, lister(deployments.List), deployments.Watch)
	statefulSets := apps.StatefulSets("")
	start(StatefulSets, &appsv1.StatefulSet{}, s.cluster.statefulSets, lister(statefulSets.List), statefulSets.Watch)
	daemonSets := apps.DaemonSets("")
	start(DaemonSets, &appsv1.DaemonSet{}, s.cluster.daemonSets, lister(daemonSets.List), daemonSets.Watch)
	autoscalers := s.clients.AutoscalingV2().HorizontalPodAutoscalers("")
	start(Autoscalers, &autoscalingv2.HorizontalPodAutoscaler{}, s.cluster.autoscalers, lister(autoscalers.List), autoscalers.Watch)
	quotas := core.ResourceQuotas("")
	start(Quotas, &corev1.ResourceQuota{}, s.cluster.quotas, lister(quotas.List), quotas.Watch)
	namespaces := s.metadata.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	start(Namespaces, &metav1.PartialObjectMetadata{}, s.cluster.namespaces, lister(namespaces.List), namespaces.Watch)
	nodes := core.Nodes()
	start(Nodes, &corev1.Node{}, s.cluster.nodes, lister(nodes.List), nodes.Watch)
	all.Wait()
}

// lister loses the type of a list.
func lister[L runtime.Object](list func(context.Context, metav1.ListOptions) (L, error)) func(context.Context, metav1.ListOptions) (runtime.Object, error) {
	return func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return list(ctx, o) }
}

func key(o metav1.Object) string { return o.GetNamespace() + "/" + o.GetName() }

func ofTemplate(kind string, o metav1.Object, t *corev1.PodTemplateSpec) Workload {
	w := Workload{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName(), Labels: t.Labels}
	for name, value := range t.Annotations {
		if len(value) <= longestAnnotation {
			if w.Annotations == nil {
				w.Annotations = map[string]string{}
			}
			w.Annotations[name] = value
		}
	}
	if len(t.Spec.Containers) > 0 {
		w.Container, w.Image = t.Spec.Containers[0].Name, t.Spec.Containers[0].Image
	}
	return w
}

func deploymentFact(object any) (string, Workload, bool) {
	o, ok := object.(*appsv1.Deployment)
	if !ok {
		return "", Workload{}, false
	}
	w := ofTemplate("Deployment", o, &o.Spec.Template)
	w.Desired, w.Ready, w.Updated = orOne(o.Spec.Replicas), o.Status.ReadyReplicas, o.Status.UpdatedReplicas
	return key(o), w, true
}

func statefulSetFact(object any) (string, Workload, bool) {
	o, ok := object.(*appsv1.StatefulSet)
	if !ok {
		return "", Workload{}, false
	}
	w := ofTemplate("StatefulSet", o, &o.Spec.Template)
	w.Desired, w.Ready, w.Updated = orOne(o.Spec.Replicas), o.Status.ReadyReplicas, o.Status.UpdatedReplicas
	return key(o), w, true
}

func daemonSetFact(object any) (string, Workload, bool) {
	o, ok := object.(*appsv1.DaemonSet)
	if !ok {
		return "", Workload{}, false
	}
	w := ofTemplate("DaemonSet", o, &o.Spec.Template)
	w.Desired, w.Ready, w.Updated = o.Status.DesiredNumberScheduled, o.Status.NumberReady, o.Status.UpdatedNumberScheduled
	return key(o), w, true
}

func orOne(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

func autoscalerFact(object any) (string, Autoscaler, bool) {
	o, ok := object.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok {
		return "", Autoscaler{}, false
	}
	return key(o), Autoscaler{
		Namespace: o.Namespace, Name: o.Name, TargetKind: o.Spec.ScaleTargetRef.Kind, TargetName: o.Spec.ScaleTargetRef.Name,
		Min: orOne(o.Spec.MinReplicas), Max: o.Spec.MaxReplicas, Current: o.Status.CurrentReplicas, Desired: o.Status.DesiredReplicas,
	}, true
}

func quotaFact(object any) (string, Quota, bool) {
	o, ok := object.(*corev1.ResourceQuota)
	if !ok {
		return "", Quota{}, false
	}
	return key(o), Quota{Namespace: o.Namespace, Name: o.Name, Hard: amounts(o.Status.Hard), Used: amounts(o.Status.Used)}, true
}

func amounts(list corev1.ResourceList) map[string]float64 {
	m := make(map[string]float64, len(list))
	for name, amount := range list {
		m[string(name)] = amount.AsApproximateFloat64()
	}
	return m
}

func namespaceFact(object any) (string, Namespace, bool) {
	o, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return "", Namespace{}, false
	}
	return o.Name, Namespace{Name: o.Name, Labels: maps.Clone(o.Labels)}, true
}

func nodeFact(object any) (string, ClusterNode, bool) {
	o, ok := object.(*corev1.Node)
	if !ok {
		return "", ClusterNode{}, false
	}
	n := ClusterNode{Name: o.Name, Labels: o.Labels, Allocatable: amounts(o.Status.Allocatable), Conditions: map[string]string{}}
	for _, c := range o.Status.Conditions {
		n.Conditions[string(c.Type)] = string(c.Status)
	}
	return o.Name, n, true
}
