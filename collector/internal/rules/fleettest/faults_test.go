package fleettest

import (
	"fmt"
	"time"
)

// injected is when the faults begin; what needs longer than an hour and a half of them has them from the beginning.
const injected = 90 * time.Minute

// fault is what is wrong with one object, whose name is the alert's after "bad-".
type fault struct {
	alert string
	// rules is how many rules of that name fire; 0 is one.
	rules int
	// also are alerts that the same object rightly sets off.
	also   []string
	inject func(w *world, bad string, begin time.Time)
}

// home is the site of objects that are not sites themselves.
func home() site { return sites()[0] }

// faultyContainer makes the named container, in a project and workload of its own, and then harms it.
func faultyContainer(harm func(put func(name string, value gauge, more ...string))) func(w *world, bad string, begin time.Time) {
	return func(w *world, bad string, _ time.Time) {
		c := home().one(bad, "n0", bad)
		w.container(c)
		harm(func(name string, value gauge, more ...string) { w.set(name, value, c.with(more...)) })
	}
}

func faultyNode(harm func(put func(name string, value gauge, more ...string), begin time.Time)) func(w *world, bad string, begin time.Time) {
	return func(w *world, bad string, begin time.Time) {
		n := home().node(bad)
		w.node(n, begin)
		harm(func(name string, value gauge, more ...string) { w.set(name, value, n.with(more...)) }, begin)
	}
}

func faultyCollector(harm func(put func(name string, value gauge, more ...string))) func(w *world, bad string, begin time.Time) {
	return func(w *world, bad string, _ time.Time) {
		w.collector(bad)
		harm(func(name string, value gauge, more ...string) {
			w.set("plimsoll_collector_"+name, value, labels{"collector", bad}.with(more...))
		})
	}
}

// faultySite makes a site with so many nodes and, on each, so many containers.
func faultySite(nodes, containers int, harm func(w *world, s site, begin time.Time)) func(w *world, bad string, begin time.Time) {
	return func(w *world, bad string, begin time.Time) {
		s := site{"gz", bad}
		for n := range nodes {
			node := fmt.Sprintf("n%d", n)
			w.node(s.node(node), begin)
			for c := range containers {
				w.container(s.one("p0", node, fmt.Sprintf("w%d-%d", n, c)))
			}
		}
		harm(w, s, begin)
	}
}

func lastHeard(begin time.Time) gauge {
	return func(at time.Duration) float64 { return float64(begin.Add(min(at, injected)).Unix()) }
}

// from is the value from the injection on, before it the healthy one.
func from(healthy, faulty float64) gauge { return until(injected, steady(healthy), steady(faulty)) }

// faster counts at one pace before the injection and at another after it.
func faster(before, after float64) gauge {
	return func(at time.Duration) float64 {
		return before*min(at, injected).Seconds() + after*max(0, at-injected).Seconds()
	}
}

const gib = 1 << 30

// faults is one for every alert of the pack but the Watchdog.
func faults() []fault {
	return []fault{
		// Events.
		{alert: "ContainerOOMKilled", inject: faultyContainer(func(put func(string, gauge, ...string)) {
			put("container_oom_events_total", counts(injected, time.Hour, 1))
		})},
		{alert: "ContainerOOMLoop", also: []string{"ContainerOOMKilled"}, inject: faultyContainer(func(put func(string, gauge, ...string)) {
			put("container_oom_events_total", counts(injected, 4*time.Minute, 20))
		})},
		{alert: "ContainerCrashed", inject: faultyContainer(func(put func(string, gauge, ...string)) {
			put("container_exits_total", counts(injected, time.Hour, 1), "reason", "error")
		})},
		{alert: "ContainerRestartLoop", inject: faultyContainer(func(put func(string, gauge, ...string)) {
			put("container_restarts_total", counts(injected, 2*time.Minute, 10))
		})},
		{alert: "ContainerUnhealthy", inject: faultyContainer(func(put func(string, gauge, ...string)) {
			put("container_health_status", from(1, 0), "status", "healthy")
			put("container_health_status", from(0, 1), "status", "unhealthy")
		})},
		{alert: "AgentLost", inject: faultyNode(func(put func(string, gauge, ...string), begin time.Time) {
			put("plimsoll_collector_agent_last_received_timestamp_seconds", lastHeard(begin), "collector", "col")
			put("plimsoll_collector_agent_lost", from(0, 1), "collector", "col", "how", "ended")
		})},
		{alert: "NodeLost", inject: faultyNode(func(put func(string, gauge, ...string), begin time.Time) {
			put("plimsoll_collector_agent_last_received_timestamp_seconds", lastHeard(begin), "collector", "col")
			put("plimsoll_collector_agent_lost", from(0, 1), "collector", "col", "how", "silent")
		})},
		// Replicas and presence.
		{alert: "WorkloadReplicasMissing", also: []string{"ProjectAvailabilityBudgetBurn"}, inject: func(w *world, bad string, _ time.Time) {
			w.workload(bad, home(), bad, 10)
			w.set("workload_ready_replicas", from(10, 7), workloadLabels(bad, home(), bad))
		}},
		{alert: "WorkloadDown", also: []string{"WorkloadReplicasMissing", "ProjectAvailabilityBudgetBurn"}, inject: func(w *world, bad string, _ time.Time) {
			w.workload(bad, home(), bad, 3)
			w.set("workload_ready_replicas", from(3, 0), workloadLabels(bad, home(), bad))
		}},
		{alert: "ProjectAvailabilityBudgetBurn", rules: 4, also: []string{"WorkloadReplicasMissing"}, inject: func(w *world, bad string, _ time.Time) {
			w.workload(bad, home(), bad, 10)
			w.set("workload_ready_replicas", from(10, 8), workloadLabels(bad, home(), bad))
		}},
		{alert: "ProjectContainersMissing", inject: func(w *world, bad string, _ time.Time) { w.vanishing(bad, 10, 7) }},
		{alert: "ProjectVanished", also: []string{"ProjectContainersMissing"}, inject: func(w *world, bad string, _ time.Time) { w.vanishing(bad, 6, 6) }},
		// Saturation.
		{alert: "ContainerCPUThrottlingHurts", inject: faultyContainer(func(put func(string, gauge, ...string)) {
			put("container_cpu_usage_seconds_total", faster(0.3, 0.95), "cpu", "total")
			put("container_cpu_cfs_throttled_periods_total", faster(0.5, 6))
			put("container_cpu_cfs_throttled_seconds_total", faster(0.01, 0.5))
		})},
		{alert: "ContainerCPUStarved", inject: faultyContainer(func(put func(string, gauge, ...string)) {
			put("container_pressure_cpu_waiting_seconds_total", faster(0.05, 0.7))
		})},
		{alert: "ContainerMemoryNearLimit", inject: faultyContainer(func(put func(string, gauge, ...string)) {
			put("container_memory_unreclaimable_bytes", from(0.5*gib, 0.95*gib))
			put("container_memory_working_set_bytes", from(0.55*gib, 0.97*gib))
		})},
		{alert: "ContainerMemoryStall", inject: faultyContainer(func(put func(string, gauge, ...string)) {
			put("container_pressure_memory_waiting_seconds_total", faster(0.001, 0.3))
		})},
		{alert: "ContainerIOStall", inject: faultyContainer(func(put func(string, gauge, ...string)) {
			put("container_pressure_io_stalled_seconds_total", faster(0.001, 0.4))
		})},
		{alert: "ContainerPIDsNearLimit", inject: faultyContainer(func(put func(string, gauge, ...string)) { put("container_threads", from(20, 95)) })},
		{alert: "ContainerFDsNearLimit", inject: faultyContainer(func(put func(string, gauge, ...string)) {
			put("container_process_file_descriptors_ratio", from(0.1, 0.9))
		})},
		{alert: "ContainerNetworkErrors", inject: faultyContainer(func(put func(string, gauge, ...string)) {
			put("container_network_receive_packets_dropped_total", faster(0.1, 5), "interface", "eth0")
		})},
		{alert: "ContainerMemoryWillHitLimit", inject: faultyContainer(func(put func(string, gauge, ...string)) {
			put("container_memory_unreclaimable_bytes", func(at time.Duration) float64 {
				return gib * min(0.88, 0.5+0.12*max(0, at-injected).Hours())
			})
		})},
		{alert: "ContainerWritableLayerGrowing", inject: faultyContainer(func(put func(string, gauge, ...string)) {
			put("container_fs_usage_bytes", func(at time.Duration) float64 { return 4.5e9 + 5e8*at.Hours() })
		})},
		// Nodes.
		{alert: "NodeMemoryPressure", inject: faultyNode(func(put func(string, gauge, ...string), _ time.Time) {
			put("container_memory_working_set_bytes", from(40*gib, 122*gib), "id", "/")
			put("container_pressure_memory_waiting_seconds_total", faster(0.001, 0.2), "id", "/")
		})},
		{alert: "NodeFilesystemFillingUp", inject: faultyNode(func(put func(string, gauge, ...string), _ time.Time) {
			put("container_fs_usage_bytes", func(at time.Duration) float64 { return 1e9 * min(94, 80+1.5*at.Hours()) }, "id", "/", "device", "/dev/vda")
		})},
		{alert: "NodeFilesystemAlmostFull", inject: faultyNode(func(put func(string, gauge, ...string), _ time.Time) {
			put("container_fs_usage_bytes", until(injected, steady(50e9), steady(97e9)), "id", "/", "device", "/dev/vda")
		}), also: []string{"NodeFilesystemFillingUp"}}, // the jump bends its line
		{alert: "NodeClockSkew", inject: faultyNode(func(put func(string, gauge, ...string), _ time.Time) {
			put("plimsoll_collector_agent_clock_skew_seconds", from(0.1, -30), "collector", "col")
		})},
		// Agents.
		{alert: "AgentAbsent", inject: faultyNode(func(put func(string, gauge, ...string), begin time.Time) {
			put("plimsoll_collector_agent_last_received_timestamp_seconds", lastHeard(begin), "collector", "col")
		})},
		{alert: "ClusterTelemetryLost", inject: faultySite(4, 0, func(w *world, s site, begin time.Time) {
			for n := range 4 {
				w.set("plimsoll_collector_agent_last_received_timestamp_seconds", lastHeard(begin), s.node(fmt.Sprintf("n%d", n)).with("collector", "col"))
			}
		}), also: []string{"AgentAbsent"}}, // until the ratio is recorded: inhibited by the lost cluster
		{alert: "AgentSourceDown", inject: faultyNode(func(put func(string, gauge, ...string), _ time.Time) {
			put("plimsoll_agent_source_up", from(1, 0), "source", "docker")
		})},
		{alert: "AgentLeavesOutWork", inject: faultyNode(func(put func(string, gauge, ...string), _ time.Time) {
			put("plimsoll_agent_shedding", from(0, 1), "what", "memory-peaks")
		})},
		{alert: "AgentRemoteWriteBehind", inject: faultyNode(func(put func(string, gauge, ...string), _ time.Time) {
			put("plimsoll_agent_remote_write_lag_seconds", from(1, 300), "receiver", "c")
		})},
		{alert: "AgentQueueFullSoon", inject: faultyNode(func(put func(string, gauge, ...string), _ time.Time) {
			put("plimsoll_agent_spool_bytes", from(1e6, 6e8))
			put("plimsoll_agent_spool_pending_bytes", faster(0, 1e5), "receiver", "c")
		})},
		{alert: "AgentSamplesDropped", inject: faultyNode(func(put func(string, gauge, ...string), _ time.Time) {
			put("plimsoll_agent_samples_dropped_total", faster(0, 10), "receiver", "c", "reason", "spool_full")
		})},
		{alert: "AgentBatchesMissing", inject: faultyNode(func(put func(string, gauge, ...string), _ time.Time) {
			put("plimsoll_collector_agent_missing_batches_total", from(0, 3), "collector", "col")
		})},
		{alert: "CollectorClockSkew", inject: faultySite(4, 0, func(w *world, s site, _ time.Time) {
			for n := range 4 {
				w.set("plimsoll_collector_agent_clock_skew_seconds", from(0.1, 3600), s.node(fmt.Sprintf("n%d", n)).with("collector", "behind"))
			}
		})},
		{alert: "AgentsShareNodeName", inject: faultyNode(func(put func(string, gauge, ...string), _ time.Time) {
			put("plimsoll_collector_agent_conflicts_total", faster(0, 0.1), "collector", "col")
		})},
		{alert: "AgentPartialData", inject: faultyNode(func(put func(string, gauge, ...string), _ time.Time) {
			put("container_scrape_error", from(0, 1), "id", "/")
		})},
		// Identity.
		{alert: "ClusterUnassignedShareHigh", inject: faultySite(2, 0, func(w *world, s site, _ time.Time) {
			w.set("plimsoll_agent_containers_without", from(0, 20), s.node("n0").with("label", "project"))
		})},
		{alert: "ContainersUnassigned", inject: faultyNode(func(put func(string, gauge, ...string), _ time.Time) {
			put("plimsoll_agent_containers_unassigned", from(0, 2))
		})},
		{alert: "ContainersUnresolved", inject: faultyNode(func(put func(string, gauge, ...string), _ time.Time) {
			put("plimsoll_agent_containers_unresolved", from(0, 1))
		})},
		{alert: "ContainersUnplaced", inject: faultyNode(func(put func(string, gauge, ...string), _ time.Time) {
			put("plimsoll_agent_containers_without", from(0, 1), "label", "idc")
		})},
		{alert: "FleetUnplacedShareHigh", also: []string{"ContainersUnplaced"}, inject: faultyNode(func(put func(string, gauge, ...string), _ time.Time) {
			put("plimsoll_agent_containers", steady(500))
			put("plimsoll_agent_containers_without", from(0, 400), "label", "cluster")
		})},
		{alert: "KubernetesSourceDown", inject: faultySite(2, 0, func(w *world, s site, _ time.Time) {
			w.set("plimsoll_agent_kubernetes_part_up", from(1, 0), s.node("n0").with("part", "pods"))
		})},
		{alert: "KubernetesPartMissing", inject: faultySite(2, 0, func(w *world, s site, _ time.Time) {
			w.set("plimsoll_agent_kubernetes_part_up", from(1, 0), s.node("n0").with("part", "deployments"))
		})},
		{alert: "AgentProjectMapBroken", inject: faultySite(2, 0, func(w *world, s site, _ time.Time) {
			w.set("plimsoll_agent_project_map_valid", from(1, 0), s.node("n0"))
		})},
		{alert: "LabelValuesRefused", inject: faultyNode(func(put func(string, gauge, ...string), _ time.Time) {
			put("plimsoll_agent_label_values_refused_total", faster(0, 0.1), "label", "workload")
		})},
		{alert: "AgentsMissing", inject: faultySite(2, 0, func(w *world, s site, _ time.Time) {
			w.set("plimsoll_collector_agent_missing", until(injected, gone, steady(1)), s.node("n9").with("collector", "col", "source", "kubernetes"))
		})},
		// Collectors.
		{alert: "CollectorProjectMapBroken", inject: faultyCollector(func(put func(string, gauge, ...string)) { put("project_map_valid", from(1, 0)) })},
		{alert: "CollectorJournalDown", inject: faultyCollector(func(put func(string, gauge, ...string)) { put("journal_up", from(1, 0)) })},
		{alert: "CollectorWritesRefused", inject: faultyCollector(func(put func(string, gauge, ...string)) {
			put("write_requests_total", faster(0, 2), "code", "400")
		})},
		{alert: "CollectorSeriesNearLimit", rules: 3, inject: func(w *world, bad string, begin time.Time) {
			w.collector(bad)
			for _, scope := range []string{"agent", "project", "total"} {
				w.set("plimsoll_collector_series_limit", steady(1e4), labels{"collector", bad, "scope", scope})
			}
			w.set("plimsoll_collector_series", from(5e3, 9.5e3), labels{"collector", bad})
			w.set("plimsoll_collector_agent_series", from(5e3, 9.5e3), home().node("n0").with("collector", bad))
			w.set("plimsoll_collector_project_series", from(5e3, 9.5e3), labels{"collector", bad, "project", "p0"})
		}},
		{alert: "CollectorIngestionStopped", inject: func(w *world, bad string, begin time.Time) {
			w.collector(bad)
			w.set("plimsoll_collector_samples_ingested_total", faster(1000, 0), labels{"collector", bad})
			w.set("plimsoll_collector_agent_last_received_timestamp_seconds", func(at time.Duration) float64 { return float64(begin.Add(at).Unix()) }, home().node("n0").with("collector", bad))
		}},
		{alert: "CollectorSamplesRejected", inject: faultyCollector(func(put func(string, gauge, ...string)) {
			put("samples_rejected_total", faster(0, 20), "reason", "future")
		})},
		{alert: "CollectorDiskFullSoon", inject: faultyCollector(func(put func(string, gauge, ...string)) {
			put("storage_free_bytes", func(at time.Duration) float64 { return 1e12 - 2e10*at.Hours() })
		})},
		{alert: "RuleEvaluationFailing", inject: faultyCollector(func(put func(string, gauge, ...string)) {
			put("rule_evaluation_failures_total", faster(0, 0.03), "group", "g", "rule", "r")
		})},
		{alert: "RuleEvaluationLate", inject: faultyCollector(func(put func(string, gauge, ...string)) {
			put("rule_group_last_duration_seconds", from(0.1, 29), "group", "g")
		})},
		{alert: "RecordingRuleNoData", inject: faultyCollector(func(put func(string, gauge, ...string)) {
			put("recording_rule_last_series", from(10, 0), "group", "g", "rule", "r")
		})},
		{alert: "NotificationFailing", inject: faultyCollector(func(put func(string, gauge, ...string)) {
			put("notifications_failed_total", faster(0, 0.05), "receiver", "r", "integration", "webhook")
		})},
		{alert: "GrafanaPublishFailing", inject: faultyCollector(func(put func(string, gauge, ...string)) {
			put("grafana_publish_failures_total", faster(0, 0.02), "target", "t")
			put("grafana_publish_success_total", faster(0.01, 0), "target", "t")
		})},
		// Capacity.
		{alert: "ClusterCPUHeadroomLow", inject: faultySite(2, 1, func(w *world, s site, _ time.Time) {
			for n := range 2 {
				w.set("container_cpu_usage_seconds_total", grows(29), s.one("p0", fmt.Sprintf("n%d", n), fmt.Sprintf("w%d-0", n)).with("cpu", "total"))
				w.set("container_spec_cpu_quota", steady(3.2e6), s.one("p0", fmt.Sprintf("n%d", n), fmt.Sprintf("w%d-0", n)))
			}
		})},
		{alert: "ClusterMemoryHeadroomLow", inject: faultySite(2, 1, func(w *world, s site, _ time.Time) {
			for n := range 2 {
				w.set("container_memory_working_set_bytes", steady(120*gib), s.one("p0", fmt.Sprintf("n%d", n), fmt.Sprintf("w%d-0", n)))
				w.set("container_spec_memory_limit_bytes", steady(200*gib), s.one("p0", fmt.Sprintf("n%d", n), fmt.Sprintf("w%d-0", n)))
			}
		})},
		{alert: "ClusterCannotLoseANode", inject: faultySite(2, 1, func(w *world, s site, _ time.Time) {
			for n := range 2 {
				w.set("container_request_cpu_cores", steady(20), s.one("p0", fmt.Sprintf("n%d", n), fmt.Sprintf("w%d-0", n)))
				w.set("container_cpu_usage_seconds_total", grows(19), s.one("p0", fmt.Sprintf("n%d", n), fmt.Sprintf("w%d-0", n)).with("cpu", "total"))
				w.set("container_spec_cpu_quota", steady(3.2e6), s.one("p0", fmt.Sprintf("n%d", n), fmt.Sprintf("w%d-0", n)))
			}
		})},
		{alert: "ClusterFullIn30Days", inject: faultySite(2, 1, func(w *world, s site, _ time.Time) { // its past month is in the engine, see pastMonth
			for n := range 2 {
				w.set("container_cpu_usage_seconds_total", grows(22), s.one("p0", fmt.Sprintf("n%d", n), fmt.Sprintf("w%d-0", n)).with("cpu", "total"))
				w.set("container_spec_cpu_quota", steady(3.2e6), s.one("p0", fmt.Sprintf("n%d", n), fmt.Sprintf("w%d-0", n)))
			}
		})},
		{alert: "IDCFailoverImpossibleCPU", inject: faultyIDC(10_000, 1e12, 5_000, 1e11)},
		{alert: "IDCFailoverImpossibleMemory", inject: faultyIDC(1_000, 1e16, 100, 5e15)},
		{alert: "ProjectQuotaNearlyFull", inject: func(w *world, bad string, _ time.Time) {
			quota := append(labels{"project", bad}, append(home().labels(), "namespace", "ns", "resource", "cpu")...)
			w.set("kube_resourcequota", from(50, 95), quota.with("type", "used"))
			w.set("kube_resourcequota", steady(100), quota.with("type", "hard"))
		}},
		{alert: "WorkloadOverProvisioned", inject: faultyContainer(func(put func(string, gauge, ...string)) { put("container_request_cpu_cores", steady(8)) })},
	}
}

// vanishing is a project of so many containers of which some are stopped and not started again.
func (w *world) vanishing(project string, all, stopped int) {
	for i := range all {
		c := home().one(project, fmt.Sprintf("n%d", i%6), fmt.Sprintf("w-%d", i))
		w.container(c)
		if i >= stopped {
			continue
		}
		for _, key := range w.order {
			s := w.series[key]
			if s.name != "container_exits_total" && len(s.labels) >= len(c) && fmt.Sprint(s.labels[:len(c)]) == fmt.Sprint(c) {
				s.value = until(injected, s.value, gone)
			}
		}
		w.set("container_exits_total", from(0, 1), c.with("reason", "stopped"))
	}
}

// faultyIDC is a data centre of its own with one cluster of two nodes, of so many cores and bytes, so much of them in use.
func faultyIDC(cores, memoryBytes, usedCores, usedBytes float64) func(w *world, bad string, begin time.Time) {
	return func(w *world, bad string, begin time.Time) {
		s := site{bad, "c9"}
		for n := range 2 {
			node := fmt.Sprintf("n%d", n)
			w.node(s.node(node), begin)
			w.set("machine_cpu_cores", steady(cores/2), s.node(node))
			w.set("machine_memory_bytes", steady(memoryBytes/2), s.node(node))
			c := s.one("p0", node, "w")
			w.container(c)
			w.set("container_cpu_usage_seconds_total", grows(usedCores/2), c.with("cpu", "total"))
			w.set("container_spec_cpu_quota", gone, c)
			w.set("container_memory_working_set_bytes", steady(usedBytes/2), c)
			w.set("container_spec_memory_limit_bytes", gone, c)
		}
	}
}
