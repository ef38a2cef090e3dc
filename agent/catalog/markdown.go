package catalog

import (
	"fmt"
	"io"
	"strings"
)

// WriteMarkdown writes METRICS.md, the reference page of every metric.
func WriteMarkdown(w io.Writer) error {
	if _, err := io.WriteString(w, pageHead); err != nil {
		return err
	}
	for g := range groups {
		d := g.Describe()
		on, cadence := "off", "every interval"
		if d.Default {
			on = "on"
		}
		if d.Slow {
			cadence = "slow"
		}
		if _, err := fmt.Fprintf(w, "| `%s` | %s | %s | %s | %s |\n", d.Name, on, cadence, d.What, d.Cost); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, tableHead); err != nil {
		return err
	}
	for _, id := range IDs() {
		m := Lookup(id)
		var labels []string
		for _, l := range m.Fixed {
			labels = append(labels, fmt.Sprintf("`%s=%q`", l.Name, l.Value))
		}
		if m.Varying != "" {
			for name := range strings.SplitSeq(m.Varying, ",") {
				labels = append(labels, "`"+name+"`")
			}
		}
		if _, err := fmt.Fprintf(w, "| `%s` | %s | %s | %s | %s | %s | %s | %s |\n", m.Name, m.Group, m.Kind, m.Unit, strings.Join(labels, " "), m.Help, m.V1, m.V2); err != nil {
			return err
		}
	}
	return nil
}

const pageHead = `# Metrics

Generated from agent/catalog by ` + "`go generate ./agent/catalog`" + `; do not edit.

Every series carries ` + "`idc`, `cluster` and `node`" + `. A container's series also carry ` + "`project`, `namespace`, `workload`, `pod`, `container`, `image`, `id` and `name`" + `;
a label without a value is left out. ` + "`container!=\"\"`" + ` selects real containers only and ` + "`id=\"/\"`" + ` the node itself; other cgroups
have their path in ` + "`id`" + ` and no ` + "`container`" + `. What a cluster is made of (` + "`workload_*`, `kube_*`" + `) comes from one agent of the cluster, which it elects, and
carries ` + "`idc` and `cluster`" + ` and the names of the object; ` + "`node`" + ` there is the node it is about. A metric whose file the kernel does not have is absent, never 0.

## Groups

` + "`--metrics.enable` and `--metrics.disable`" + ` take the names of groups, or ` + "`all`" + `. Files that only disabled groups need are not opened. Slow groups are read
every ` + "`--slow-interval`" + ` (60 s), spread over the rounds and within ` + "`--limit.slow`" + ` of each. Costs are CPU time per container and reading, caches warm, Linux 6.18.

| group | by default | read | what | cost |
|---|---|---|---|---|
`

const tableHead = `
Where the figures of a container come from the Docker engine (` + "`--docker.stats`" + `: a remote engine, or a container without a cgroup that can be read) the names are the
same. What the engine does not tell is absent: pressure, OOM kills other than by its events, the limit of swap, unreclaimable memory, on cgroup v2 the memory peak,
and the slow groups; the CPU and working set peaks are those of whole intervals, throttled shares too.

Of cAdvisor's metrics these are not sent: ` + "`container_cpu_usage_seconds_total`" + ` by CPU (beside ` + "`cpu=\"total\"`" + ` a sum would count twice), ` + "`container_tasks_state`" + ` and
` + "`container_cpu_load_*`" + ` (0 unless a netlink reader is switched on; pressure tells more), ` + "`container_referenced_bytes`" + ` (it clears bits of every process to count
them), the figures of perf, resctrl and cpuset, BFQ's debugging files (times, queues and merges by device), the node's /proc/diskstats in each
container, what only some machines have (books, drawers, memory modules) and what does not change (CPU caches, NUMA distances). ` + "`container_memory_numa_pages`" + ` has its label ` + "`node`" + ` as ` + "`numa_node`" + `, for ` + "`node`" + ` is the machine.

## All metrics

| name | group | kind | unit | own labels | meaning | source, cgroup v1 | source, cgroup v2 |
|---|---|---|---|---|---|---|---|
`
