package evidence

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/plimsoll/plimsoll/collector/internal/releases"
)

// subject finds out about what has the given labels.
type subject func(ctx context.Context, query releases.QueryFunc, labels map[string]string, now time.Time) (found, error)

// subjectOf tells what an alert is about; nil when its labels do not say.
func subjectOf(labels model.LabelSet) subject {
	switch {
	case labels["workload"] != "" || labels["container"] != "":
		return container
	case labels["node"] != "":
		return node
	case labels["cluster"] != "" && labels["project"] == "":
		return cluster
	case labels["collector"] != "":
		return collector
	}
	return nil
}

// matchers are those of the named labels that are given, for a selector.
func matchers(labels map[string]string, names ...string) string {
	var all []string
	for _, name := range names {
		if value, given := labels[name]; given {
			all = append(all, name+"="+strconv.Quote(value))
		}
	}
	return strings.Join(all, ",")
}

// parts is one query for several figures, which are told apart by the label part.
func parts(exprs ...string) string {
	for i := 0; i+1 < len(exprs); i += 2 {
		exprs[i/2] = fmt.Sprintf(`label_set(%s, "part", %q)`, exprs[i+1], exprs[i])
	}
	return "union(" + strings.Join(exprs[:len(exprs)/2], ", ") + ")"
}

// node finds out about a node. It may be away: the last hour counts, and what it ran a quarter of an hour ago.
func node(ctx context.Context, query releases.QueryFunc, labels map[string]string, now time.Time) (found, error) {
	of := matchers(labels, "idc", "cluster", "node")
	containers := `last_over_time(container_start_time_seconds{container!="",` + of + `}[15m])`
	samples, err := query(ctx, parts(
		"memory", `max(last_over_time(container_memory_working_set_bytes{id="/",`+of+`}[1h]))`,
		"memory_limit", `max(last_over_time(machine_memory_bytes{`+of+`}[1h]))`,
		"cpu", `sum(rate(container_cpu_usage_seconds_total{id="/",`+of+`}[15m]))`,
		"cpu_limit", `max(last_over_time(machine_cpu_cores{`+of+`}[1h]))`,
		"containers", `count(`+containers+`)`,
		"project", `topk(3, count by (project) (`+containers+`))`,
		"version", `tlast_over_time(plimsoll_agent_build_info{`+of+`}[1d])`,
		"heard", `max(last_over_time(plimsoll_collector_agent_last_received_timestamp_seconds{`+of+`}[1h]))`,
	), now)
	if err != nil {
		return found{}, fmt.Errorf("evidence: %w", err)
	}
	figures := map[string]float64{}
	var projects []releases.Sample
	var newest releases.Sample // of the agent's versions
	for _, s := range samples {
		switch part := s.Labels["part"]; part {
		case "project":
			projects = append(projects, s)
		case "version":
			if s.Value > newest.Value {
				newest = s
			}
		default:
			figures[part] = s.Value
		}
	}
	return found{at: now, usage: usage(figures) + ofProjects(projects), agent: agent(newest.Labels["version"], figures["heard"], now)}, nil
}

// cluster finds out how many agents of a cluster are heard, and what its nodes have.
func cluster(ctx context.Context, query releases.QueryFunc, labels map[string]string, now time.Time) (found, error) {
	of := matchers(labels, "idc", "cluster")
	last := `max by (node) (last_over_time(plimsoll_collector_agent_last_received_timestamp_seconds{` + of + `}[10m]))`
	return figures(ctx, query, now,
		"agents", `count(time() - `+last+` < 60) or vector(0)`,
		"agents_limit", `count(`+last+`)`,
		"memory", `last_over_time(cluster:memory_working_set_bytes:sum{`+of+`}[10m])`,
		"memory_limit", `last_over_time(cluster:memory_capacity_bytes:sum{`+of+`}[10m])`,
		"cpu", `last_over_time(cluster:cpu_usage_cores:sum{`+of+`}[10m])`,
		"cpu_limit", `last_over_time(cluster:cpu_capacity_cores:sum{`+of+`}[10m])`,
	)
}

// collector finds out what a collector has to do, and room for.
func collector(ctx context.Context, query releases.QueryFunc, labels map[string]string, now time.Time) (found, error) {
	of := matchers(labels, "collector")
	return figures(ctx, query, now,
		"samples", `sum(rate(plimsoll_collector_samples_ingested_total{`+of+`}[5m]))`,
		"agents", `count(time() - last_over_time(plimsoll_collector_agent_last_received_timestamp_seconds{`+of+`}[10m]) < 60) or vector(0)`,
		"agents_limit", `count(last_over_time(plimsoll_collector_agent_last_received_timestamp_seconds{`+of+`}[10m]))`,
		"series", `max(last_over_time(plimsoll_collector_series{`+of+`}[10m]))`,
		"series_limit", `max(last_over_time(plimsoll_collector_series_limit{scope="total",`+of+`}[10m]))`,
		"disk", `min(last_over_time(plimsoll_collector_storage_free_bytes{`+of+`}[10m]))`,
	)
}

func figures(ctx context.Context, query releases.QueryFunc, now time.Time, exprs ...string) (found, error) {
	samples, err := query(ctx, parts(exprs...), now)
	if err != nil {
		return found{}, fmt.Errorf("evidence: %w", err)
	}
	all := map[string]float64{}
	for _, s := range samples {
		all[s.Labels["part"]] = s.Value
	}
	return found{at: now, usage: usage(all)}, nil
}
