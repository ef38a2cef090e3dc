package inventory

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/plimsoll/plimsoll/agent/internal/docker"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/projectmap"
)

func mapOf(t *testing.T, text string) *projectmap.Map {
	t.Helper()
	m, err := projectmap.Parse("map.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestANewProjectMapRelabelsWhatItChangesAndNothingElse(t *testing.T) {
	table := newTable(t, Config{})
	claimed, other, dead := web("a", 1), web("b", 1), web("c", 1)
	other.Name, dead.Name = "other", "dead"
	for _, c := range []docker.Container{claimed, other, dead} {
		table.Started(c, minute(1))
	}
	table.Died("c", minute(2), docker.Exit{Known: true})
	happened(table)
	const rules = "rules: [{match: {name: [web, dead]}, project: shop, team: front}]\n"
	table.SetProjects(mapOf(t, rules), minute(3))
	want(t, happened(table), "relabelled a web")
	if l := table.Live(nil)[0].Labels; l.Name == "web" && (l.Project != "shop" || l.Team != "front") {
		t.Errorf("labels %+v", l)
	}
	for container, project := range map[string]string{"web": "shop", "other": "unassigned", "dead": "shop"} {
		if l := slotOf(t, table, container).Labels; l.Project != project || l.Name != "" {
			t.Errorf("slot %s: %+v, want project %s", container, l, project)
		}
	}
	table.SetProjects(mapOf(t, rules+"# the same\n"), minute(4))
	want(t, happened(table))
	table.SetProjects(projectmap.Builtin(), minute(5))
	want(t, happened(table), "relabelled a web")

	subjects, labels := table.Subjects()
	if len(subjects) != 2 || len(labels) != 2 || subjects[0].Name != labels[0].Name || subjects[0].Image != "web:1" {
		t.Errorf("%+v, %+v", subjects, labels)
	}
}

func TestAMapThatDependsOnTheClusterWaitsForIt(t *testing.T) {
	table := newTable(t, Config{Resolver: identity.Resolver{Projects: mapOf(t, "rules: [{match: {cluster: prod, name: web}, project: shop}]")}})
	table.Started(web("a", 1), minute(1))
	if p := table.Live(nil)[0].Labels.Project; p != "unassigned" {
		t.Errorf("project %q", p)
	}
	table.SetNode(identity.Node{Cluster: "prod"}, minute(2))
	if p := table.Live(nil)[0].Labels.Project; p != "shop" {
		t.Errorf("project %q", p)
	}
}

func TestWhatContainersLackIsCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	table := newTable(t, Config{Metrics: registry, Resolver: identity.Resolver{Projects: mapOf(t, "unassigned: nobody"), Node: identity.Node{IDC: "bj1"}}})
	guessed := web("b", 1)
	guessed.Labels = map[string]string{"io.kubernetes.pod.name": "api-7d4b9c6f58-x2x5z", "io.kubernetes.pod.namespace": "shop", "io.kubernetes.container.name": "app"}
	table.Started(web("a", 1), minute(1))
	table.Started(guessed, minute(1))
	err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP plimsoll_agent_containers_unassigned Real containers that run and belong to no project.
# TYPE plimsoll_agent_containers_unassigned gauge
plimsoll_agent_containers_unassigned 1
# HELP plimsoll_agent_containers_without Real containers that run without a project, an idc or a cluster, or whose workload had to be read off the pod's name.
# TYPE plimsoll_agent_containers_without gauge
plimsoll_agent_containers_without{label="cluster"} 2
plimsoll_agent_containers_without{label="idc"} 0
plimsoll_agent_containers_without{label="project"} 1
plimsoll_agent_containers_without{label="workload"} 1
`), "plimsoll_agent_containers_without", "plimsoll_agent_containers_unassigned")
	if err != nil {
		t.Error(err)
	}
}

func TestAnUnboundedLabelIsBoundedAndTheRoomComesBack(t *testing.T) {
	registry := prometheus.NewRegistry()
	table := newTable(t, Config{Metrics: registry, Resolver: identity.Resolver{Projects: mapOf(t, "pass_labels: [{label: build, max_values: 3}]")}})
	for i := range 10 {
		c := web(fmt.Sprint("id", i), 1)
		c.Name, c.Labels = fmt.Sprint("web", i), map[string]string{"build": fmt.Sprint("b", i)}
		table.Started(c, minute(1))
	}
	with := 0
	for _, c := range table.Live(nil) {
		if c.Labels.Extra != "" {
			with++
		}
	}
	if refused := table.metrics.valuesRefused.WithLabelValues("build"); with != 3 || testutil.ToFloat64(refused) != 7 {
		t.Errorf("%d have the label, %v refused; want 3 and 7", with, testutil.ToFloat64(refused))
	}
	happened(table)
	for _, c := range table.Live(nil) {
		if c.Labels.Extra != "" {
			table.Died(c.ID, minute(2), docker.Exit{Known: true})
		}
	}
	table.Expire(minute(3))
	table.Expire(minute(20)) // their slots are gone
	if got := strings.Count(strings.Join(happened(table), " "), "relabelled"); got != 3 {
		t.Errorf("%d of the 7 left got the room of the 3 that ended, want 3", got)
	}
}
