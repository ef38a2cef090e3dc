//go:generate go test . -run TestTheReferencePageIsUpToDate -update

package catalog

import "github.com/plimsoll/plimsoll/agent/wire"

// Container and node metrics, machine metrics, then what the Kubernetes API server tells. Members of one family stand together.
const (
	_ ID = iota
	CPUUsage
	CPUUser
	CPUSystem
	CPUPeak
	CPUPeriods
	CPUThrottledPeriods
	CPUThrottled
	CPUThrottledPeak
	CPUBurstPeriods
	CPUBurst
	SchedstatRun
	SchedstatRunqueue
	SchedstatPeriods
	SpecCPUQuota
	SpecCPUPeriod
	SpecCPUShares
	MemoryUsage
	MemoryWorkingSet
	MemoryWorkingSetPeak
	MemoryUnreclaimable
	MemoryRSS
	MemoryCache
	MemorySwap
	MemoryMappedFile
	MemoryMax
	MemoryFailcnt
	MemoryEventsHigh
	MemoryEventsMax
	MemoryActiveFile
	MemoryInactiveFile
	MemoryKernel
	MemoryFileDirty
	MemoryFileWriteback
	MemoryPagesScanned
	MemoryPagesStolen
	MemoryRefaultAnon
	MemoryRefaultFile
	PageFaultContainer
	PageFaultHierarchy
	MajorFaultContainer
	MajorFaultHierarchy
	SpecMemoryLimit
	SpecMemoryReservation
	SpecMemorySwapLimit
	NUMAFile
	NUMAAnon
	NUMAUnevictable
	NUMAFileTree
	NUMAAnonTree
	NUMAUnevictableTree
	HugetlbUsage
	HugetlbMax
	HugetlbFailcnt
	OOMEvents
	Threads
	ThreadsMax
	Processes
	FileDescriptors
	FileDescriptorsRatio
	UlimitOpenFiles
	NetworkReceiveBytes
	NetworkReceivePackets
	NetworkReceiveErrors
	NetworkReceiveDropped
	NetworkTransmitBytes
	NetworkTransmitPackets
	NetworkTransmitErrors
	NetworkTransmitDropped
	TCPStats
	TCPUsage
	TCP6Usage
	UDPUsage
	UDP6Usage
	SocketsOpen
	ReadsBytes
	Reads
	WritesBytes
	Writes
	BlkioRead
	BlkioWrite
	IOCostUsage
	IOCostWait
	IOCostIndebt
	IOCostIndelay
	FSUsage
	FSLimit
	FSInodesTotal
	FSInodesFree
	FSInodesUsed
	VolumeUsage
	PressureCPUWaiting
	PressureCPUStalled
	PressureMemoryWaiting
	PressureMemoryStalled
	PressureIOWaiting
	PressureIOStalled
	PressureCPUPeak
	PressureMemoryPeak
	PressureIOPeak
	StartTime
	CreationTime
	LastSeen
	Restarts
	Exits
	ExitCode
	ExitCPU
	ExitMemoryPeak
	ExitRuntime
	Health
	HealthStatus
	ScrapeError
	MachineCores
	MachinePhysicalCores
	MachineSockets
	MachineMemory
	MachineSwap

	RequestCPU
	LimitCPU
	RequestMemory
	LimitMemory

	WorkloadDesired
	WorkloadReady
	WorkloadUpdated
	WorkloadAtMax
	KubeDeploymentDesired
	KubeDeploymentReady
	KubeDeploymentUpdated
	KubeStatefulSetDesired
	KubeStatefulSetReady
	KubeStatefulSetUpdated
	KubeDaemonSetDesired
	KubeDaemonSetReady
	KubeDaemonSetUpdated
	KubeHPAMin
	KubeHPAMax
	KubeHPACurrent
	KubeHPADesired
	KubeResourceQuota
	KubeNamespaceLabels
	KubeNodeAllocatable
	KubeNodeCondition
	SwarmNodeReady
	count
)

// metrics is indexed by ID and never written.
var metrics = [count]Metric{
	CPUUsage:            {Name: "container_cpu_usage_seconds_total", Kind: Counter, Unit: "seconds", Help: "CPU time consumed.", V1: "cpuacct.usage", V2: "cpu.stat usage_usec", Fixed: []wire.Label{{Name: "cpu", Value: "total"}}, Group: GroupCPU},
	CPUUser:             {Name: "container_cpu_user_seconds_total", Kind: Counter, Unit: "seconds", Help: "CPU time consumed in user mode; cgroup v1 counts in ticks of 10 ms.", V1: "cpuacct.stat user", V2: "cpu.stat user_usec", Group: GroupCPU},
	CPUSystem:           {Name: "container_cpu_system_seconds_total", Kind: Counter, Unit: "seconds", Help: "CPU time consumed in kernel mode; cgroup v1 counts in ticks of 10 ms.", V1: "cpuacct.stat system", V2: "cpu.stat system_usec", Group: GroupCPU},
	CPUPeak:             {Name: "container_cpu_peak_cores", Kind: Gauge, Unit: "cores", Help: "Highest CPU use of one peak interval (1 s) since the previous sample.", V1: "cpuacct.usage, read every peak interval", V2: "cpu.stat usage_usec, read every peak interval", Group: GroupCPU},
	CPUPeriods:          {Name: "container_cpu_cfs_periods_total", Kind: Counter, Unit: "count", Help: "Elapsed enforcement periods; only with a CPU quota.", V1: "cpu.stat nr_periods", V2: "cpu.stat nr_periods", Group: GroupCPU},
	CPUThrottledPeriods: {Name: "container_cpu_cfs_throttled_periods_total", Kind: Counter, Unit: "count", Help: "Enforcement periods in which the quota was exhausted; only with a CPU quota.", V1: "cpu.stat nr_throttled", V2: "cpu.stat nr_throttled", Group: GroupCPU},
	CPUThrottled:        {Name: "container_cpu_cfs_throttled_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time run queues were throttled, summed over CPUs; only with a CPU quota.", V1: "cpu.stat throttled_time", V2: "cpu.stat throttled_usec", Group: GroupCPU},
	CPUThrottledPeak:    {Name: "container_cpu_throttled_peak_ratio", Kind: Gauge, Unit: "ratio", Help: "Highest share of enforcement periods throttled in one peak interval (1 s) since the previous sample; only with a CPU quota.", V1: "cpu.stat nr_throttled / nr_periods, read every peak interval in which the CPU moved", V2: "cpu.stat nr_throttled / nr_periods, read every peak interval", Group: GroupCPU},
	CPUBurstPeriods:     {Name: "container_cpu_cfs_burst_periods_total", Kind: Counter, Unit: "count", Help: "Enforcement periods in which the burst budget was used; only with a CPU quota.", V1: "cpu.stat nr_bursts", V2: "cpu.stat nr_bursts", Group: GroupCPUBursts},
	CPUBurst:            {Name: "container_cpu_cfs_burst_seconds_total", Kind: Counter, Unit: "seconds", Help: "CPU time above the quota, out of the burst budget; only with a CPU quota.", V1: "cpu.stat burst_time", V2: "cpu.stat burst_usec", Group: GroupCPUBursts},
	SchedstatRun:        {Name: "container_cpu_schedstat_run_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time the threads ran, summed since the agent saw them.", V1: "/proc/PID/task/TID/schedstat field 1", V2: "/proc/PID/task/TID/schedstat field 1", Group: GroupSchedstat},
	SchedstatRunqueue:   {Name: "container_cpu_schedstat_runqueue_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time the threads waited for a CPU.", V1: "/proc/PID/task/TID/schedstat field 2", V2: "/proc/PID/task/TID/schedstat field 2", Group: GroupSchedstat},
	SchedstatPeriods:    {Name: "container_cpu_schedstat_run_periods_total", Kind: Counter, Unit: "count", Help: "Times the threads were given a CPU.", V1: "/proc/PID/task/TID/schedstat field 3", V2: "/proc/PID/task/TID/schedstat field 3", Group: GroupSchedstat},
	SpecCPUQuota:        {Name: "container_spec_cpu_quota", Kind: Gauge, Unit: "microseconds", Help: "CPU time allowed per period; absent without a quota.", V1: "cpu.cfs_quota_us", V2: "cpu.max, first field", Group: GroupCPU},
	SpecCPUPeriod:       {Name: "container_spec_cpu_period", Kind: Gauge, Unit: "microseconds", Help: "Length of the enforcement period.", V1: "cpu.cfs_period_us", V2: "cpu.max, second field", Group: GroupCPU},
	SpecCPUShares:       {Name: "container_spec_cpu_shares", Kind: Gauge, Unit: "shares", Help: "Relative weight under contention, 2 to 262144.", V1: "cpu.shares", V2: "cpu.weight, converted", Group: GroupCPU},

	MemoryUsage:           {Name: "container_memory_usage_bytes", Kind: Gauge, Unit: "bytes", Help: "Memory charged, page cache and kernel memory included.", V1: "memory.usage_in_bytes", V2: "memory.current", Group: GroupMemory},
	MemoryWorkingSet:      {Name: "container_memory_working_set_bytes", Kind: Gauge, Unit: "bytes", Help: "Memory charged less inactive file pages, not below 0.", V1: "memory.usage_in_bytes - memory.stat total_inactive_file", V2: "memory.current - memory.stat inactive_file", Group: GroupMemory},
	MemoryWorkingSetPeak:  {Name: "container_memory_working_set_peak_bytes", Kind: Gauge, Unit: "bytes", Help: "Highest working set since the previous sample: memory charged, less the inactive file pages of the previous sample. Looked at every peak interval (1 s), or exact where the kernel keeps the peak.", V1: "memory.usage_in_bytes, read every peak interval", V2: "memory.peak, reset at each sample (6.12 and later, cgroups mounted writable), else memory.current, read every peak interval", Group: GroupMemory},
	MemoryUnreclaimable:   {Name: "container_memory_unreclaimable_bytes", Kind: Gauge, Unit: "bytes", Help: "Memory the kernel can not free without swap: anonymous, shared and unreclaimable kernel memory.", V1: "memory.stat total_rss + total_shmem, memory.kmem.usage_in_bytes where present", V2: "memory.stat anon + shmem + kernel - slab_reclaimable", Group: GroupMemory},
	MemoryRSS:             {Name: "container_memory_rss", Kind: Gauge, Unit: "bytes", Help: "Anonymous memory.", V1: "memory.stat total_rss", V2: "memory.stat anon", Group: GroupMemory},
	MemoryCache:           {Name: "container_memory_cache", Kind: Gauge, Unit: "bytes", Help: "Page cache, tmpfs and shared memory included.", V1: "memory.stat total_cache", V2: "memory.stat file", Group: GroupMemory},
	MemorySwap:            {Name: "container_memory_swap", Kind: Gauge, Unit: "bytes", Help: "Swap in use.", V1: "memory.stat total_swap", V2: "memory.swap.current", Group: GroupMemory},
	MemoryMappedFile:      {Name: "container_memory_mapped_file", Kind: Gauge, Unit: "bytes", Help: "File memory mapped into processes.", V1: "memory.stat total_mapped_file", V2: "memory.stat file_mapped", Group: GroupMemory},
	MemoryMax:             {Name: "container_memory_max_usage_bytes", Kind: Gauge, Unit: "bytes", Help: "Highest memory charge since the container's start.", V1: "memory.max_usage_in_bytes", V2: "memory.peak (5.19 and later)", Group: GroupMemory},
	MemoryFailcnt:         {Name: "container_memory_failcnt", Kind: Counter, Unit: "count", Help: "Charges refused at the limit before reclaim.", V1: "memory.failcnt", V2: "-", Group: GroupMemory},
	MemoryEventsHigh:      {Name: "container_memory_events_high_total", Kind: Counter, Unit: "count", Help: "Times processes were throttled for memory.high.", V1: "-", V2: "memory.events high", Group: GroupMemory},
	MemoryEventsMax:       {Name: "container_memory_events_max_total", Kind: Counter, Unit: "count", Help: "Times usage was about to pass memory.max.", V1: "-", V2: "memory.events max", Group: GroupMemory},
	MemoryActiveFile:      {Name: "container_memory_total_active_file_bytes", Kind: Gauge, Unit: "bytes", Help: "File pages on the active list.", V1: "memory.stat total_active_file", V2: "memory.stat active_file", Group: GroupMemoryDetail},
	MemoryInactiveFile:    {Name: "container_memory_total_inactive_file_bytes", Kind: Gauge, Unit: "bytes", Help: "File pages on the inactive list.", V1: "memory.stat total_inactive_file", V2: "memory.stat inactive_file", Group: GroupMemoryDetail},
	MemoryKernel:          {Name: "container_memory_kernel_usage", Kind: Gauge, Unit: "bytes", Help: "Kernel memory.", V1: "memory.kmem.usage_in_bytes", V2: "memory.stat kernel (5.18 and later)", Group: GroupMemoryDetail},
	MemoryFileDirty:       {Name: "container_memory_file_dirty_bytes", Kind: Gauge, Unit: "bytes", Help: "File pages not written yet.", V1: "memory.stat total_dirty", V2: "memory.stat file_dirty", Group: GroupMemoryDetail},
	MemoryFileWriteback:   {Name: "container_memory_file_writeback_bytes", Kind: Gauge, Unit: "bytes", Help: "File pages being written.", V1: "memory.stat total_writeback", V2: "memory.stat file_writeback", Group: GroupMemoryDetail},
	MemoryPagesScanned:    {Name: "container_memory_pgscan_total", Kind: Counter, Unit: "pages", Help: "Pages looked at for reclaim.", V1: "-", V2: "memory.stat pgscan", Group: GroupMemoryDetail},
	MemoryPagesStolen:     {Name: "container_memory_pgsteal_total", Kind: Counter, Unit: "pages", Help: "Pages reclaimed.", V1: "-", V2: "memory.stat pgsteal", Group: GroupMemoryDetail},
	MemoryRefaultAnon:     {Name: "container_memory_workingset_refault_anon_total", Kind: Counter, Unit: "pages", Help: "Anonymous pages read back soon after they were reclaimed.", V1: "memory.stat total_workingset_refault_anon (5.9 and later)", V2: "memory.stat workingset_refault_anon (5.9 and later)", Group: GroupMemoryDetail},
	MemoryRefaultFile:     {Name: "container_memory_workingset_refault_file_total", Kind: Counter, Unit: "pages", Help: "File pages read back soon after they were reclaimed.", V1: "memory.stat total_workingset_refault_file (5.9 and later)", V2: "memory.stat workingset_refault_file (5.9 and later)", Group: GroupMemoryDetail},
	PageFaultContainer:    {Name: "container_memory_failures_total", Kind: Counter, Unit: "count", Help: "Page faults; pgmajfault had to read from disk.", V1: "memory.stat pgfault", V2: "memory.stat pgfault", Fixed: []wire.Label{{Name: "failure_type", Value: "pgfault"}, {Name: "scope", Value: "container"}}, Group: GroupMemory},
	PageFaultHierarchy:    {Name: "container_memory_failures_total", Kind: Counter, Unit: "count", Help: "Page faults; pgmajfault had to read from disk.", V1: "memory.stat total_pgfault", V2: "memory.stat pgfault", Fixed: []wire.Label{{Name: "failure_type", Value: "pgfault"}, {Name: "scope", Value: "hierarchy"}}, Group: GroupMemory},
	MajorFaultContainer:   {Name: "container_memory_failures_total", Kind: Counter, Unit: "count", Help: "Page faults; pgmajfault had to read from disk.", V1: "memory.stat pgmajfault", V2: "memory.stat pgmajfault", Fixed: []wire.Label{{Name: "failure_type", Value: "pgmajfault"}, {Name: "scope", Value: "container"}}, Group: GroupMemory},
	MajorFaultHierarchy:   {Name: "container_memory_failures_total", Kind: Counter, Unit: "count", Help: "Page faults; pgmajfault had to read from disk.", V1: "memory.stat total_pgmajfault", V2: "memory.stat pgmajfault", Fixed: []wire.Label{{Name: "failure_type", Value: "pgmajfault"}, {Name: "scope", Value: "hierarchy"}}, Group: GroupMemory},
	SpecMemoryLimit:       {Name: "container_spec_memory_limit_bytes", Kind: Gauge, Unit: "bytes", Help: "Memory limit; 0 without one.", V1: "memory.limit_in_bytes", V2: "memory.max", Group: GroupMemory},
	SpecMemoryReservation: {Name: "container_spec_memory_reservation_limit_bytes", Kind: Gauge, Unit: "bytes", Help: "Memory reservation; 0 without one.", V1: "memory.soft_limit_in_bytes", V2: "memory.min", Group: GroupMemory},
	SpecMemorySwapLimit:   {Name: "container_spec_memory_swap_limit_bytes", Kind: Gauge, Unit: "bytes", Help: "Swap limit; memory and swap together on cgroup v1; 0 without one.", V1: "memory.memsw.limit_in_bytes", V2: "memory.swap.max", Group: GroupMemory},
	NUMAFile:              {Name: "container_memory_numa_pages", Kind: Gauge, Unit: "pages", Help: "Pages of 4 KiB by NUMA node; cgroup v2 counts the hierarchy alone.", V1: "memory.numa_stat file", V2: "-", Fixed: []wire.Label{{Name: "type", Value: "file"}, {Name: "scope", Value: "container"}}, Varying: "numa_node", Group: GroupNUMA},
	NUMAAnon:              {Name: "container_memory_numa_pages", Kind: Gauge, Unit: "pages", Help: "Pages of 4 KiB by NUMA node; cgroup v2 counts the hierarchy alone.", V1: "memory.numa_stat anon", V2: "-", Fixed: []wire.Label{{Name: "type", Value: "anon"}, {Name: "scope", Value: "container"}}, Varying: "numa_node", Group: GroupNUMA},
	NUMAUnevictable:       {Name: "container_memory_numa_pages", Kind: Gauge, Unit: "pages", Help: "Pages of 4 KiB by NUMA node; cgroup v2 counts the hierarchy alone.", V1: "memory.numa_stat unevictable", V2: "-", Fixed: []wire.Label{{Name: "type", Value: "unevictable"}, {Name: "scope", Value: "container"}}, Varying: "numa_node", Group: GroupNUMA},
	NUMAFileTree:          {Name: "container_memory_numa_pages", Kind: Gauge, Unit: "pages", Help: "Pages of 4 KiB by NUMA node; cgroup v2 counts the hierarchy alone.", V1: "memory.numa_stat hierarchical_file", V2: "memory.numa_stat file", Fixed: []wire.Label{{Name: "type", Value: "file"}, {Name: "scope", Value: "hierarchy"}}, Varying: "numa_node", Group: GroupNUMA},
	NUMAAnonTree:          {Name: "container_memory_numa_pages", Kind: Gauge, Unit: "pages", Help: "Pages of 4 KiB by NUMA node; cgroup v2 counts the hierarchy alone.", V1: "memory.numa_stat hierarchical_anon", V2: "memory.numa_stat anon", Fixed: []wire.Label{{Name: "type", Value: "anon"}, {Name: "scope", Value: "hierarchy"}}, Varying: "numa_node", Group: GroupNUMA},
	NUMAUnevictableTree:   {Name: "container_memory_numa_pages", Kind: Gauge, Unit: "pages", Help: "Pages of 4 KiB by NUMA node; cgroup v2 counts the hierarchy alone.", V1: "memory.numa_stat hierarchical_unevictable", V2: "memory.numa_stat unevictable", Fixed: []wire.Label{{Name: "type", Value: "unevictable"}, {Name: "scope", Value: "hierarchy"}}, Varying: "numa_node", Group: GroupNUMA},
	HugetlbUsage:          {Name: "container_hugetlb_usage_bytes", Kind: Gauge, Unit: "bytes", Help: "Huge pages in use, on v2 reserved ones where the kernel counts them.", V1: "hugetlb.SIZE.usage_in_bytes", V2: "hugetlb.SIZE.rsvd.current, else hugetlb.SIZE.current", Varying: "pagesize", Group: GroupHugetlb},
	HugetlbMax:            {Name: "container_hugetlb_max_usage_bytes", Kind: Gauge, Unit: "bytes", Help: "Highest use of huge pages.", V1: "hugetlb.SIZE.max_usage_in_bytes", V2: "-", Varying: "pagesize", Group: GroupHugetlb},
	HugetlbFailcnt:        {Name: "container_hugetlb_failcnt", Kind: Counter, Unit: "count", Help: "Huge pages refused at the limit.", V1: "hugetlb.SIZE.failcnt", V2: "hugetlb.SIZE.events max", Varying: "pagesize", Group: GroupHugetlb},
	OOMEvents:             {Name: "container_oom_events_total", Kind: Counter, Unit: "count", Help: "Processes killed for want of memory. Counted per slot: 0 from discovery on, kept across restarts of the container and 15 minutes after it is gone.", V1: "memory.oom_control oom_kill, engine events", V2: "memory.events oom_kill, engine events"},

	Threads:              {Name: "container_threads", Kind: Gauge, Unit: "count", Help: "Threads and processes.", V1: "pids.current", V2: "pids.current", Group: GroupThreads},
	ThreadsMax:           {Name: "container_threads_max", Kind: Gauge, Unit: "count", Help: "Limit of threads and processes; absent without one.", V1: "pids.max", V2: "pids.max", Group: GroupThreads},
	Processes:            {Name: "container_processes", Kind: Gauge, Unit: "count", Help: "Processes, those of nested cgroups included.", V1: "cgroup.procs", V2: "cgroup.procs", Group: GroupProcess},
	FileDescriptors:      {Name: "container_file_descriptors", Kind: Gauge, Unit: "count", Help: "Open descriptors of all processes.", V1: "/proc/PID/fd", V2: "/proc/PID/fd", Group: GroupProcess},
	FileDescriptorsRatio: {Name: "container_process_file_descriptors_ratio", Kind: Gauge, Unit: "ratio", Help: "Open descriptors of the process that has most, over its own soft limit; absent where that is unlimited.", V1: "/proc/PID/fd, /proc/PID/limits", V2: "/proc/PID/fd, /proc/PID/limits", Group: GroupProcess},
	UlimitOpenFiles:      {Name: "container_ulimits_soft", Kind: Gauge, Unit: "count", Help: "Soft limit of the first process; -1 is unlimited.", V1: "/proc/PID/limits", V2: "/proc/PID/limits", Fixed: []wire.Label{{Name: "ulimit", Value: "max_open_files"}}, Group: GroupProcess},

	NetworkReceiveBytes:    {Name: "container_network_receive_bytes_total", Kind: Counter, Unit: "bytes", Help: "Bytes received.", V1: "/proc/PID/net/dev", V2: "/proc/PID/net/dev", Varying: "interface", Group: GroupNetwork},
	NetworkReceivePackets:  {Name: "container_network_receive_packets_total", Kind: Counter, Unit: "count", Help: "Packets received.", V1: "/proc/PID/net/dev", V2: "/proc/PID/net/dev", Varying: "interface", Group: GroupNetwork},
	NetworkReceiveErrors:   {Name: "container_network_receive_errors_total", Kind: Counter, Unit: "count", Help: "Receive errors.", V1: "/proc/PID/net/dev", V2: "/proc/PID/net/dev", Varying: "interface", Group: GroupNetwork},
	NetworkReceiveDropped:  {Name: "container_network_receive_packets_dropped_total", Kind: Counter, Unit: "count", Help: "Received packets dropped.", V1: "/proc/PID/net/dev", V2: "/proc/PID/net/dev", Varying: "interface", Group: GroupNetwork},
	NetworkTransmitBytes:   {Name: "container_network_transmit_bytes_total", Kind: Counter, Unit: "bytes", Help: "Bytes transmitted.", V1: "/proc/PID/net/dev", V2: "/proc/PID/net/dev", Varying: "interface", Group: GroupNetwork},
	NetworkTransmitPackets: {Name: "container_network_transmit_packets_total", Kind: Counter, Unit: "count", Help: "Packets transmitted.", V1: "/proc/PID/net/dev", V2: "/proc/PID/net/dev", Varying: "interface", Group: GroupNetwork},
	NetworkTransmitErrors:  {Name: "container_network_transmit_errors_total", Kind: Counter, Unit: "count", Help: "Transmit errors.", V1: "/proc/PID/net/dev", V2: "/proc/PID/net/dev", Varying: "interface", Group: GroupNetwork},
	NetworkTransmitDropped: {Name: "container_network_transmit_packets_dropped_total", Kind: Counter, Unit: "count", Help: "Packets dropped while transmitting.", V1: "/proc/PID/net/dev", V2: "/proc/PID/net/dev", Varying: "interface", Group: GroupNetwork},
	TCPStats:               {Name: "container_network_advance_tcp_stats_total", Kind: Counter, Unit: "count", Help: "Events of TCP in the network namespace; currestab is a gauge, the connections established.", V1: "/proc/PID/net/snmp, net/netstat", V2: "/proc/PID/net/snmp, net/netstat", Varying: "tcp_state", Group: GroupTCP},
	TCPUsage:               {Name: "container_network_tcp_usage_total", Kind: Gauge, Unit: "count", Help: "TCP sockets of IPv4 by state.", V1: "/proc/PID/net/tcp", V2: "/proc/PID/net/tcp", Varying: "tcp_state", Group: GroupSockets},
	TCP6Usage:              {Name: "container_network_tcp6_usage_total", Kind: Gauge, Unit: "count", Help: "TCP sockets of IPv6 by state.", V1: "/proc/PID/net/tcp6", V2: "/proc/PID/net/tcp6", Varying: "tcp_state", Group: GroupSockets},
	UDPUsage:               {Name: "container_network_udp_usage_total", Kind: Gauge, Unit: "count", Help: "UDP sockets of IPv4 that listen, bytes queued in them, datagrams they dropped.", V1: "/proc/PID/net/udp", V2: "/proc/PID/net/udp", Varying: "udp_state", Group: GroupSockets},
	UDP6Usage:              {Name: "container_network_udp6_usage_total", Kind: Gauge, Unit: "count", Help: "UDP sockets of IPv6 that listen, bytes queued in them, datagrams they dropped.", V1: "/proc/PID/net/udp6", V2: "/proc/PID/net/udp6", Varying: "udp_state", Group: GroupSockets},
	SocketsOpen:            {Name: "container_sockets", Kind: Gauge, Unit: "count", Help: "Descriptors of all processes that are sockets.", V1: "/proc/PID/fd", V2: "/proc/PID/fd", Group: GroupSockets},

	ReadsBytes:    {Name: "container_fs_reads_bytes_total", Kind: Counter, Unit: "bytes", Help: "Bytes read from the block device.", V1: "blkio.throttle.io_service_bytes and its relatives", V2: "io.stat rbytes", Varying: "device", Group: GroupDiskIO},
	Reads:         {Name: "container_fs_reads_total", Kind: Counter, Unit: "count", Help: "Read operations on the block device.", V1: "blkio.throttle.io_serviced and its relatives", V2: "io.stat rios", Varying: "device", Group: GroupDiskIO},
	WritesBytes:   {Name: "container_fs_writes_bytes_total", Kind: Counter, Unit: "bytes", Help: "Bytes written to the block device.", V1: "blkio.throttle.io_service_bytes and its relatives", V2: "io.stat wbytes", Varying: "device", Group: GroupDiskIO},
	Writes:        {Name: "container_fs_writes_total", Kind: Counter, Unit: "count", Help: "Write operations on the block device.", V1: "blkio.throttle.io_serviced and its relatives", V2: "io.stat wios", Varying: "device", Group: GroupDiskIO},
	BlkioRead:     {Name: "container_blkio_device_usage_total", Kind: Counter, Unit: "bytes", Help: "Bytes read from and written to the block device.", V1: "blkio.throttle.io_service_bytes and its relatives", V2: "io.stat rbytes", Fixed: []wire.Label{{Name: "operation", Value: "Read"}}, Varying: "device,major,minor", Group: GroupBlkio},
	BlkioWrite:    {Name: "container_blkio_device_usage_total", Kind: Counter, Unit: "bytes", Help: "Bytes read from and written to the block device.", V1: "blkio.throttle.io_service_bytes and its relatives", V2: "io.stat wbytes", Fixed: []wire.Label{{Name: "operation", Value: "Write"}}, Varying: "device,major,minor", Group: GroupBlkio},
	IOCostUsage:   {Name: "container_fs_io_cost_usage_seconds_total", Kind: Counter, Unit: "seconds", Help: "Device time charged to the cgroup; only where the I/O cost controller is on.", V1: "-", V2: "io.stat cost.usage", Varying: "device", Group: GroupBlkio},
	IOCostWait:    {Name: "container_fs_io_cost_wait_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time I/O waited for its turn; only where the I/O cost controller is on.", V1: "-", V2: "io.stat cost.wait", Varying: "device", Group: GroupBlkio},
	IOCostIndebt:  {Name: "container_fs_io_cost_indebt_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time in debt for I/O that could not wait; only where the I/O cost controller is on.", V1: "-", V2: "io.stat cost.indebt", Varying: "device", Group: GroupBlkio},
	IOCostIndelay: {Name: "container_fs_io_cost_indelay_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time tasks were held back to pay the debt; only where the I/O cost controller is on.", V1: "-", V2: "io.stat cost.indelay", Varying: "device", Group: GroupBlkio},
	FSUsage:       {Name: "container_fs_usage_bytes", Kind: Gauge, Unit: "bytes", Help: "Bytes in use: of the node's file system (group filesystem), of the container's writable layer on the device that holds it (group layers).", V1: "statfs; walk of the overlay upper directory", V2: "statfs; walk of the overlay upper directory", Varying: "device", Group: GroupFilesystem},
	FSLimit:       {Name: "container_fs_limit_bytes", Kind: Gauge, Unit: "bytes", Help: "Size of the file system.", V1: "statfs", V2: "statfs", Varying: "device", Group: GroupFilesystem},
	FSInodesTotal: {Name: "container_fs_inodes_total", Kind: Gauge, Unit: "count", Help: "Inodes of the node's file system; absent where it has no fixed number.", V1: "statfs", V2: "statfs", Varying: "device", Group: GroupFilesystem},
	FSInodesFree:  {Name: "container_fs_inodes_free", Kind: Gauge, Unit: "count", Help: "Free inodes of the node's file system.", V1: "statfs", V2: "statfs", Varying: "device", Group: GroupFilesystem},
	FSInodesUsed:  {Name: "container_fs_inodes_used", Kind: Gauge, Unit: "count", Help: "Files and directories in the container's writable layer.", V1: "walk of the overlay upper directory", V2: "walk of the overlay upper directory", Varying: "device", Group: GroupLayers},
	VolumeUsage:   {Name: "container_volume_usage_bytes", Kind: Gauge, Unit: "bytes", Help: "Bytes in a named volume of the engine, by the path it is mounted on.", V1: "walk of the volume", V2: "walk of the volume", Varying: "volume", Group: GroupLayers},

	PressureCPUWaiting:    {Name: "container_pressure_cpu_waiting_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time some task waited for CPU (PSI some); throttling counts too.", V1: "hybrid: unified cpu.pressure some", V2: "cpu.pressure some", Group: GroupPressure},
	PressureCPUStalled:    {Name: "container_pressure_cpu_stalled_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time all tasks waited for CPU (PSI full).", V1: "hybrid: unified cpu.pressure full", V2: "cpu.pressure full", Group: GroupPressure},
	PressureMemoryWaiting: {Name: "container_pressure_memory_waiting_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time some task waited for memory (PSI some).", V1: "hybrid: unified memory.pressure some", V2: "memory.pressure some", Group: GroupPressure},
	PressureMemoryStalled: {Name: "container_pressure_memory_stalled_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time all tasks waited for memory (PSI full).", V1: "hybrid: unified memory.pressure full", V2: "memory.pressure full", Group: GroupPressure},
	PressureIOWaiting:     {Name: "container_pressure_io_waiting_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time some task waited for I/O (PSI some).", V1: "hybrid: unified io.pressure some", V2: "io.pressure some", Group: GroupPressure},
	PressureIOStalled:     {Name: "container_pressure_io_stalled_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time all tasks waited for I/O (PSI full).", V1: "hybrid: unified io.pressure full", V2: "io.pressure full", Group: GroupPressure},
	PressureCPUPeak:       {Name: "container_pressure_cpu_waiting_peak_ratio", Kind: Gauge, Unit: "ratio", Help: "Highest share of one peak interval (1 s) since the previous sample in which some task waited for CPU.", V1: "hybrid: unified cpu.pressure some, every peak interval", V2: "cpu.pressure some, every peak interval", Group: GroupPressurePeaks},
	PressureMemoryPeak:    {Name: "container_pressure_memory_waiting_peak_ratio", Kind: Gauge, Unit: "ratio", Help: "Highest share of one peak interval in which some task waited for memory.", V1: "hybrid: unified memory.pressure some, every peak interval", V2: "memory.pressure some, every peak interval", Group: GroupPressurePeaks},
	PressureIOPeak:        {Name: "container_pressure_io_waiting_peak_ratio", Kind: Gauge, Unit: "ratio", Help: "Highest share of one peak interval in which some task waited for I/O.", V1: "hybrid: unified io.pressure some, every peak interval", V2: "io.pressure some, every peak interval", Group: GroupPressurePeaks},

	StartTime:      {Name: "container_start_time_seconds", Kind: Gauge, Unit: "unix seconds", Help: "Start of the container's present run; of the node: its boot.", V1: "engine inspect StartedAt; /proc/stat btime", V2: "engine inspect StartedAt; /proc/stat btime"},
	CreationTime:   {Name: "container_creation_time_seconds", Kind: Gauge, Unit: "unix seconds", Help: "Creation of the container, which restarts do not change.", V1: "engine inspect Created", V2: "engine inspect Created"},
	LastSeen:       {Name: "container_last_seen", Kind: Gauge, Unit: "unix seconds", Help: "Time of the newest reading.", V1: "clock", V2: "clock"},
	Restarts:       {Name: "container_restarts_total", Kind: Counter, Unit: "count", Help: "Restarts. Counted per slot: 0 from discovery on, kept across restarts and 15 minutes after the container is gone.", V1: "engine inspect and events", V2: "engine inspect and events"},
	Exits:          {Name: "container_exits_total", Kind: Counter, Unit: "count", Help: "Exits by reason: stopped (asked for, whatever the code: docker stop, kill, restart or rm, a Swarm's or a Deployment's change, the deletion of the pod), completed (code 0), oom_killed, signalled (code above 128), error (any other code), unknown. Counted per slot as container_restarts_total; a reason appears with its first exit, as 0 the interval before.", V1: "engine events", V2: "engine events", Varying: "reason"},
	ExitCode:       {Name: "container_exit_code", Kind: Gauge, Unit: "code", Help: "Exit record: code of the container's exit; 128 + number for a signal. One sample at the time of the exit, ended in the second interval after it, as are the other metrics of the record.", V1: "engine events", V2: "engine events", Varying: "reason"},
	ExitCPU:        {Name: "container_exit_cpu_seconds", Kind: Gauge, Unit: "seconds", Help: "Exit record: CPU time consumed from start to exit. Where the final reading came too late, which plimsoll_agent_final_readings_missed_total counts, as of the reading before it, at most a peak interval old; absent where there was none.", V1: "cpuacct.usage, final reading", V2: "cpu.stat usage_usec, final reading", Varying: "reason"},
	ExitMemoryPeak: {Name: "container_exit_memory_peak_bytes", Kind: Gauge, Unit: "bytes", Help: "Exit record: highest memory charge from start to exit. Where the final reading came too late, as of the newest full one; absent where there was none.", V1: "memory.max_usage_in_bytes, final reading", V2: "memory.peak (5.19 and later), final reading", Varying: "reason"},
	ExitRuntime:    {Name: "container_exit_runtime_seconds", Kind: Gauge, Unit: "seconds", Help: "Exit record: time from start to exit.", V1: "engine inspect StartedAt and events", V2: "engine inspect StartedAt and events", Varying: "reason"},
	Health:         {Name: "container_health_state", Kind: Gauge, Unit: "state", Help: "Health check: 1 healthy, 0 starting or unhealthy, -1 no health check.", V1: "engine inspect and events", V2: "engine inspect and events"},
	HealthStatus:   {Name: "container_health_status", Kind: Gauge, Unit: "boolean", Help: "1 for the state the health check is in, 0 for the others; a container without one has status none alone.", V1: "engine inspect and events", V2: "engine inspect and events", Varying: "status"},
	ScrapeError:    {Name: "container_scrape_error", Kind: Gauge, Unit: "boolean", Help: "1 when the last reading of some container on the node lacked a file that could be opened before, else 0.", V1: "agent", V2: "agent"},

	MachineCores:         {Name: "machine_cpu_cores", Kind: Gauge, Unit: "count", Help: "Logical CPUs online.", V1: "/sys/devices/system/cpu", V2: "/sys/devices/system/cpu"},
	MachinePhysicalCores: {Name: "machine_cpu_physical_cores", Kind: Gauge, Unit: "count", Help: "Physical CPU cores.", V1: "/sys/devices/system/cpu, /proc/cpuinfo", V2: "/sys/devices/system/cpu, /proc/cpuinfo"},
	MachineSockets:       {Name: "machine_cpu_sockets", Kind: Gauge, Unit: "count", Help: "CPU sockets.", V1: "/sys/devices/system/cpu, /proc/cpuinfo", V2: "/sys/devices/system/cpu, /proc/cpuinfo"},
	MachineMemory:        {Name: "machine_memory_bytes", Kind: Gauge, Unit: "bytes", Help: "Memory installed, as the kernel counts it.", V1: "/proc/meminfo MemTotal", V2: "/proc/meminfo MemTotal"},
	MachineSwap:          {Name: "machine_swap_bytes", Kind: Gauge, Unit: "bytes", Help: "Swap space.", V1: "/proc/meminfo SwapTotal", V2: "/proc/meminfo SwapTotal"},

	RequestCPU:    {Name: "container_request_cpu_cores", Kind: Gauge, Unit: "cores", Help: "CPU the container of a pod asks for; absent without a request.", V1: "Kubernetes API: Pod resources.requests", V2: "Kubernetes API: Pod resources.requests"},
	LimitCPU:      {Name: "container_limit_cpu_cores", Kind: Gauge, Unit: "cores", Help: "CPU the container of a pod may use; absent without a limit.", V1: "Kubernetes API: Pod resources.limits", V2: "Kubernetes API: Pod resources.limits"},
	RequestMemory: {Name: "container_request_memory_bytes", Kind: Gauge, Unit: "bytes", Help: "Memory the container of a pod asks for; absent without a request.", V1: "Kubernetes API: Pod resources.requests", V2: "Kubernetes API: Pod resources.requests"},
	LimitMemory:   {Name: "container_limit_memory_bytes", Kind: Gauge, Unit: "bytes", Help: "Memory the container of a pod may use; absent without a limit.", V1: "Kubernetes API: Pod resources.limits", V2: "Kubernetes API: Pod resources.limits"},

	WorkloadDesired:        {Name: "workload_desired_replicas", Kind: Gauge, Unit: "count", Help: "Replicas a workload should have.", V1: "Kubernetes API: Deployment, StatefulSet, DaemonSet; Docker Engine API: Swarm service", V2: "Kubernetes API: Deployment, StatefulSet, DaemonSet; Docker Engine API: Swarm service"},
	WorkloadReady:          {Name: "workload_ready_replicas", Kind: Gauge, Unit: "count", Help: "Replicas of a workload that are ready.", V1: "Kubernetes API: Deployment, StatefulSet, DaemonSet; Docker Engine API: Swarm service", V2: "Kubernetes API: Deployment, StatefulSet, DaemonSet; Docker Engine API: Swarm service"},
	WorkloadUpdated:        {Name: "workload_updated_replicas", Kind: Gauge, Unit: "count", Help: "Replicas of a workload that are of its newest version.", V1: "Kubernetes API: Deployment, StatefulSet, DaemonSet; Docker Engine API: Swarm service", V2: "Kubernetes API: Deployment, StatefulSet, DaemonSet; Docker Engine API: Swarm service"},
	WorkloadAtMax:          {Name: "workload_autoscaler_at_max", Kind: Gauge, Unit: "boolean", Help: "1 when an autoscaler has as many replicas as it may have.", V1: "Kubernetes API: HorizontalPodAutoscaler", V2: "Kubernetes API: HorizontalPodAutoscaler"},
	KubeDeploymentDesired:  {Name: "kube_deployment_spec_replicas", Kind: Gauge, Unit: "count", Help: "Pods that should be. As kube-state-metrics.", V1: "Kubernetes API: Deployment", V2: "Kubernetes API: Deployment"},
	KubeDeploymentReady:    {Name: "kube_deployment_status_replicas_ready", Kind: Gauge, Unit: "count", Help: "Pods that are ready. As kube-state-metrics.", V1: "Kubernetes API: Deployment", V2: "Kubernetes API: Deployment"},
	KubeDeploymentUpdated:  {Name: "kube_deployment_status_replicas_updated", Kind: Gauge, Unit: "count", Help: "Pods of the newest version. As kube-state-metrics.", V1: "Kubernetes API: Deployment", V2: "Kubernetes API: Deployment"},
	KubeStatefulSetDesired: {Name: "kube_statefulset_replicas", Kind: Gauge, Unit: "count", Help: "Pods that should be. As kube-state-metrics.", V1: "Kubernetes API: StatefulSet", V2: "Kubernetes API: StatefulSet"},
	KubeStatefulSetReady:   {Name: "kube_statefulset_status_replicas_ready", Kind: Gauge, Unit: "count", Help: "Pods that are ready. As kube-state-metrics.", V1: "Kubernetes API: StatefulSet", V2: "Kubernetes API: StatefulSet"},
	KubeStatefulSetUpdated: {Name: "kube_statefulset_status_replicas_updated", Kind: Gauge, Unit: "count", Help: "Pods of the newest version. As kube-state-metrics.", V1: "Kubernetes API: StatefulSet", V2: "Kubernetes API: StatefulSet"},
	KubeDaemonSetDesired:   {Name: "kube_daemonset_status_desired_number_scheduled", Kind: Gauge, Unit: "count", Help: "Pods that should be. As kube-state-metrics.", V1: "Kubernetes API: DaemonSet", V2: "Kubernetes API: DaemonSet"},
	KubeDaemonSetReady:     {Name: "kube_daemonset_status_number_ready", Kind: Gauge, Unit: "count", Help: "Pods that are ready. As kube-state-metrics.", V1: "Kubernetes API: DaemonSet", V2: "Kubernetes API: DaemonSet"},
	KubeDaemonSetUpdated:   {Name: "kube_daemonset_status_updated_number_scheduled", Kind: Gauge, Unit: "count", Help: "Pods of the newest version. As kube-state-metrics.", V1: "Kubernetes API: DaemonSet", V2: "Kubernetes API: DaemonSet"},
	KubeHPAMin:             {Name: "kube_horizontalpodautoscaler_spec_min_replicas", Kind: Gauge, Unit: "count", Help: "Least replicas. As kube-state-metrics.", V1: "Kubernetes API: HorizontalPodAutoscaler", V2: "Kubernetes API: HorizontalPodAutoscaler"},
	KubeHPAMax:             {Name: "kube_horizontalpodautoscaler_spec_max_replicas", Kind: Gauge, Unit: "count", Help: "Most replicas. As kube-state-metrics.", V1: "Kubernetes API: HorizontalPodAutoscaler", V2: "Kubernetes API: HorizontalPodAutoscaler"},
	KubeHPACurrent:         {Name: "kube_horizontalpodautoscaler_status_current_replicas", Kind: Gauge, Unit: "count", Help: "Replicas there are. As kube-state-metrics.", V1: "Kubernetes API: HorizontalPodAutoscaler", V2: "Kubernetes API: HorizontalPodAutoscaler"},
	KubeHPADesired:         {Name: "kube_horizontalpodautoscaler_status_desired_replicas", Kind: Gauge, Unit: "count", Help: "Replicas it wants. As kube-state-metrics.", V1: "Kubernetes API: HorizontalPodAutoscaler", V2: "Kubernetes API: HorizontalPodAutoscaler"},
	KubeResourceQuota:      {Name: "kube_resourcequota", Kind: Gauge, Unit: "base unit of the resource", Help: "What a quota allows (type=hard) and what is used of it. As kube-state-metrics.", V1: "Kubernetes API: ResourceQuota status", V2: "Kubernetes API: ResourceQuota status", Varying: "resource,type"},
	KubeNamespaceLabels:    {Name: "kube_namespace_labels", Kind: Gauge, Unit: "boolean", Help: "1 for each namespace, with the labels of --kubernetes.namespace-labels as label_NAME. As kube-state-metrics.", V1: "Kubernetes API: Namespace metadata", V2: "Kubernetes API: Namespace metadata"},
	KubeNodeAllocatable:    {Name: "kube_node_status_allocatable", Kind: Gauge, Unit: "base unit of the resource", Help: "What a node has for pods. As kube-state-metrics.", V1: "Kubernetes API: Node status.allocatable", V2: "Kubernetes API: Node status.allocatable", Varying: "resource,unit"},
	KubeNodeCondition:      {Name: "kube_node_status_condition", Kind: Gauge, Unit: "boolean", Help: "1 for the status a node's condition has, 0 for the others. As kube-state-metrics.", V1: "Kubernetes API: Node status.conditions", V2: "Kubernetes API: Node status.conditions", Varying: "condition,status"},
	SwarmNodeReady:         {Name: "swarm_node_ready", Kind: Gauge, Unit: "boolean", Help: "1 when a node of a Swarm answers its managers and is not drained; told by the leading manager.", V1: "Docker Engine API: Swarm node status", V2: "Docker Engine API: Swarm node status"},
}
