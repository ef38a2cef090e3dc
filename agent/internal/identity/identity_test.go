package identity

import (
	"errors"
	"maps"
	"strings"
	"testing"
)

func TestLabelsOfAContainer(t *testing.T) {
	const id = "/docker/4f2d"
	node := Node{IDC: "bj1", Cluster: "edge", Node: "n7"}
	for _, c := range []struct {
		sentence string
		facts    Facts
		want     Labels
	}{
		{
			"a plain container is its own workload, in no namespace, in no pod",
			FromDocker("/redis", "redis:7", id, nil),
			Labels{Workload: "redis", Container: "redis", Name: "redis", Image: "redis:7", Project: "unassigned"},
		},
		{
			"a compose container is in its project's namespace, its service is the workload, its own name the container",
			FromDocker("/shop-web-1", "shop-web", id, map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}),
			Labels{Namespace: "shop", Workload: "web", Container: "shop-web-1", Name: "shop-web-1", Image: "shop-web", Project: "shop"},
		},
		{
			"a compose container without a service label is its own workload",
			FromDocker("/odd", "shop-web", id, map[string]string{"com.docker.compose.project": "shop"}),
			Labels{Namespace: "shop", Workload: "odd", Container: "odd", Name: "odd", Image: "shop-web", Project: "shop"},
		},
		{
			"a task of a stack's service: stack is the namespace, service the workload and container, service.slot the pod",
			FromDocker("/shop_web.2.k3jd9", "web:1@sha256:aa", id, map[string]string{
				"com.docker.stack.namespace": "shop", "com.docker.swarm.service.name": "shop_web",
				"com.docker.swarm.task.name": "shop_web.2.k3jd9", "com.docker.swarm.task.id": "k3jd9", "com.docker.swarm.node.id": "nnn",
			}),
			Labels{Namespace: "shop", Workload: "web", Pod: "shop_web.2", Container: "shop_web", Name: "shop_web.2.k3jd9", Image: "web:1@sha256:aa", Project: "shop"},
		},
		{
			"a task of a service without a stack has no namespace",
			FromDocker("/web.1.k3jd9", "web:1", id, map[string]string{"com.docker.swarm.service.name": "web", "com.docker.swarm.task.name": "web.1.k3jd9"}),
			Labels{Workload: "web", Pod: "web.1", Container: "web", Name: "web.1.k3jd9", Image: "web:1", Project: "unassigned"},
		},
		{
			"a task of a global service has the node's ID for its slot",
			FromDocker("/agent.nodeid.k3jd9", "a:1", id, map[string]string{"com.docker.swarm.service.name": "agent", "com.docker.swarm.task.name": "agent.nodeid.k3jd9", "com.docker.swarm.task.id": "k3jd9"}),
			Labels{Workload: "agent", Pod: "agent.nodeid", Container: "agent", Name: "agent.nodeid.k3jd9", Image: "a:1", Project: "unassigned"},
		},
		{
			"a container of a pod, as cri-dockerd labels it, belongs to the Deployment its pod's name tells",
			FromDocker("/k8s_app_api-7d4b9c6f58-x2x5z_shop_uid_0", "api:3", id, map[string]string{
				"io.kubernetes.pod.name": "api-7d4b9c6f58-x2x5z", "io.kubernetes.pod.namespace": "shop",
				"io.kubernetes.container.name": "app", "io.kubernetes.docker.type": "container",
			}),
			Labels{Namespace: "shop", Workload: "api", Pod: "api-7d4b9c6f58-x2x5z", Container: "app", Name: "k8s_app_api-7d4b9c6f58-x2x5z_shop_uid_0", Image: "api:3", Project: "shop"},
		},
		{
			"what the Kubernetes API says of the owner goes before the pod's name",
			Facts{Name: "n", Kubernetes: KubernetesFacts{Namespace: "shop", Pod: "api-7d4b9c6f58-x2x5z", Container: "app", Workload: "api-v2"}, CgroupPath: id},
			Labels{Namespace: "shop", Workload: "api-v2", Pod: "api-7d4b9c6f58-x2x5z", Container: "app", Name: "n", Project: "shop"},
		},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			c.want.ID = id
			c.want.IDC, c.want.Cluster, c.want.Node = "bj1", "edge", "n7"
			got, mended, err := Resolver{Node: node}.Labels(c.facts)
			if err != nil || mended != (Mended{}) {
				t.Fatalf("mended %+v, error %v", mended, err)
			}
			if got != c.want {
				t.Errorf("\n got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestWhatHasNoLabels(t *testing.T) {
	for sentence, c := range map[string]struct {
		facts Facts
		want  error
	}{
		"a pod's sandbox by its type":           {FromDocker("/k8s_POD_x", "pause", "/x", map[string]string{"io.kubernetes.docker.type": "podsandbox"}), ErrSandbox},
		"a pod's sandbox by its container name": {FromDocker("/k8s_POD_x", "pause", "/x", map[string]string{"io.kubernetes.container.name": "POD"}), ErrSandbox},
		"a container nothing names":             {Facts{CgroupPath: "/docker/4f2d"}, ErrNameless},
		"a container whose name is blank":       {Facts{Name: " \t"}, ErrNameless},
	} {
		t.Run(sentence, func(t *testing.T) {
			if l, _, err := (Resolver{}).Labels(c.facts); !errors.Is(err, c.want) {
				t.Errorf("got %+v, error %v; want error %v", l, err, c.want)
			}
		})
	}
}

func TestTheOwnerIsReadOffThePodsName(t *testing.T) {
	for pod, want := range map[string]string{
		"api-7d4b9c6f58-x2x5z":      "api",
		"two-words-5f9b8c7d6-abcde": "two-words-5f9b8c7d6-abcde", // a and e are never generated
		"backup-28912345-x2x5z":     "backup",
		"agent-x2x5z":               "agent",
		"db-0":                      "db",
		"db-12":                     "db",
		"etcd-node1":                "etcd-node1",
		"web-proxy":                 "web-proxy",
		"alone":                     "alone",
		"-":                         "-",
		"":                          "",
	} {
		if got := ownerOfPod(pod); got != want {
			t.Errorf("pod %q: owner %q, want %q", pod, got, want)
		}
	}
}

func TestAServiceOfAStackIsCalledWhatTheStacksFileCallsIt(t *testing.T) {
	for _, c := range [...]struct{ stack, service, workload string }{
		{"shop", "shop_web", "web"},
		{"shop", "shop_web_v2", "web_v2"},
		{"", "shop_web", "shop_web"},       // made without a stack
		{"shop", "other_web", "other_web"}, // a label that someone copied
		{"shop", "shop_", "shop_"},
		{"shop", "shopweb", "shopweb"},
	} {
		if got := (SwarmFacts{Stack: c.stack, Service: c.service}).workload(); got != c.workload {
			t.Errorf("service %s of stack %q: workload %q, want %q", c.service, c.stack, got, c.workload)
		}
	}
}

func TestASwarmSlotIsTheTaskNameWithoutItsTask(t *testing.T) {
	for _, c := range [][3]string{
		{"web.1.abc", "abc", "web.1"},
		{"web.1.abc", "", "web.1"},
		{"web.1.abc", "other", "web.1"},
		{"web.node9.abc", "abc", "web.node9"},
		{"web.1", "", "web.1"},
		{"", "abc", ""},
	} {
		if got := swarmSlot(c[0], c[1]); got != c[2] {
			t.Errorf("task name %q, id %q: %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

func TestValuesAreMadeFitForALabel(t *testing.T) {
	long := strings.Repeat("界", 201)
	for _, c := range []struct {
		sentence, in, want string
		mended             Mended
	}{
		{"a good value stays", "web", "web", Mended{}},
		{"blanks around it go", " web\n", "web", Mended{}},
		{"bytes that are no UTF-8 are replaced", "w\xff\xfeb", "w\uFFFDb", Mended{Sanitised: 1}},
		{"control characters are replaced", "w\x00e\nb", "w\uFFFDe\uFFFDb", Mended{Sanitised: 1}},
		{"200 characters stay, however many bytes", long[:200*3], long[:200*3], Mended{}},
		{"the 201st is cut and counted, and a hash tells it from others", long, strings.Repeat("界", 191) + "~d86f888f", Mended{Truncated: 1}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			got := c.in
			var mended Mended
			if mended.clean(&got, maxValueRunes); got != c.want || mended != c.mended {
				t.Errorf("got %q, %+v; want %q, %+v", got, mended, c.want, c.mended)
			}
		})
	}
}

func TestLongValuesThatDifferOnlyPastTheCutStayDifferent(t *testing.T) {
	a, b := strings.Repeat("x", 300)+"a", strings.Repeat("x", 300)+"b"
	var mended Mended
	mended.clean(&a, maxValueRunes)
	mended.clean(&b, maxValueRunes)
	if a == b || len(a) != maxValueRunes || len(b) != maxValueRunes {
		t.Errorf("%q and %q", a, b)
	}
}

func TestTruncationIsCountedPerValue(t *testing.T) {
	_, mended, err := (Resolver{}).Labels(Facts{Name: strings.Repeat("a", 300), Image: strings.Repeat("b", 300), CgroupPath: strings.Repeat("c", 300)})
	if err != nil || mended != (Mended{Truncated: 4}) { // workload, container, name, image; a path of 300 is fine
		t.Errorf("mended %+v, error %v; want 4 truncated", mended, err)
	}
}

func TestAllLeavesEmptyLabelsOut(t *testing.T) {
	got := maps.Collect(Labels{Project: "p", Container: "c", ID: "/x"}.All())
	want := map[string]string{"project": "p", "container": "c", "id": "/x"}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestLabelsOfTwoRuntimesAreAContradictionAndKubernetesGoesFirst(t *testing.T) {
	copied := map[string]string{"io.kubernetes.pod.name": "db-0", "io.kubernetes.pod.namespace": "shop", "io.kubernetes.container.name": "db", "com.docker.compose.project": "copied"}
	f := FromDocker("/k8s_db", "db:1", "/x", copied)
	l, _, err := (Resolver{}).Labels(f)
	if err != nil || !f.Contradictory() || l.Namespace != "shop" || l.Workload != "db" {
		t.Errorf("%+v, contradictory %v, error %v", l, f.Contradictory(), err)
	}
	if FromDocker("/a", "a", "/x", map[string]string{"com.docker.compose.project": "p"}).Contradictory() {
		t.Error("one runtime contradicts itself")
	}
}
