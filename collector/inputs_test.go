package main

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/alerts"
)

func TestAMissingInputIsExplained(t *testing.T) {
	for metric, want := range map[string]string{
		"container_process_file_descriptors_ratio":          "agent group process is off",
		"container_volume_usage_bytes":                      "--metrics.enable=layers",
		"workload_ready_replicas":                           "leading manager of a Swarm",
		"workload_autoscaler_at_max":                        "no agent reports a Kubernetes cluster: one",
		"swarm_node_ready":                                  "no agent reports a Swarm",
		"plimsoll_agent_kubernetes_part_up":                 "--kubernetes.kubeconfig",
		"container_restarts_total":                          "no agent has delivered it",
		"kube_pod_container_resource_requests":              "kube-state-metrics",
		"plimsoll_agent_spool_bytes":                        "no agent ships its own metrics",
		"plimsoll_collector_grafana_publish_failures_total": "--grafana.url",
		"up": "nobody sends it",
	} {
		if got := describeInput(metric).Hint; !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q in it", metric, got, want)
		}
	}
}

// A stand-in that nobody sends would leave a rule unarmed for ever.
func TestStandInsAreReadByThePackOrAlwaysThere(t *testing.T) {
	names, err := fs.Glob(alerts.FS(), "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]bool{}
	for _, name := range names {
		data, err := fs.ReadFile(alerts.FS(), name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Groups []struct{ Rules []struct{ Expr string } }
		}
		if err := yaml.Unmarshal(data, &file); err != nil {
			t.Fatal(err)
		}
		for _, g := range file.Groups {
			for _, r := range g.Rules {
				expr, err := metricsql.Parse(r.Expr)
				if err != nil {
					t.Fatal(err)
				}
				metricsql.VisitAll(expr, func(e metricsql.Expr) {
					if m, ok := e.(*metricsql.MetricExpr); ok {
						read[m.LabelFilterss[0][0].Value] = true
					}
				})
			}
		}
	}
	for metric := range read {
		if to := standIn(metric); to != "" && !read[to] {
			t.Errorf("%s stands in for %s, and no rule reads it", to, metric)
		}
	}
}
