package cgroup

import "time"

// Has says which figures of a Stats were really read: one bit for one field (HasX for X), set only when the kernel gave the value.
type Has uint64

// All reports whether every one of bits is set.
func (h Has) All(bits Has) bool { return h&bits == bits }

// The bits, in the order of the fields of Stats.
const (
	HasCPUUsage Has = 1 << iota
	HasCPUUser
	HasCPUSystem
	HasCPUPeriods
	HasCPUThrottledPeriods
	HasCPUThrottled
	HasCPUBursts
	HasCPUBurst
	HasCPUQuota // set only where there is a quota
	HasCPUPeriod
	HasCPUShares

	HasMemoryUsage
	HasMemoryWorkingSet
	HasMemoryRSS
	HasMemoryCache
	HasMemorySwap
	HasMemoryMappedFile
	HasMemoryMax
	HasMemoryPeak
	HasMemoryFailcnt
	HasMemoryLimit // set with value 0 where there is no limit
	HasMemoryReservation
	HasMemorySwapLimit // set with value 0 where there is no limit
	HasMemoryKernel
	HasMemoryShmem
	HasMemoryUnreclaimable
	HasMemoryInactiveFile
	HasMemoryActiveFile
	HasMemoryFileDirty
	HasMemoryFileWriteback

	HasMemoryPagesScanned
	HasMemoryPagesStolen
	HasMemoryRefaultAnon
	HasMemoryRefaultFile
	HasPageFaults
	HasPageFaultsTree
	HasMajorPageFaults
	HasMajorPageFaultsTree
	HasOOMKills
	HasMemoryEventsHigh
	HasMemoryEventsMax

	HasPIDs
	HasPIDsMax // set only where there is a limit

	HasIOBytes
	HasIOOps
	HasNet

	HasCPUPressure
	HasCPUPressureFull
	HasMemoryPressure
	HasMemoryPressureFull
	HasIOPressure
	HasIOPressureFull
)

// Stats is one reading of one cgroup. Counters run since the cgroup was made. Names of files: v1 before the slash, v2 after it.
// https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
type Stats struct {
	Has Has

	CPUUsage  time.Duration // cpuacct.usage, ns / cpu.stat usage_usec
	CPUUser   time.Duration // cpuacct.stat user, 10 ms ticks / cpu.stat user_usec
	CPUSystem time.Duration // cpuacct.stat system, 10 ms ticks / cpu.stat system_usec

	CPUPeriods          uint64        // cpu.stat nr_periods: enforcement periods that ended
	CPUThrottledPeriods uint64        // cpu.stat nr_throttled
	CPUThrottled        time.Duration // cpu.stat throttled_time, ns / throttled_usec; summed over CPUs
	CPUBursts           uint64        // cpu.stat nr_bursts; Linux 5.15
	CPUBurst            time.Duration // cpu.stat burst_time, ns / burst_usec

	CPUQuota  time.Duration // cpu.cfs_quota_us / cpu.max first field: CPU time per CPUPeriod
	CPUPeriod time.Duration // cpu.cfs_period_us / cpu.max second field
	CPUShares uint64        // cpu.shares / cpu.weight 1..10000 mapped to 2..262144 as cAdvisor does

	MemoryUsageBytes       uint64 // memory.usage_in_bytes / memory.current
	MemoryWorkingSetBytes  uint64 // MemoryUsageBytes - MemoryInactiveFileBytes, floor 0
	MemoryRSSBytes         uint64 // memory.stat total_rss / anon
	MemoryCacheBytes       uint64 // memory.stat total_cache / file
	MemorySwapBytes        uint64 // memory.stat total_swap / memory.swap.current
	MemoryMappedFileBytes  uint64 // memory.stat total_mapped_file / file_mapped
	MemoryMaxBytes         uint64 // memory.max_usage_in_bytes / memory.peak, Linux 5.19
	MemoryPeakBytes        uint64 // - / memory.peak, reset at each reading, Linux 6.12: highest charge since the previous one of this Group
	MemoryFailcnt          uint64 // memory.failcnt / no such file
	MemoryLimitBytes       uint64 // memory.limit_in_bytes / memory.max; 0: none
	MemoryReservationBytes uint64 // memory.soft_limit_in_bytes, 0: none / the larger of memory.min and memory.low
	MemorySwapLimitBytes   uint64 // memory.memsw.limit_in_bytes (memory and swap) / memory.swap.max (swap alone); 0: none
	MemoryKernelBytes      uint64 // memory.kmem.usage_in_bytes / memory.stat kernel, Linux 5.18
	MemoryShmemBytes       uint64 // memory.stat total_shmem / shmem: tmpfs and shared memory, part of the cache

	// MemoryUnreclaimableBytes is what the kernel cannot take back by dropping caches. v2: anon + shmem + (kernel - slab_reclaimable);
	// before Linux 5.18, which has no "kernel" line, kernel_stack + pagetables + percpu + slab_unreclaimable stands for the bracket.
	// v1: total_rss + total_shmem: v1 counts kernel memory without saying how much of it is reclaimable slab, so none is added.
	MemoryUnreclaimableBytes uint64

	MemoryInactiveFileBytes  uint64 // memory.stat total_inactive_file / inactive_file
	MemoryActiveFileBytes    uint64 // memory.stat total_active_file / active_file
	MemoryFileDirtyBytes     uint64 // memory.stat total_dirty / file_dirty
	MemoryFileWritebackBytes uint64 // memory.stat total_writeback / file_writeback

	MemoryPagesScanned  uint64 // memory.stat - / pgscan
	MemoryPagesStolen   uint64 // memory.stat - / pgsteal
	MemoryRefaultAnon   uint64 // memory.stat total_workingset_refault_anon / workingset_refault_anon, pages; Linux 5.9
	MemoryRefaultFile   uint64 // memory.stat total_workingset_refault_file / workingset_refault_file, pages; Linux 5.9
	PageFaults          uint64 // memory.stat pgfault: this cgroup alone. v2 counts trees only, so there it equals PageFaultsTree
	PageFaultsTree      uint64 // memory.stat total_pgfault / pgfault: with its descendants
	MajorPageFaults     uint64 // memory.stat pgmajfault, as PageFaults
	MajorPageFaultsTree uint64 // memory.stat total_pgmajfault / pgmajfault
	OOMKills            uint64 // memory.oom_control oom_kill, Linux 4.13 / memory.events oom_kill: processes killed
	MemoryEventsHigh    uint64 // - / memory.events high
	MemoryEventsMax     uint64 // - / memory.events max

	PIDs    uint64 // pids.current: tasks, that is threads
	PIDsMax uint64 // pids.max

	// IO has one entry for each block device with traffic. v1 reads the first of blkio.bfq.*_recursive, blkio.*_recursive (CFQ),
	// blkio.throttle.*_recursive and blkio.throttle.* that names a device; v2 reads io.stat. The slice is reused by the next Read.
	IO []IODevice
	// Net has one entry for each interface of the network namespace but lo, veth*, docker* and nerdctl*. The slice is reused by the next Read.
	Net []Interface

	CPUPressure    Pressure // cpu.pressure, of the unified tree when hybrid
	MemoryPressure Pressure // memory.pressure
	IOPressure     Pressure // io.pressure
}

// Pressure is the time tasks stood waiting for a resource. https://docs.kernel.org/accounting/psi.html
type Pressure struct {
	Some time.Duration // "some" total=: at least one task waited
	Full time.Duration // "full" total=: all tasks waited at once; cpu has it since Linux 5.13
}

// IODevice is the traffic of a cgroup with one block device.
type IODevice struct {
	Major, Minor uint32
	ReadBytes    uint64 // blkio *_service_bytes Read / io.stat rbytes
	WriteBytes   uint64 // blkio *_service_bytes Write / io.stat wbytes
	Reads        uint64 // blkio *_serviced Read / io.stat rios
	Writes       uint64 // blkio *_serviced Write / io.stat wios

	// Cost is what the I/O cost controller charged: cost.usage, cost.wait, cost.indebt, cost.indelay of io.stat. HasCost: it is switched on.
	Cost    [4]time.Duration
	HasCost bool
}

// Interface is the traffic of one network interface, from /proc/PID/net/dev.
type Interface struct {
	Name            string
	ReceiveBytes    uint64
	ReceivePackets  uint64
	ReceiveErrors   uint64
	ReceiveDropped  uint64
	TransmitBytes   uint64
	TransmitPackets uint64
	TransmitErrors  uint64
	TransmitDropped uint64
}

// Most devices and interfaces kept for one cgroup; what is beyond them is counted as a fault with reason "limit".
const (
	maxIODevices  = 256
	maxInterfaces = 256
)

// reset empties st for the next reading and keeps its slices.
func (st *Stats) reset() {
	*st = Stats{IO: st.IO[:0], Net: st.Net[:0]}
}

// put stores v in field and sets bit, or clears bit when the value was bad, false: the last line of a file that speaks of a field decides.
func (st *Stats) put(bit Has, field *uint64, v uint64, ok bool) bool {
	if !ok || !isCount(v) {
		st.Has &^= bit
		return false
	}
	*field = v
	st.Has |= bit
	return true
}

// putDuration is put for a counter of units of the given length.
func (st *Stats) putDuration(bit Has, field *time.Duration, count uint64, unit time.Duration, ok bool) bool {
	d, fits := duration(count, unit)
	if !ok || !fits {
		st.Has &^= bit
		return false
	}
	*field = d
	st.Has |= bit
	return true
}
