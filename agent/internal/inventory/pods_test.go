package inventory

import (
	"testing"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/docker"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/internal/kubernetes"
)

// podWeb is container id of pod web-0 in namespace shop, made and started at the given minute.
func podWeb(id string, at float64, restarts int) kubernetes.Container {
	return kubernetes.Container{
		ID: cgroup.ContainerID(id), PodUID: "uid-1", Namespace: "shop", Pod: "web-0", Name: "web", Workload: "web", Image: "web:1",
		OwnsNetwork: true, Created: minute(at), StartedAt: minute(at), RestartCount: restarts, Health: kubernetes.NoProbe,
	}
}

func TestAContainerOfAPodIsBornWithTheProcessTheTreeShows(t *testing.T) {
	table := newTable(t, Config{Locate: func(uid string, id cgroup.ContainerID, path string) (string, int) {
		return "/kubepods/pod" + uid + "/" + string(id), 4711
	}})
	c := podWeb("a", 1, 0)
	c.Labels = map[string]string{"project": "till"}
	c.Resources = kubernetes.Resources{CPURequestCores: 0.5, MemoryLimitBytes: 1 << 20}
	table.Pods().Started(c, minute(1))
	live := table.Live(nil)
	if len(live) != 1 {
		t.Fatalf("%d live", len(live))
	}
	want := identity.Labels{Project: "till", Namespace: "shop", Workload: "web", Pod: "web-0", Container: "web", Image: "web:1", ID: "/kubepods/poduid-1/a"}
	if live[0].Labels != want || live[0].PID != 4711 || live[0].Resources.CPURequestCores != 0.5 || !live[0].OwnNetwork() {
		t.Errorf("got %+v", live[0])
	}
}

func TestTheProcessOfAPodsContainerIsFoundLateWhereTheTreeHasToShowIt(t *testing.T) {
	table := newTable(t, Config{Locate: func(_ string, _ cgroup.ContainerID, path string) (string, int) {
		if path == "" {
			return "", 0
		}
		return path, 4711
	}})
	table.Pods().Started(podWeb("a", 1, 0), minute(1))
	happened(table)
	table.SawTree([]cgroup.Found{{Ref: cgroup.Ref{ID: "a", PodUID: "uid-1"}, Path: "/odd/uid-1/a"}}, minute(2))
	table.locateRest(minute(2))
	want(t, happened(table), "relabelled a web", "relabelled a web")
	if c := table.Live(nil)[0]; c.PID != 4711 || c.Labels.ID != "/odd/uid-1/a" {
		t.Errorf("got %+v", c)
	}
}

func TestRestartsOfAPodsContainerAreThePodsOwnCount(t *testing.T) {
	table := newTable(t, Config{})
	pods := table.Pods()
	pods.Started(podWeb("a", 1, 2), minute(1)) // made under our eyes, two restarts were missed
	wantCounts(t, table, "live 1 oom 0 restarts 2")
	pods.Died("a", minute(2), kubernetes.Exit{Code: 137, Known: true, OOMKilled: true})
	pods.Started(podWeb("b", 2, 3), minute(2))
	wantCounts(t, table, "live 1 oom 1 restarts 3 oom_killed 1")

	old := newTable(t, Config{})
	old.Pods().Started(podWeb("a", -60, 7), minute(1))
	wantCounts(t, old, "live 1 oom 0 restarts 0") // of before the agent
	old.Pods().Died("a", minute(2), kubernetes.Exit{Code: 1, Known: true})
	b := podWeb("b", -60, 8)
	b.StartedAt = minute(2)
	old.Pods().Started(b, minute(2))
	wantCounts(t, old, "live 1 oom 0 restarts 1 error 1")
}

func TestTheSandboxOfAKnownPodIsNotHeldBack(t *testing.T) {
	table := newTable(t, Config{})
	tree := []cgroup.Found{
		{Ref: cgroup.Ref{ID: "pause", PodUID: "uid-1"}, Path: "/kubepods/poduid-1/pause"},
		{Ref: cgroup.Ref{ID: "a", PodUID: "uid-1"}, Path: "/kubepods/poduid-1/a"},
	}
	table.SawTree(tree, minute(1))
	if got := len(table.Unresolved(minute(1))); got != 2 {
		t.Errorf("before the API server answers %d are unresolved, want both", got)
	}
	table.Pods().PodSeen("uid-1")
	table.Pods().Started(podWeb("a", 1, 0), minute(1))
	table.SawTree(tree, minute(2))
	if got := table.Unresolved(minute(2)); len(got) != 0 {
		t.Errorf("unresolved %+v", got)
	}
	table.SawTree(append(tree, cgroup.Found{Ref: cgroup.Ref{ID: "odd", PodUID: "uid-1"}, Path: "/kubepods/poduid-1/odd"}), minute(3))
	if got := table.Unresolved(minute(3)); len(got) != 1 || got[0].ID != "odd" {
		t.Errorf("unresolved %+v, want the younger one", got)
	}
	table.Pods().PodGone("uid-1")
	if got := table.Unresolved(minute(3)); len(got) != 2 {
		t.Errorf("%d unresolved after the pod is gone", len(got))
	}
}

// cri-dockerd: the Docker engine and the API server tell the same container, in either order; it is one life.
func TestAContainerThatTwoRuntimesTellIsOneLife(t *testing.T) {
	engine := web("a", 1)
	engine.Name = "k8s_web_web-0_shop_uid-1_0"
	engine.Labels = map[string]string{"io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.name": "web-0", "io.kubernetes.container.name": "web"}
	pod := podWeb("a", 1, 0)
	pod.Labels = map[string]string{"project": "till"}
	for name, play := range map[string]func(*Table){
		"engine first": func(t *Table) { t.Started(engine, minute(1)); t.Pods().Started(pod, minute(1)) },
		"pod first":    func(t *Table) { t.Pods().Started(pod, minute(1)); t.Started(engine, minute(1)) },
	} {
		t.Run(name, func(t *testing.T) {
			table := newTable(t, Config{})
			play(table)
			want(t, happened(table)[:1], "born a web new")
			live := table.Live(nil)
			if len(live) != 1 || live[0].Labels.Project != "till" || live[0].Labels.Name != engine.Name || live[0].PID != 77 || live[0].Life != 1 {
				t.Fatalf("live %+v", live)
			}
			table.Pods().Died("a", minute(2), kubernetes.Exit{})
			if len(table.Live(nil)) != 1 {
				t.Error("the API server ended what the engine runs")
			}
			table.Died("a", minute(2), docker.Exit{Code: 1, Known: true})
			wantCounts(t, table, "live 0 oom 0 restarts 0 error 1")
		})
	}
}

func TestInterfacesThatBelongToOthersAreNotShownTwice(t *testing.T) {
	for mode, own := range map[string]bool{"": true, "bridge": true, "host": false, "container:4711": false} {
		if got := (Container{NetworkMode: mode}).OwnNetwork(); got != own {
			t.Errorf("%q: %v", mode, got)
		}
	}
	c := podWeb("a", 1, 0)
	c.OwnsNetwork = false
	table := newTable(t, Config{})
	table.Pods().Started(c, minute(1))
	if table.Live(nil)[0].OwnNetwork() {
		t.Error("the second container of a pod shows the pod's interfaces too")
	}
}

func TestNewResourcesAreTold(t *testing.T) {
	table := newTable(t, Config{})
	c := podWeb("a", 1, 0)
	table.Pods().Started(c, minute(1))
	happened(table)
	c.Resources.CPULimitCores = 2
	c.Health = kubernetes.Ready
	table.Pods().Changed(c, minute(2))
	want(t, happened(table), "resized a web", "health a web")
}
