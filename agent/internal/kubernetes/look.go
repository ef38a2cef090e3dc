package kubernetes

import (
	"context"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// NodeLabels reads the labels of this node once. Config.NodeLabels is not told of them.
func (s *Source) NodeLabels(ctx context.Context) (map[string]string, error) {
	labels, err := s.nodeLabels(ctx)
	s.state.set(Node, s.host, err)
	if err == nil {
		s.nodeMu.Lock()
		defer s.nodeMu.Unlock()
		s.nodeTold = labels
	}
	return labels, err
}

// Look tells the sink the containers that run on this node now, once.
func (s *Source) Look(ctx context.Context, sink Sink) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	list, err := s.clients.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", s.cfg.Node).String()})
	s.state.set(Pods, s.host, err)
	if err != nil {
		return err
	}
	pods := newTracker(sink, time.Now())
	owners := newOwners(s, pods)
	pods.wanted = owners.want
	all := make([]*pod, 0, len(list.Items))
	for i := range list.Items {
		all = append(all, podOf(&list.Items[i]))
	}
	pods.replaced(all, time.Now())
	for w, any := owners.next(); any; w, any = owners.next() {
		owners.ask(ctx, w)
	}
	return nil
}

// Probe asks once for each part, which any agent must be able to ask for should it be elected, and returns the state of all. Reading
// the Lease tells little about writing it, so that right is asked about.
func (s *Source) Probe(ctx context.Context) []State {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	for part, resource := range map[Part]schema.GroupVersionResource{
		Deployments: {Group: "apps", Version: "v1", Resource: "deployments"}, StatefulSets: {Group: "apps", Version: "v1", Resource: "statefulsets"},
		DaemonSets: {Group: "apps", Version: "v1", Resource: "daemonsets"}, Autoscalers: {Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"},
		Quotas: {Version: "v1", Resource: "resourcequotas"}, Namespaces: {Version: "v1", Resource: "namespaces"}, Nodes: {Version: "v1", Resource: "nodes"},
	} {
		_, err := s.metadata.Resource(resource).List(ctx, metav1.ListOptions{Limit: 1})
		s.state.set(part, s.host, err)
	}
	_, err := s.clients.CoordinationV1().Leases(s.namespace).Get(ctx, leaseName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		err = nil
	}
	for _, verb := range [...]string{"create", "update"} {
		if err == nil {
			err = s.may(ctx, verb)
		}
	}
	s.state.set(Lease, s.host, err)
	return s.State()
}

// may asks whether this agent may write the Lease.
func (s *Source) may(ctx context.Context, verb string) error {
	leases := schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}
	asked := authorizationv1.ResourceAttributes{Namespace: s.namespace, Verb: verb, Group: leases.Group, Resource: leases.Resource}
	if verb != "create" {
		asked.Name = leaseName
	}
	review, err := s.clients.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &asked},
	}, metav1.CreateOptions{})
	if err == nil && !review.Status.Allowed {
		err = apierrors.NewForbidden(leases, leaseName, nil)
	}
	return err
}
