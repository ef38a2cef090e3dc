package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Lack is accounting that this tree does not do: what is missing, which figures that costs, and what would mend it.
type Lack struct{ Missing, Costs, Mend string }

// Lacks are those of the whole tree, in the order of their weight.
func (f FS) Lacks() []Lack {
	var lacks []Lack
	costs := [...]struct{ controller, v1, v2, costs string }{
		{"memory", "memory", "memory", "container_memory_*, container_spec_memory_*, OOM kills that the runtime does not tell, and memory peaks of exit records"},
		{"cpu", "cpu", "cpu", "container_cpu_cfs_* and container_spec_cpu_*"},
		{"CPU time", "cpuacct", "", "container_cpu_usage_seconds_total, and CPU time of exit records"},
		{"pids", "pids", "pids", "container_threads and container_threads_max"},
		{"block I/O", "blkio", "io", "container_fs_*_total and container_blkio_*"},
	}
	for _, c := range costs {
		if f.version == V2 {
			if c.v2 != "" && !slices.Contains(f.controllers(), c.v2) {
				lacks = append(lacks, Lack{"no " + c.controller + " controller in cgroup.controllers", c.costs,
					fmt.Sprintf("boot without cgroup_disable=%[1]s, on some kernels with cgroup_enable=%[1]s, and leave it to no v1 hierarchy", c.v2)})
			}
			continue
		}
		if h, _ := hierarchyNamed(c.v1); f.mounts[h] == "" {
			lacks = append(lacks, Lack{"no " + c.v1 + " hierarchy is mounted at " + f.root, c.costs, "mount " + filepath.Join("/sys/fs/cgroup", c.v1) + " of the host there, with its submounts (rslave)"})
		}
	}
	return lacks
}

// controllers are those of the root of cgroup v2.
// https://docs.kernel.org/admin-guide/cgroup-v2.html#enabling-and-disabling
func (f FS) controllers() []string {
	b, err := os.ReadFile(filepath.Join(f.root, "cgroup.controllers"))
	if err != nil {
		return nil
	}
	return strings.Fields(string(b))
}
