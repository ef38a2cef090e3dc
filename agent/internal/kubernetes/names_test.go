package kubernetes

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
