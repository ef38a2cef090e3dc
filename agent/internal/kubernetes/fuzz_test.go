package kubernetes

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// FuzzPod: an object of the API server, and the names of the workload that are read off it.
func FuzzPod(f *testing.F) {
	f.Add([]byte(`{"metadata":{"name":"web-5d9c7b6f4-x2x5z","namespace":"shop","uid":"u","labels":{"pod-template-hash":"5d9c7b6f4"},"ownerReferences":[{"kind":"ReplicaSet","name":"web-5d9c7b6f4","controller":true}]},"spec":{"containers":[{"name":"web","image":"nginx","resources":{"limits":{"memory":"1Gi","cpu":"250m"}},"readinessProbe":{}}]},"status":{"containerStatuses":[{"name":"web","containerID":"containerd://abc","ready":true,"restartCount":3,"lastState":{"terminated":{"exitCode":137,"reason":"OOMKilled"}}}]}}`), "web-5d9c7b6f4", "5d9c7b6f4")
	f.Add([]byte(`{"metadata":{"name":"x"},"status":{"containerStatuses":[{"containerID":"no-scheme"}]}}`), "job-28391040", "")
	f.Fuzz(func(t *testing.T, object []byte, name, hash string) {
		if d := deploymentOf(name, hash); d != "" && !strings.HasPrefix(name, d) {
			t.Errorf("the Deployment of %q is %q", name, d)
		}
		if c := cronJobOf(name); c != "" && !strings.HasPrefix(name, c) {
			t.Errorf("the CronJob of %q is %q", name, c)
		}
		var in corev1.Pod
		if json.Unmarshal(object, &in) != nil {
			return
		}
		p := podOf(&in)
		for i := range p.containers {
			p.container(&p.containers[i], "w")
		}
	})
}
