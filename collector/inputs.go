package main

import (
	"fmt"
	"strings"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/collector/internal/rules"
)

// describeInput tells the rules why a metric they read may have no series.
func describeInput(metric string) rules.Input {
	return rules.Input{StandIn: standIn(metric), Hint: inputHint(metric)}
}

// standIn names, for metrics that are there only when there is something to tell, one of the same source that always is.
func standIn(metric string) string {
	switch {
	case metric == "container_spec_cpu_quota", strings.HasPrefix(metric, "container_cpu_cfs_"): // with a quota
		return "container_cpu_usage_seconds_total"
	case metric == "container_threads_max": // with a limit
		return "container_threads"
	case metric == "container_exits_total": // after an exit
		return "container_restarts_total"
	case metric == "container_health_status": // a state of one container with a health check
		return metric
	case metric == "plimsoll_collector_samples_rejected_total", // after a rejection
		metric == "plimsoll_collector_agent_missing": // while a node has no agent
		return "plimsoll_collector_samples_ingested_total"
	}
	return ""
}

func inputHint(metric string) string {
	for _, id := range catalog.IDs() {
		m := catalog.Lookup(id)
		if m.Name != metric {
			continue
		}
		group := m.Group.Describe()
		kubernetes, swarm := strings.Contains(m.V1, "Kubernetes API"), strings.Contains(m.V1, "Docker Engine API: Swarm")
		switch {
		case kubernetes && swarm:
			return "no agent reports a Kubernetes cluster or a Swarm: one elected agent of a cluster does, and the one beside the leading manager of a Swarm"
		case kubernetes:
			return "no agent reports a Kubernetes cluster: one elected agent of a cluster does"
		case swarm:
			return "no agent reports a Swarm: the one beside its leading manager does"
		case !group.Default:
			return fmt.Sprintf("agent group %s is off; --metrics.enable=%s turns it on", group.Name, group.Name)
		case m.Group == catalog.GroupCore:
			return "no agent has delivered it"
		}
		return fmt.Sprintf("agent group %s is off, or the kernel does not have it", group.Name)
	}
	switch {
	case strings.HasPrefix(metric, "kube_"):
		return "it comes from kube-state-metrics, by remote write"
	case strings.HasPrefix(metric, "plimsoll_agent_kubernetes_"):
		return "no agent asks a Kubernetes API server: --kubernetes, with a service account or --kubernetes.kubeconfig"
	case strings.HasPrefix(metric, "plimsoll_agent_"):
		return "no agent ships its own metrics"
	case strings.HasPrefix(metric, "plimsoll_collector_grafana_"):
		return "no Grafana is given: --grafana.url"
	case strings.HasPrefix(metric, "plimsoll_collector_notification"):
		return "nobody is notified: --oncall or --alertmanager.config names receivers"
	case strings.HasPrefix(metric, "plimsoll_collector_"):
		return "the collector has not measured it yet"
	}
	return "nobody sends it"
}
