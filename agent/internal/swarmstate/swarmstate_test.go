package swarmstate

import (
	"slices"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/agent/internal/docker"
	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/internal/series"
	"github.com/plimsoll/plimsoll/agent/wire"
)

func TestASwarmBecomesSeriesWithTheLabelsOfItsTasks(t *testing.T) {
	swarm := docker.Swarm{
		Manager: true, Leader: true,
		Services: []docker.Service{
			{Name: "shop_web", Image: "web:1", Labels: map[string]string{"com.docker.stack.namespace": "shop"}, Desired: 3, Ready: 2, Updated: 1},
			{Name: "logs", Labels: map[string]string{"project": "platform"}, Desired: 9, Ready: 9, Updated: 9},
			{Name: " "},
		},
		Nodes: []docker.SwarmNode{{Name: "n1", Ready: true}, {Name: "n2"}},
	}
	source := New(Config{
		Swarm: func() (docker.Swarm, bool) { return swarm, true },
		Labels: func(f identity.Facts) (identity.Labels, error) {
			l, _, err := identity.Resolver{}.Labels(f)
			return l, err
		},
	})
	collect := func() []string {
		var sets []*series.Set
		source.Collect(func(labels ...wire.Label) *series.Set {
			set := series.New(labels)
			set.Begin()
			sets = append(sets, set)
			return set
		})
		var lines []string
		for line := range strings.Lines(string(series.AppendText(nil, sets))) {
			if !strings.HasPrefix(line, "#") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		slices.Sort(lines)
		return lines
	}
	want := []string{
		`swarm_node_ready{node="n1"} 1`,
		`swarm_node_ready{node="n2"} 0`,
		`workload_desired_replicas{namespace="shop",project="shop",workload="web"} 3`,
		`workload_desired_replicas{project="platform",workload="logs"} 9`,
		`workload_ready_replicas{namespace="shop",project="shop",workload="web"} 2`,
		`workload_ready_replicas{project="platform",workload="logs"} 9`,
		`workload_updated_replicas{namespace="shop",project="shop",workload="web"} 1`,
		`workload_updated_replicas{project="platform",workload="logs"} 9`,
	}
	if got := collect(); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	swarm = docker.Swarm{Manager: true}
	if got := collect(); len(got) > 0 {
		t.Errorf("a manager that does not lead reports %v", got)
	}
}
