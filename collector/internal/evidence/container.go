package evidence

import (
	"context"
	"fmt"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/releases"
)

// container finds out about the containers with the given labels.
func container(ctx context.Context, query releases.QueryFunc, matches map[string]string, now time.Time) (found, error) {
	what := found{at: now}
	samples, err := query(ctx, expression(matches), now)
	if err != nil {
		return found{}, fmt.Errorf("evidence: %w", err)
	}
	figures := map[string]float64{}
	var last releases.Sample // the newest exit
	codes := map[string]float64{}
	for _, s := range samples {
		switch part := s.Labels["part"]; part {
		case "exit_at":
			if s.Value > last.Value {
				last = s
			}
		case "exit_code":
			codes[exit(s.Labels)] = s.Value
		default:
			figures[part] = s.Value
		}
	}
	what.usage = usage(figures)
	if last.Labels != nil {
		what.lastExit = lastExit(last, codes)
	}
	list, err := releases.Find(ctx, query, matches, now.Add(-window), now)
	if err != nil {
		return found{}, fmt.Errorf("evidence: %w", err)
	}
	if len(list) > 0 {
		what.release = &list[0]
	}
	return what, nil
}

// expression asks for everything but releases at once. Exits are the workload's, whose container may have been replaced since;
// figures are those of the alert's own container, and of several the highest. The last 5 minutes count: what crashed has no value now.
func expression(matches map[string]string) string {
	names := []string{"project", "idc", "cluster", "namespace", "workload", "container"}
	workload, own := ","+matchers(matches, names...), ","+matchers(matches, append(names, "node", "pod")...)
	of := func(metric, matchers string) string { return metric + `{container!=""` + matchers + "}" }
	recent := func(metric string) string { return "last_over_time(" + of(metric, own) + "[5m])" }
	return parts(
		"exit_at", "tlast_over_time("+of("container_exit_code", workload)+"[1h])",
		"exit_code", "last_over_time("+of("container_exit_code", workload)+"[1h])",
		"memory", "max("+recent("container_memory_working_set_bytes")+")",
		"memory_limit", "max("+recent("container_spec_memory_limit_bytes")+")",
		"cpu", "max(sum by (node, id) (rate("+of("container_cpu_usage_seconds_total", own)+"[5m])))",
		"cpu_limit", "max("+recent("container_spec_cpu_quota")+" / "+recent("container_spec_cpu_period")+")",
		"tasks", "max("+recent("container_threads")+")",
		"tasks_limit", "max("+recent("container_threads_max")+")",
	)
}
