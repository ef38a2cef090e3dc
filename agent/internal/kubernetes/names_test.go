package kubernetes

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestWorkloadsAreReadOffGeneratedNames(t *testing.T) {
	for _, c := range []struct{ replicaSet, hash, want string }{
		{"web-7d4b9c6f58", "7d4b9c6f58", "web"},
		{"web-7d4b9c6f58", "", "web"}, // made by a controller that sets no pod-template-hash
		{"my-web-v2", "", "my-web-v2"},
		{"web-v2-66c8d9", "66c8d9", "web-v2"},
		{"web", "", "web"},
		{"-7d4b9c6f58", "7d4b9c6f58", "-7d4b9c6f58"},
	} {
		if got := deploymentOf(c.replicaSet, c.hash); got != c.want {
			t.Errorf("ReplicaSet %s, hash %q: %s, want %s", c.replicaSet, c.hash, got, c.want)
		}
	}
	for job, want := range map[string]string{"backup-28912345": "backup", "import-2026": "import-2026", "once": "once"} {
		if got := cronJobOf(job); got != want {
			t.Errorf("Job %s: %s, want %s", job, got, want)
		}
	}
}

func TestAContainerHasItsIDWhicheverRuntimeRunsIt(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	for _, runtime := range []string{"containerd", "cri-o", "docker"} {
		p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a"}}}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			Name: "a", ContainerID: runtime + "://" + id, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ContainerID: runtime + "://" + strings.Repeat("f", 64)}},
		}}}}
		k := podOf(p).containers[0]
		if string(k.id) != id || !k.running || string(k.ends[1].id) != strings.Repeat("f", 64) {
			t.Errorf("%s: %+v", runtime, k)
		}
	}
}

func TestRequestsAreCountedByVerbAndResource(t *testing.T) {
	for request, want := range map[string]string{
		"GET /api/v1/pods?fieldSelector=x":                           "list pods",
		"GET /api/v1/pods?watch=true":                                "watch pods",
		"GET /api/v1/nodes/n1":                                       "get nodes",
		"GET /api/v1/namespaces?limit=1":                             "list namespaces",
		"GET /apis/apps/v1/namespaces/shop/replicasets/web-1":        "get replicasets",
		"PUT /apis/coordination.k8s.io/v1/namespaces/p/leases/agent": "update leases",
		"POST /apis/coordination.k8s.io/v1/namespaces/p/leases":      "create leases",
		"GET /version": "get other",
		"POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews": "create selfsubjectaccessreviews",
	} {
		method, url, _ := strings.Cut(request, " ")
		verb, resource := asked(httptest.NewRequest(method, url, http.NoBody))
		if verb+" "+resource != want {
			t.Errorf("%s: %s %s, want %s", request, verb, resource, want)
		}
	}
}

func TestWhereTheAPIServerIs(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, _, err := connection(Off, "/any"); !errors.Is(err, ErrOff) {
		t.Errorf("off: %v", err)
	}
	if _, _, err := connection(Auto, ""); !errors.Is(err, ErrOff) || !strings.Contains(err.Error(), "--kubernetes.kubeconfig") {
		t.Errorf("auto without anything: %v", err)
	}
	if _, _, err := connection(On, ""); err == nil || errors.Is(err, ErrOff) {
		t.Errorf("on without anything: %v", err)
	}
	if _, _, err := connection(Auto, "/does/not/exist"); err == nil || errors.Is(err, ErrOff) || !strings.Contains(err.Error(), "/does/not/exist") {
		t.Errorf("a kubeconfig that is not there: %v", err)
	}
	if _, err := ParseMode("yes"); err == nil {
		t.Error("mode yes is accepted")
	}
}
