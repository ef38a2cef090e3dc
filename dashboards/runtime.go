package dashboards

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Runtime is the part of a fleet that one orchestrator runs.
type Runtime struct {
	Name  string
	Nodes int
	At    map[string]string // values of the variables idc and cluster that select its clusters
}

// place is a cluster.
type place struct{ idc, cluster string }

// Runtimes finds which orchestrators run the containers that are there: Kubernetes by the cgroup of its pods, Swarm by the names
// of its tasks; what is neither is plain Docker. A cluster belongs to one runtime.
func Runtimes(ctx context.Context, query Instant) ([]Runtime, error) {
	const containers = `count by (idc, cluster, node) (container_start_time_seconds{container!=""%s})`
	taken := map[place]bool{}
	var all []Runtime
	for _, kind := range []struct{ name, of string }{
		{"Kubernetes", `, id=~".*kubepods.*"`},
		{"Swarm", `, name=~".+[.]([0-9]+|[a-z0-9]{25})[.][a-z0-9]{25}"`},
		{"plain Docker", ""},
	} {
		nodes, err := query(ctx, fmt.Sprintf(containers, kind.of))
		if err != nil {
			return nil, fmt.Errorf("look for containers of %s: %w", kind.name, err)
		}
		at, found := map[place]bool{}, 0
		for _, labels := range nodes {
			here := place{labels["idc"], labels["cluster"]}
			if !taken[here] {
				at[here] = true
				found++
			}
		}
		if found > 0 {
			all = append(all, Runtime{Name: kind.name, Nodes: found, At: selects(at)})
		}
		maps.Copy(taken, at)
	}
	if len(all) == 0 {
		return nil, errors.New("no container is there: nothing can be checked")
	}
	return all, nil
}

// selects gives regular expressions that match the given clusters.
func selects(at map[place]bool) map[string]string {
	idcs, clusters := map[string]bool{}, map[string]bool{}
	for p := range at {
		idcs[regexp.QuoteMeta(p.idc)], clusters[regexp.QuoteMeta(p.cluster)] = true, true
	}
	either := func(values map[string]bool) string {
		return strings.ReplaceAll(strings.Join(slices.Sorted(maps.Keys(values)), "|"), `\`, `\\`) // once more for the string it stands in
	}
	return map[string]string{"idc": either(idcs), "cluster": either(clusters)}
}
