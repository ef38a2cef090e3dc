package kubernetes

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// TestShowTheMemoryOfAnAgentOnAFullNodeOfALargeCluster measures the agent on a node with 110 running pods, as many as a kubelet takes, in a
// cluster with as many others as make it 5,000. The others are objects of the API server alone, of nodes that are not there.
func TestShowTheMemoryOfAnAgentOnAFullNodeOfALargeCluster(t *testing.T) {
	const pods, here = 5000, 110
	c := startMachine(t, showOnly(t))
	c.kubectl("create", "namespace", "large")
	c.kubectl("-n", "large", "create", "deployment", "full", "--image=localhost/plimsoll-bb:1", "--", "sleep", "100000")
	c.kubectl("-n", "large", "patch", "deployment", "full", "--patch", fmt.Sprintf(`{"spec": {"replicas": %d, "template": {"spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "plimsoll-bb", "imagePullPolicy": "Never"}]}}}}`, here))
	began := time.Now()
	c.kubectl("-n", "large", "rollout", "status", "deployment/full", "--timeout=480s")
	t.Logf("%d pods run after %s", here, time.Since(began).Round(time.Second))
	c.do("stop-controllers") // they would delete the pods of nodes that are not there

	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(c.folder, "kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 1000, 1000
	s := &apiserver{t: t, admin: kubernetes.NewForConfigOrDie(config)}
	uid := s.replicaSet("large", "web-7d4b9c6f58", "web")
	for i := range 500 {
		s.replicaSet("large", fmt.Sprintf("app%d-7d4b9c6f58", i), fmt.Sprintf("app%d", i))
	}
	began = time.Now()
	numbers := make(chan int)
	var makers sync.WaitGroup
	for range 8 {
		makers.Go(func() {
			for i := range numbers {
				s.pod("large", fmt.Sprintf("web-7d4b9c6f58-%05d", i), fmt.Sprintf("n-%d", 1+i/here), owned("ReplicaSet", "web-7d4b9c6f58", uid), func(p *corev1.Pod) {
					for l := range 10 {
						p.Labels[fmt.Sprintf("example.com/label-%d", l)] = fmt.Sprintf("value-%d", l)
					}
					p.Labels["pod-template-hash"] = "7d4b9c6f58"
					p.Annotations = map[string]string{"example.com/document": strings.Repeat("x", 4000)}
				})
			}
		})
	}
	for i := range pods - here {
		numbers <- i
	}
	close(numbers)
	makers.Wait()
	list, err := s.admin.CoreV1().Pods("large").List(context.Background(), metav1.ListOptions{Limit: 1})
	s.check(err)
	t.Logf("%d pods, %d of them running on the agent's node, 502 Deployments; the others made in %s", len(list.Items)+int(*list.RemainingItemCount), here, time.Since(began).Round(time.Second))

	agent := startProgram(t, "--node=plimsoll-node", "--kubernetes.kubeconfig="+filepath.Join(c.folder, "agent.kubeconfig"), "--remote-write.url=http://127.0.0.1:1/write", "--docker.host=unix:///nowhere/docker.sock")
	eventually(t, 2*time.Minute, "the agent has its pods and is elected", func() bool {
		return agent.own("plimsoll_agent_containers") == here && agent.own("plimsoll_agent_kubernetes_leader") == 1 && agent.own("kube_deployment_spec_replicas") > 500
	})
	peak, first := 0.0, time.Now()
	for time.Since(first) < 90*time.Second { // six rounds
		peak = max(peak, agent.rssMB())
		time.Sleep(time.Second)
	}
	t.Logf("elected agent: RSS %.1f MB, at most %.1f MB in 90 s; %g containers of %g pods, %g kernel files held open; requests %v", agent.rssMB(), peak, agent.own("plimsoll_agent_containers"),
		agent.own("plimsoll_agent_kubernetes_pods"), agent.own("plimsoll_agent_descriptors"), ownByLabels(agent, "plimsoll_agent_kubernetes_requests_total"))
	if peak > 60 {
		t.Errorf("at most %.1f MB, want 60", peak)
	}
}
