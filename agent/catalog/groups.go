package catalog

import (
	"fmt"
	"slices"
	"strings"
)

// Group is a set of metrics that is switched on and off together, because the same files give them.
type Group uint8

// The groups. GroupCore is always on; Description tells of each what it costs and whether it is on by default.
const (
	GroupCore Group = iota
	GroupCPU
	GroupMemory
	GroupThreads
	GroupNetwork
	GroupDiskIO
	GroupPressure
	GroupProcess
	GroupFilesystem
	GroupCPUBursts
	GroupMemoryDetail
	GroupBlkio
	GroupPressurePeaks
	GroupTCP
	GroupSockets
	GroupHugetlb
	GroupNUMA
	GroupSchedstat
	GroupLayers
	groups // their number
)

// Description is what METRICS.md says of a group.
type Description struct {
	Name string
	// Default tells that the group is on unless it is disabled.
	Default bool
	// Slow tells that the group is read every --slow-interval and its samples carry the time of that reading.
	Slow bool
	What string
	Cost string // per container; CPU time of a reading with warm caches
}

// described is indexed by Group and never written.
var described = [groups]Description{
	GroupCore:       {Name: "core", Default: true, What: "start, creation, health, restarts, OOM kills and the machine; can not be disabled", Cost: "no file of its own but memory.oom_control or memory.events"},
	GroupCPU:        {Name: "cpu", Default: true, What: "CPU time, throttling, quota and shares, the peaks of both", Cost: "v1: 6 files, 4 µs; v2: 3 files, 2 µs; and one file (with a quota on v1: two) every peak interval"},
	GroupMemory:     {Name: "memory", Default: true, What: "use, working set, limits, faults, the peak", Cost: "v1: 7 files, 11 µs; v2: 8 files, 12 µs; and one file every peak interval in which the CPU moved"},
	GroupThreads:    {Name: "threads", Default: true, What: "threads and their limit", Cost: "2 files, 1 µs"},
	GroupNetwork:    {Name: "network", Default: true, What: "traffic by interface", Cost: "net/dev, 4 µs with one interface"},
	GroupDiskIO:     {Name: "diskio", Default: true, What: "traffic with block devices", Cost: "v1: up to 8 files, 2 to 5 µs; v2: io.stat, 1 µs"},
	GroupPressure:   {Name: "pressure", Default: true, What: "pressure stall information", Cost: "3 files, 5 µs"},
	GroupProcess:    {Name: "process", Default: true, Slow: true, What: "processes, open descriptors against their limit", Cost: "20 µs and 2 µs a process; before Linux 6.2 0.1 µs a descriptor too, and CAP_SYS_PTRACE is needed for processes of other users"},
	GroupFilesystem: {Name: "filesystem", Default: true, Slow: true, What: "size and use of the node's file systems", Cost: "nothing per container; 5 µs a mounted device"},

	GroupCPUBursts:     {Name: "cpu_bursts", What: "use of the burst budget, Linux 5.15", Cost: "no further file"},
	GroupMemoryDetail:  {Name: "memory_detail", What: "file lists, dirty pages, reclaim, refaults, kernel memory", Cost: "v1: one further file, 1 µs; v2: none; 6 to 9 series"},
	GroupBlkio:         {Name: "blkio", What: "diskio once more, under cAdvisor's other name; charges of the I/O cost controller", Cost: "no further file"},
	GroupPressurePeaks: {Name: "pressure_peaks", What: "the worst peak interval's share of time stalled", Cost: "3 files, 5 µs, every peak interval in which the CPU moved"},
	GroupTCP:           {Name: "tcp", Slow: true, What: "retransmissions, resets, overflows, of the network namespace", Cost: "net/snmp and net/netstat, 110 µs"},
	GroupSockets:       {Name: "sockets", Slow: true, What: "sockets by state, and those open in processes", Cost: "net/tcp and tcp6 up to 5 ms each, for the kernel walks the socket table of the whole node for every container; udp and udp6 25 µs each; 2 µs an open descriptor; needs CAP_SYS_PTRACE for processes of other users"},
	GroupHugetlb:       {Name: "hugetlb", Slow: true, What: "huge pages by size", Cost: "v1: 3 files a page size; v2: 2; 8 µs each"},
	GroupNUMA:          {Name: "numa", Slow: true, What: "memory by NUMA node", Cost: "memory.numa_stat, 10 µs"},
	GroupSchedstat:     {Name: "schedstat", Slow: true, What: "time on the CPU and waiting for it, by the scheduler", Cost: "a file a thread, 8 µs each"},
	GroupLayers:        {Name: "layers", Slow: true, What: "bytes and inodes in the writable layer and in volumes", Cost: "a walk of all files every 5 minutes, 2 to 5 µs each, in the background at a tenth of one CPU; more than 1,000,000 files have no size"},
}

// Describe returns the description of g.
func (g Group) Describe() Description { return described[g] }

// String is the group's name.
func (g Group) String() string { return described[g].Name }

// Groups is a set of groups.
type Groups uint32

// Has tells whether g is in the set.
func (s Groups) Has(g Group) bool { return s&(1<<g) != 0 }

// AllGroups is every group there is.
const AllGroups Groups = 1<<groups - 1

// DefaultGroups are the groups that are on when nobody says anything.
func DefaultGroups() Groups {
	var s Groups
	for g := range groups {
		if described[g].Default {
			s |= 1 << g
		}
	}
	return s
}

// ParseGroups is the default set with the groups named in enable added and those in disable taken out; "all" names all but core,
// which stays. What is in both is out.
func ParseGroups(enable, disable []string) (Groups, error) {
	on, err := named("enable", enable)
	if err != nil {
		return 0, err
	}
	off, err := named("disable", disable)
	if err != nil {
		return 0, err
	}
	if slices.Contains(disable, GroupCore.String()) {
		return 0, fmt.Errorf("--metrics.disable: %q can not be disabled: without it nothing tells one run of a container from the next", GroupCore)
	}
	return (DefaultGroups()|on)&^off | 1<<GroupCore, nil
}

func named(flag string, names []string) (Groups, error) {
	var s Groups
	for _, name := range names {
		g, ok := find(name)
		switch {
		case name == "all":
			s |= AllGroups
		case !ok:
			return 0, fmt.Errorf("--metrics.%s: no group is called %q; there are %s", flag, name, strings.Join(GroupNames(), ", "))
		default:
			s |= 1 << g
		}
	}
	return s, nil
}

func find(name string) (Group, bool) {
	for g := range groups {
		if described[g].Name == name {
			return g, true
		}
	}
	return 0, false
}

// GroupNames lists all groups, those on by default first.
func GroupNames() []string {
	names := make([]string, 0, groups)
	for g := range groups {
		names = append(names, described[g].Name)
	}
	return names
}
