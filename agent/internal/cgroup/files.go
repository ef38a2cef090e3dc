package cgroup

// file is one accounting file and how it is understood.
type file struct {
	in    hierarchy
	name  string
	parse func(b []byte, st *Stats) error
	gives Has // what may come out of it

	// The block I/O files of v1 come in sources, of which the first that names a device is used: source numbers them from 1, in order. ops
	// marks the second file of each, spare a source that is only looked at where the one before it is missing.
	source uint8
	ops    bool
	spare  bool

	mayBeEmpty bool
}

// understand parses the contents of the file, or what there is of them.
func (f *file) understand(b []byte, st *Stats) error {
	lines, cut := endedLines(b)
	if len(b) == 0 && !f.mayBeEmpty {
		return errMalformed
	}
	err := f.parse(lines, st)
	if cut != nil {
		return cut
	}
	return err
}

// The files that the one-second pass reads.
const (
	cpuUsageV1    = "cpuacct.usage"
	cpuUsageV2    = "cpu.stat"
	memoryUsageV1 = "memory.usage_in_bytes"
	memoryUsageV2 = "memory.current"
)

// What the files with many figures give, either version's taken together.
const (
	bandwidth  = HasCPUPeriods | HasCPUThrottledPeriods | HasCPUThrottled | HasCPUBursts | HasCPUBurst
	memoryStat = HasMemoryWorkingSet | HasMemoryRSS | HasMemoryCache | HasMemorySwap | HasMemoryMappedFile | HasMemoryKernel | HasMemoryShmem | HasMemoryUnreclaimable |
		HasMemoryInactiveFile | HasMemoryActiveFile | HasMemoryFileDirty | HasMemoryFileWriteback | HasMemoryPagesScanned | HasMemoryPagesStolen |
		HasMemoryRefaultAnon | HasMemoryRefaultFile | HasPageFaults | HasPageFaultsTree | HasMajorPageFaults | HasMajorPageFaultsTree
)

// filesV1 lists what is read of a v1 cgroup.
func filesV1() []file {
	return []file{
		{in: cpuacct, name: cpuUsageV1, gives: HasCPUUsage, parse: func(b []byte, st *Stats) (err error) {
			st.CPUUsage, err = parseCPUAcctUsage(b)
			st.mark(HasCPUUsage, err == nil)
			return err
		}},
		{in: cpuacct, name: "cpuacct.stat", gives: HasCPUUser | HasCPUSystem, parse: parseCPUAcctStat},
		{in: cpu, name: "cpu.stat", gives: bandwidth, parse: parseCPUStat},
		{in: cpu, name: "cpu.cfs_quota_us", gives: HasCPUQuota, parse: parseCFSQuota},
		{in: cpu, name: "cpu.cfs_period_us", gives: HasCPUPeriod, parse: parseCFSPeriod},
		{in: cpu, name: "cpu.shares", gives: HasCPUShares, parse: number(HasCPUShares, func(st *Stats) *uint64 { return &st.CPUShares })},

		{in: memory, name: memoryUsageV1, gives: HasMemoryUsage | HasMemoryWorkingSet, parse: number(HasMemoryUsage, func(st *Stats) *uint64 { return &st.MemoryUsageBytes })},
		{in: memory, name: "memory.max_usage_in_bytes", gives: HasMemoryMax, parse: number(HasMemoryMax, func(st *Stats) *uint64 { return &st.MemoryMaxBytes })},
		{in: memory, name: "memory.failcnt", gives: HasMemoryFailcnt, parse: number(HasMemoryFailcnt, func(st *Stats) *uint64 { return &st.MemoryFailcnt })},
		{in: memory, name: "memory.limit_in_bytes", gives: HasMemoryLimit, parse: limit(HasMemoryLimit, func(st *Stats) *uint64 { return &st.MemoryLimitBytes })},
		{in: memory, name: "memory.soft_limit_in_bytes", gives: HasMemoryReservation, parse: limit(HasMemoryReservation, func(st *Stats) *uint64 { return &st.MemoryReservationBytes })},
		{in: memory, name: "memory.memsw.limit_in_bytes", gives: HasMemorySwapLimit, parse: limit(HasMemorySwapLimit, func(st *Stats) *uint64 { return &st.MemorySwapLimitBytes })},
		{in: memory, name: "memory.kmem.usage_in_bytes", gives: HasMemoryKernel, parse: number(HasMemoryKernel, func(st *Stats) *uint64 { return &st.MemoryKernelBytes })},
		{in: memory, name: "memory.stat", gives: memoryStat, parse: parseMemoryStatV1},
		{in: memory, name: "memory.oom_control", gives: HasOOMKills, parse: parseEvents},

		{in: pids, name: "pids.current", gives: HasPIDs, parse: number(HasPIDs, func(st *Stats) *uint64 { return &st.PIDs })},
		{in: pids, name: "pids.max", gives: HasPIDsMax, parse: parsePIDsMax},

		{in: blkio, name: "blkio.bfq.io_service_bytes_recursive", gives: HasIOBytes, parse: parseBlkioBytes, source: 1, mayBeEmpty: true},
		{in: blkio, name: "blkio.bfq.io_serviced_recursive", gives: HasIOOps, parse: parseBlkioOps, source: 1, ops: true, mayBeEmpty: true},
		{in: blkio, name: "blkio.io_service_bytes_recursive", gives: HasIOBytes, parse: parseBlkioBytes, source: 2, mayBeEmpty: true},
		{in: blkio, name: "blkio.io_serviced_recursive", gives: HasIOOps, parse: parseBlkioOps, source: 2, ops: true, mayBeEmpty: true},
		{in: blkio, name: "blkio.throttle.io_service_bytes_recursive", gives: HasIOBytes, parse: parseBlkioBytes, source: 3, mayBeEmpty: true},
		{in: blkio, name: "blkio.throttle.io_serviced_recursive", gives: HasIOOps, parse: parseBlkioOps, source: 3, ops: true, mayBeEmpty: true},
		{in: blkio, name: "blkio.throttle.io_service_bytes", gives: HasIOBytes, parse: parseBlkioBytes, source: 4, spare: true, mayBeEmpty: true},
		{in: blkio, name: "blkio.throttle.io_serviced", gives: HasIOOps, parse: parseBlkioOps, source: 4, ops: true, spare: true, mayBeEmpty: true},
	}
}

// filesPressure lists the PSI files of the unified tree: on hybrid all that is worth reading there.
func filesPressure() []file {
	return []file{
		{in: unified, name: "cpu.pressure", gives: HasCPUPressure | HasCPUPressureFull, parse: parseCPUPressure},
		{in: unified, name: "memory.pressure", gives: HasMemoryPressure | HasMemoryPressureFull, parse: parseMemoryPressure},
		{in: unified, name: "io.pressure", gives: HasIOPressure | HasIOPressureFull, parse: parseIOPressure},
	}
}

// filesV2 lists what is read of a v2 cgroup.
func filesV2() []file {
	return append([]file{
		{in: unified, name: cpuUsageV2, gives: HasCPUUsage | HasCPUUser | HasCPUSystem | bandwidth, parse: parseCPUStat},
		{in: unified, name: "cpu.max", gives: HasCPUQuota | HasCPUPeriod, parse: parseCPUMax},
		{in: unified, name: "cpu.weight", gives: HasCPUShares, parse: parseCPUWeight},

		{in: unified, name: memoryUsageV2, gives: HasMemoryUsage | HasMemoryWorkingSet, parse: number(HasMemoryUsage, func(st *Stats) *uint64 { return &st.MemoryUsageBytes })},
		{in: unified, name: "memory.peak", gives: HasMemoryMax, parse: number(HasMemoryMax, func(st *Stats) *uint64 { return &st.MemoryMaxBytes })},
		{in: unified, name: "memory.max", gives: HasMemoryLimit, parse: limit(HasMemoryLimit, func(st *Stats) *uint64 { return &st.MemoryLimitBytes })},
		{in: unified, name: "memory.min", gives: HasMemoryReservation, parse: parseReservation},
		{in: unified, name: "memory.low", gives: HasMemoryReservation, parse: parseReservation},
		{in: unified, name: "memory.swap.max", gives: HasMemorySwapLimit, parse: limit(HasMemorySwapLimit, func(st *Stats) *uint64 { return &st.MemorySwapLimitBytes })},
		{in: unified, name: "memory.swap.current", gives: HasMemorySwap, parse: number(HasMemorySwap, func(st *Stats) *uint64 { return &st.MemorySwapBytes })},
		{in: unified, name: "memory.stat", gives: memoryStat, parse: parseMemoryStatV2},
		{in: unified, name: "memory.events", gives: HasOOMKills | HasMemoryEventsHigh | HasMemoryEventsMax, parse: parseEvents},

		{in: unified, name: "pids.current", gives: HasPIDs, parse: number(HasPIDs, func(st *Stats) *uint64 { return &st.PIDs })},
		{in: unified, name: "pids.max", gives: HasPIDsMax, parse: parsePIDsMax},

		{in: unified, name: "io.stat", gives: HasIOBytes | HasIOOps, parse: parseIOStat, mayBeEmpty: true},
	}, filesPressure()...)
}

// number makes the parser of a file that holds one number.
func number(bit Has, field func(*Stats) *uint64) func([]byte, *Stats) error {
	return func(b []byte, st *Stats) error {
		v, err := parseNumber(b)
		if !st.put(bit, field(st), v, err == nil) {
			return errMalformed
		}
		return nil
	}
}

// limit makes the parser of a file that holds a number of bytes or none: "max" on v2, the largest page count on v1, both kept as 0.
func limit(bit Has, field func(*Stats) *uint64) func([]byte, *Stats) error {
	return func(b []byte, st *Stats) error {
		v, limited, err := parseLimit(b)
		if !limited || v > unlimitedBytes {
			v = 0
		}
		st.put(bit, field(st), v, err == nil)
		return err
	}
}

// parsePIDsMax reads pids.max; "max" leaves the bit unset.
func parsePIDsMax(b []byte, st *Stats) error {
	v, limited, err := parseLimit(b)
	st.put(HasPIDsMax, &st.PIDsMax, v, limited)
	return err
}

// parseReservation reads memory.min and memory.low, "max" or bytes, and keeps the larger: the first is never reclaimed, the second only
// when nothing else is left. Docker sets memory.low, Kubernetes memory.min.
func parseReservation(b []byte, st *Stats) error {
	v, limited, err := parseLimit(b)
	if err != nil {
		return err
	}
	if !limited || v > unlimitedBytes {
		v = unlimitedBytes
	}
	st.put(HasMemoryReservation, &st.MemoryReservationBytes, max(v, st.MemoryReservationBytes), true)
	return nil
}
