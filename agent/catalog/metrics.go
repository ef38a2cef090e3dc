//go:generate go test . -run TestTheReferencePageIsUpToDate -update

package catalog

import "github.com/plimsoll/plimsoll/agent/wire"

// Container and node metrics, then machine metrics. Members of one family stand together.
const (
	_ ID = iota
	CPUUsage
	CPUUser
	CPUSystem
	CPUPeak
	CPUPeriods
	CPUThrottledPeriods
	CPUThrottled
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
	PageFaultContainer
	PageFaultHierarchy
	MajorFaultContainer
	MajorFaultHierarchy
	SpecMemoryLimit
	SpecMemoryReservation
	SpecMemorySwapLimit
	OOMEvents
	Threads
	ThreadsMax
	NetworkReceiveBytes
	NetworkReceivePackets
	NetworkReceiveErrors
	NetworkReceiveDropped
	NetworkTransmitBytes
	NetworkTransmitPackets
	NetworkTransmitErrors
	NetworkTransmitDropped
	ReadsBytes
	Reads
	WritesBytes
	Writes
	PressureCPUWaiting
	PressureCPUStalled
	PressureMemoryWaiting
	PressureMemoryStalled
	PressureIOWaiting
	PressureIOStalled
	StartTime
	LastSeen
	Restarts
	Health
	ScrapeError
	MachineCores
	MachinePhysicalCores
	MachineSockets
	MachineMemory
	MachineSwap
	count
)

// metrics is indexed by ID and never written.
var metrics = [count]Metric{
	CPUUsage:            {Name: "container_cpu_usage_seconds_total", Kind: Counter, Unit: "seconds", Help: "CPU time consumed.", V1: "cpuacct.usage", V2: "cpu.stat usage_usec", Fixed: []wire.Label{{Name: "cpu", Value: "total"}}},
	CPUUser:             {Name: "container_cpu_user_seconds_total", Kind: Counter, Unit: "seconds", Help: "CPU time consumed in user mode; cgroup v1 counts in ticks of 10 ms.", V1: "cpuacct.stat user", V2: "cpu.stat user_usec"},
	CPUSystem:           {Name: "container_cpu_system_seconds_total", Kind: Counter, Unit: "seconds", Help: "CPU time consumed in kernel mode; cgroup v1 counts in ticks of 10 ms.", V1: "cpuacct.stat system", V2: "cpu.stat system_usec"},
	CPUPeak:             {Name: "container_cpu_peak_cores", Kind: Gauge, Unit: "cores", Help: "Highest CPU use of one peak interval (1 s) since the previous sample.", V1: "cpuacct.usage, read every peak interval", V2: "cpu.stat usage_usec, read every peak interval"},
	CPUPeriods:          {Name: "container_cpu_cfs_periods_total", Kind: Counter, Unit: "count", Help: "Elapsed enforcement periods; only with a CPU quota.", V1: "cpu.stat nr_periods", V2: "cpu.stat nr_periods"},
	CPUThrottledPeriods: {Name: "container_cpu_cfs_throttled_periods_total", Kind: Counter, Unit: "count", Help: "Enforcement periods in which the quota was exhausted; only with a CPU quota.", V1: "cpu.stat nr_throttled", V2: "cpu.stat nr_throttled"},
	CPUThrottled:        {Name: "container_cpu_cfs_throttled_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time run queues were throttled, summed over CPUs; only with a CPU quota.", V1: "cpu.stat throttled_time", V2: "cpu.stat throttled_usec"},
	SpecCPUQuota:        {Name: "container_spec_cpu_quota", Kind: Gauge, Unit: "microseconds", Help: "CPU time allowed per period; absent without a quota.", V1: "cpu.cfs_quota_us", V2: "cpu.max, first field"},
	SpecCPUPeriod:       {Name: "container_spec_cpu_period", Kind: Gauge, Unit: "microseconds", Help: "Length of the enforcement period.", V1: "cpu.cfs_period_us", V2: "cpu.max, second field"},
	SpecCPUShares:       {Name: "container_spec_cpu_shares", Kind: Gauge, Unit: "shares", Help: "Relative weight under contention, 2 to 262144.", V1: "cpu.shares", V2: "cpu.weight, converted"},

	MemoryUsage:           {Name: "container_memory_usage_bytes", Kind: Gauge, Unit: "bytes", Help: "Memory charged, page cache and kernel memory included.", V1: "memory.usage_in_bytes", V2: "memory.current"},
	MemoryWorkingSet:      {Name: "container_memory_working_set_bytes", Kind: Gauge, Unit: "bytes", Help: "Memory charged less inactive file pages, not below 0.", V1: "memory.usage_in_bytes - memory.stat total_inactive_file", V2: "memory.current - memory.stat inactive_file"},
	MemoryWorkingSetPeak:  {Name: "container_memory_working_set_peak_bytes", Kind: Gauge, Unit: "bytes", Help: "Highest working set seen since the previous sample, taken at every peak interval (1 s) with the inactive file pages of the previous sample.", V1: "memory.usage_in_bytes, read every peak interval", V2: "memory.current, read every peak interval"},
	MemoryUnreclaimable:   {Name: "container_memory_unreclaimable_bytes", Kind: Gauge, Unit: "bytes", Help: "Memory the kernel can not free without swap: anonymous, shared and unreclaimable kernel memory.", V1: "memory.stat total_rss + total_shmem, memory.kmem.usage_in_bytes where present", V2: "memory.stat anon + shmem + kernel - slab_reclaimable"},
	MemoryRSS:             {Name: "container_memory_rss", Kind: Gauge, Unit: "bytes", Help: "Anonymous memory.", V1: "memory.stat total_rss", V2: "memory.stat anon"},
	MemoryCache:           {Name: "container_memory_cache", Kind: Gauge, Unit: "bytes", Help: "Page cache, tmpfs and shared memory included.", V1: "memory.stat total_cache", V2: "memory.stat file"},
	MemorySwap:            {Name: "container_memory_swap", Kind: Gauge, Unit: "bytes", Help: "Swap in use.", V1: "memory.stat total_swap", V2: "memory.swap.current"},
	MemoryMappedFile:      {Name: "container_memory_mapped_file", Kind: Gauge, Unit: "bytes", Help: "File memory mapped into processes.", V1: "memory.stat total_mapped_file", V2: "memory.stat file_mapped"},
	MemoryMax:             {Name: "container_memory_max_usage_bytes", Kind: Gauge, Unit: "bytes", Help: "Highest memory charge since the container's start.", V1: "memory.max_usage_in_bytes", V2: "memory.peak (5.19 and later)"},
	MemoryFailcnt:         {Name: "container_memory_failcnt", Kind: Counter, Unit: "count", Help: "Charges refused at the limit before reclaim.", V1: "memory.failcnt", V2: "-"},
	MemoryEventsHigh:      {Name: "container_memory_events_high_total", Kind: Counter, Unit: "count", Help: "Times processes were throttled for memory.high.", V1: "-", V2: "memory.events high"},
	MemoryEventsMax:       {Name: "container_memory_events_max_total", Kind: Counter, Unit: "count", Help: "Times usage was about to pass memory.max.", V1: "-", V2: "memory.events max"},
	PageFaultContainer:    {Name: "container_memory_failures_total", Kind: Counter, Unit: "count", Help: "Page faults; pgmajfault had to read from disk.", V1: "memory.stat pgfault", V2: "memory.stat pgfault", Fixed: []wire.Label{{Name: "failure_type", Value: "pgfault"}, {Name: "scope", Value: "container"}}},
	PageFaultHierarchy:    {Name: "container_memory_failures_total", Kind: Counter, Unit: "count", Help: "Page faults; pgmajfault had to read from disk.", V1: "memory.stat total_pgfault", V2: "memory.stat pgfault", Fixed: []wire.Label{{Name: "failure_type", Value: "pgfault"}, {Name: "scope", Value: "hierarchy"}}},
	MajorFaultContainer:   {Name: "container_memory_failures_total", Kind: Counter, Unit: "count", Help: "Page faults; pgmajfault had to read from disk.", V1: "memory.stat pgmajfault", V2: "memory.stat pgmajfault", Fixed: []wire.Label{{Name: "failure_type", Value: "pgmajfault"}, {Name: "scope", Value: "container"}}},
	MajorFaultHierarchy:   {Name: "container_memory_failures_total", Kind: Counter, Unit: "count", Help: "Page faults; pgmajfault had to read from disk.", V1: "memory.stat total_pgmajfault", V2: "memory.stat pgmajfault", Fixed: []wire.Label{{Name: "failure_type", Value: "pgmajfault"}, {Name: "scope", Value: "hierarchy"}}},
	SpecMemoryLimit:       {Name: "container_spec_memory_limit_bytes", Kind: Gauge, Unit: "bytes", Help: "Memory limit; 0 without one.", V1: "memory.limit_in_bytes", V2: "memory.max"},
	SpecMemoryReservation: {Name: "container_spec_memory_reservation_limit_bytes", Kind: Gauge, Unit: "bytes", Help: "Memory reservation; 0 without one.", V1: "memory.soft_limit_in_bytes", V2: "memory.min"},
	SpecMemorySwapLimit:   {Name: "container_spec_memory_swap_limit_bytes", Kind: Gauge, Unit: "bytes", Help: "Swap limit; memory and swap together on cgroup v1; 0 without one.", V1: "memory.memsw.limit_in_bytes", V2: "memory.swap.max"},
	OOMEvents:             {Name: "container_oom_events_total", Kind: Counter, Unit: "count", Help: "Processes killed for want of memory. Counted per slot: 0 from discovery on, kept across restarts of the container and 15 minutes after it is gone.", V1: "memory.oom_control oom_kill, engine events", V2: "memory.events oom_kill, engine events"},

	Threads:    {Name: "container_threads", Kind: Gauge, Unit: "count", Help: "Threads and processes.", V1: "pids.current", V2: "pids.current"},
	ThreadsMax: {Name: "container_threads_max", Kind: Gauge, Unit: "count", Help: "Limit of threads and processes; absent without one.", V1: "pids.max", V2: "pids.max"},

	NetworkReceiveBytes:    {Name: "container_network_receive_bytes_total", Kind: Counter, Unit: "bytes", Help: "Bytes received.", V1: "/proc/PID/net/dev", V2: "/proc/PID/net/dev", Varying: "interface"},
	NetworkReceivePackets:  {Name: "container_network_receive_packets_total", Kind: Counter, Unit: "count", Help: "Packets received.", V1: "/proc/PID/net/dev", V2: "/proc/PID/net/dev", Varying: "interface"},
	NetworkReceiveErrors:   {Name: "container_network_receive_errors_total", Kind: Counter, Unit: "count", Help: "Receive errors.", V1: "/proc/PID/net/dev", V2: "/proc/PID/net/dev", Varying: "interface"},
	NetworkReceiveDropped:  {Name: "container_network_receive_packets_dropped_total", Kind: Counter, Unit: "count", Help: "Received packets dropped.", V1: "/proc/PID/net/dev", V2: "/proc/PID/net/dev", Varying: "interface"},
	NetworkTransmitBytes:   {Name: "container_network_transmit_bytes_total", Kind: Counter, Unit: "bytes", Help: "Bytes transmitted.", V1: "/proc/PID/net/dev", V2: "/proc/PID/net/dev", Varying: "interface"},
	NetworkTransmitPackets: {Name: "container_network_transmit_packets_total", Kind: Counter, Unit: "count", Help: "Packets transmitted.", V1: "/proc/PID/net/dev", V2: "/proc/PID/net/dev", Varying: "interface"},
	NetworkTransmitErrors:  {Name: "container_network_transmit_errors_total", Kind: Counter, Unit: "count", Help: "Transmit errors.", V1: "/proc/PID/net/dev", V2: "/proc/PID/net/dev", Varying: "interface"},
	NetworkTransmitDropped: {Name: "container_network_transmit_packets_dropped_total", Kind: Counter, Unit: "count", Help: "Packets dropped while transmitting.", V1: "/proc/PID/net/dev", V2: "/proc/PID/net/dev", Varying: "interface"},

	ReadsBytes:  {Name: "container_fs_reads_bytes_total", Kind: Counter, Unit: "bytes", Help: "Bytes read from the block device.", V1: "blkio.throttle.io_service_bytes and its relatives", V2: "io.stat rbytes", Varying: "device"},
	Reads:       {Name: "container_fs_reads_total", Kind: Counter, Unit: "count", Help: "Read operations on the block device.", V1: "blkio.throttle.io_serviced and its relatives", V2: "io.stat rios", Varying: "device"},
	WritesBytes: {Name: "container_fs_writes_bytes_total", Kind: Counter, Unit: "bytes", Help: "Bytes written to the block device.", V1: "blkio.throttle.io_service_bytes and its relatives", V2: "io.stat wbytes", Varying: "device"},
	Writes:      {Name: "container_fs_writes_total", Kind: Counter, Unit: "count", Help: "Write operations on the block device.", V1: "blkio.throttle.io_serviced and its relatives", V2: "io.stat wios", Varying: "device"},

	PressureCPUWaiting:    {Name: "container_pressure_cpu_waiting_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time some task waited for CPU (PSI some); throttling counts too.", V1: "hybrid: unified cpu.pressure some", V2: "cpu.pressure some"},
	PressureCPUStalled:    {Name: "container_pressure_cpu_stalled_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time all tasks waited for CPU (PSI full).", V1: "hybrid: unified cpu.pressure full", V2: "cpu.pressure full"},
	PressureMemoryWaiting: {Name: "container_pressure_memory_waiting_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time some task waited for memory (PSI some).", V1: "hybrid: unified memory.pressure some", V2: "memory.pressure some"},
	PressureMemoryStalled: {Name: "container_pressure_memory_stalled_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time all tasks waited for memory (PSI full).", V1: "hybrid: unified memory.pressure full", V2: "memory.pressure full"},
	PressureIOWaiting:     {Name: "container_pressure_io_waiting_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time some task waited for I/O (PSI some).", V1: "hybrid: unified io.pressure some", V2: "io.pressure some"},
	PressureIOStalled:     {Name: "container_pressure_io_stalled_seconds_total", Kind: Counter, Unit: "seconds", Help: "Time all tasks waited for I/O (PSI full).", V1: "hybrid: unified io.pressure full", V2: "io.pressure full"},

	StartTime:   {Name: "container_start_time_seconds", Kind: Gauge, Unit: "unix seconds", Help: "Start of the container's present run; of the node: its boot.", V1: "engine inspect StartedAt; /proc/stat btime", V2: "engine inspect StartedAt; /proc/stat btime"},
	LastSeen:    {Name: "container_last_seen", Kind: Gauge, Unit: "unix seconds", Help: "Time of the newest reading.", V1: "clock", V2: "clock"},
	Restarts:    {Name: "container_restarts_total", Kind: Counter, Unit: "count", Help: "Restarts. Counted per slot: 0 from discovery on, kept across restarts and 15 minutes after the container is gone.", V1: "engine inspect and events", V2: "engine inspect and events"},
	Health:      {Name: "container_health_state", Kind: Gauge, Unit: "state", Help: "Health check: 1 healthy, 0 starting or unhealthy, -1 no health check.", V1: "engine inspect and events", V2: "engine inspect and events"},
	ScrapeError: {Name: "container_scrape_error", Kind: Gauge, Unit: "boolean", Help: "1 when the last reading of some container on the node lacked a file that could be opened before, else 0.", V1: "agent", V2: "agent"},

	MachineCores:         {Name: "machine_cpu_cores", Kind: Gauge, Unit: "count", Help: "Logical CPUs online.", V1: "/sys/devices/system/cpu", V2: "/sys/devices/system/cpu"},
	MachinePhysicalCores: {Name: "machine_cpu_physical_cores", Kind: Gauge, Unit: "count", Help: "Physical CPU cores.", V1: "/sys/devices/system/cpu, /proc/cpuinfo", V2: "/sys/devices/system/cpu, /proc/cpuinfo"},
	MachineSockets:       {Name: "machine_cpu_sockets", Kind: Gauge, Unit: "count", Help: "CPU sockets.", V1: "/sys/devices/system/cpu, /proc/cpuinfo", V2: "/sys/devices/system/cpu, /proc/cpuinfo"},
	MachineMemory:        {Name: "machine_memory_bytes", Kind: Gauge, Unit: "bytes", Help: "Memory installed, as the kernel counts it.", V1: "/proc/meminfo MemTotal", V2: "/proc/meminfo MemTotal"},
	MachineSwap:          {Name: "machine_swap_bytes", Kind: Gauge, Unit: "bytes", Help: "Swap space.", V1: "/proc/meminfo SwapTotal", V2: "/proc/meminfo SwapTotal"},
}
