package kubernetes

import (
	"encoding/json"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
)

// FuzzCluster: an object of the API server that the elected agent reports, of any kind.
func FuzzCluster(f *testing.F) {
	f.Add([]byte(`{"metadata":{"name":"web","namespace":"shop"},"spec":{"replicas":3,"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"web","image":"nginx"}]}}},"status":{"readyReplicas":2,"updatedReplicas":1}}`))
	f.Add([]byte(`{"metadata":{"name":"web","namespace":"shop"},"spec":{"scaleTargetRef":{"kind":"Deployment","name":"web"},"minReplicas":1,"maxReplicas":5},"status":{"currentReplicas":2}}`))
	f.Add([]byte(`{"metadata":{"name":"q","namespace":"shop"},"status":{"hard":{"requests.cpu":"1500m","pods":"1e400"},"used":{"requests.cpu":"-1"}}}`))
	f.Add([]byte(`{"metadata":{"name":"n1","labels":{"zone":"a"}},"status":{"allocatable":{"cpu":"2","memory":"4Ki"},"conditions":[{"type":"Ready","status":"True"}]}}`))
	f.Fuzz(func(t *testing.T, object []byte) {
		c := newCluster(func() {})
		kinds := []struct {
			into any
			add  func(any) error
		}{
			{&appsv1.Deployment{}, c.deployments.Add}, {&appsv1.StatefulSet{}, c.statefulSets.Add}, {&appsv1.DaemonSet{}, c.daemonSets.Add},
			{&autoscalingv2.HorizontalPodAutoscaler{}, c.autoscalers.Add}, {&corev1.ResourceQuota{}, c.quotas.Add}, {&corev1.Namespace{}, c.namespaces.Add}, {&corev1.Node{}, c.nodes.Add},
		}
		taken := 0
		for _, kind := range kinds {
			if json.Unmarshal(object, kind.into) != nil {
				continue
			}
			if err := kind.add(kind.into); err != nil {
				t.Errorf("%T: %v", kind.into, err)
			}
			taken++
		}
		if kept := len(c.deployments.facts) + len(c.statefulSets.facts) + len(c.daemonSets.facts) + len(c.autoscalers.facts) + len(c.quotas.facts) + len(c.namespaces.facts) + len(c.nodes.facts); kept > taken {
			t.Errorf("%d kept of %d", kept, taken)
		}
	})
}
