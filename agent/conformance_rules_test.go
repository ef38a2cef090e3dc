package main

import "strings"

// rule explains differences. The number in a reason is that of cAdvisor's defect in our list of what is wrong with v0.60.6: each was read in
// its code and is seen here. A reason without a number is a choice of ours.
type rule struct {
	on     string // "v1", "v2" or "" for both
	what   string // of difference; "" any
	metric string // name, or a prefix that ends in *
	when   func(theirs, here sample) bool
	why    string
}

func (r *rule) explains(version string, d difference) bool {
	if r.on != "" && r.on != version || r.what != "" && r.what != d.what {
		return false
	}
	name := d.theirs.name
	if d.theirs.key == "" {
		name = d.here.name
	}
	prefix, isPrefix := strings.CutSuffix(r.metric, "*")
	if name != r.metric && !(isPrefix && strings.HasPrefix(name, prefix)) {
		return false
	}
	return r.when == nil || r.when(d.theirs, d.here)
}

func zero(theirs, _ sample) bool      { return theirs.value == 0 }
func onNode(theirs, here sample) bool { return theirs.container == "/" || here.container == "/" }

// checkedEachSecond tells of the container with a health check, a process that one may find at its look and the other not.
func checkedEachSecond(theirs, _ sample) bool { return theirs.container == "checked" }

func onHostNetwork(theirs, _ sample) bool { return theirs.container == "nethost" }

var conformanceRules = []rule{
	{"v1", "value", "container_pressure_*", zero, "8: constant 0 on v1, though the unified tree has the files"},
	{"v1", "value", "container_memory_file_*", zero, "10: constant 0 on v1, where the keys are total_dirty and total_writeback"},
	{"v1", "only cAdvisor", "container_memory_events_*", zero, "10: constant 0 on v1, which has no such counter"},
	{"v1", "only cAdvisor", "container_memory_pgs*", zero, "10: constant 0 on v1, which has no such counter"},
	{"v1", "value", "container_memory_failures_total", onNode, "9: scope hierarchy has the figure of the cgroup alone"},
	{"v1", "value", "container_memory_workingset_refault_*", onNode, "29: reads the key without total_, so nested cgroups are left out"},
	{"v1", "only cAdvisor", "container_memory_failcnt", onNode, "the root cgroup has no limit at which a charge could fail"},

	{"v2", "only cAdvisor", "container_memory_failcnt", zero, "10: constant 0 on v2, which has no such counter"},
	{"v2", "only cAdvisor", "container_memory_events_*", onNode, "10: constant 0, for the root cgroup has no memory.events"},
	{"v2", "only cAdvisor", "container_hugetlb_max_usage_bytes", zero, "10: constant 0 on v2, which has no such file"},
	{"v2", "value", "container_memory_kernel_usage", zero, "31: constant 0 on v2, though memory.stat has kernel"},
	{"v2", "value", "container_spec_memory_reservation_limit_bytes", zero, "32: reads memory.min, and the engine sets memory.low"},

	{"", "", "container_cpu_load_*", zero, "13: constant 0 without -enable_load_reader"},
	{"", "", "container_tasks_state", zero, "13: constant 0 without -enable_load_reader"},
	{"", "only cAdvisor", "container_oom_events_total", zero, "14: filled by the binary alone; the node's kills are the sum over its slots"},
	{"", "only cAdvisor", "container_cpu_schedstat_*", onNode, "the node's processes are not read one by one"},
	{"", "value", "container_cpu_schedstat_*", checkedEachSecond, "both add up the processes they have seen, also after their end: a health check that ran when one looked is over when the other does"},
	{"", "kind", "container_network_advance_tcp_stats_total", nil, "17: counters with type gauge"},
	{"", "only cAdvisor", "container_network_*", onHostNetwork, "30: the node's own traffic and sockets, once more in each container without a network of its own"},
	{"", "only cAdvisor", "container_network_advance_tcp_stats_total", nil, "the agent sends 20 of the 99, those that tell what goes wrong"},
	{"", "only cAdvisor", "container_threads_max", zero, "0 where there is no limit, absent here: a ratio to 0 is no number"},
	{"", "only cAdvisor", "machine_cpu_books", zero, "of s390 machines"},
	{"", "only cAdvisor", "machine_cpu_drawers", zero, "of s390 machines"},
	{"", "only cAdvisor", "machine_nvm_*", zero, "constant 0 unless built with libipmctl"},
	{"", "only cAdvisor", "machine_scrape_error", zero, "container_scrape_error tells of both"},
}
