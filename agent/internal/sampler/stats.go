package sampler

import (
	"strconv"
	"time"

	"github.com/plimsoll/plimsoll/agent/catalog"
	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/series"
	"github.com/plimsoll/plimsoll/agent/internal/shed"
)

// reading puts the figures of one Stats into a set. A figure that was not read is not put: absence is absence.
type reading struct {
	set *series.Set
	st  *cgroup.Stats
	view
	refused int // series the set had no room for
}

// view is what of a reading is shown, and how.
type view struct {
	deviceName func(major, minor uint32) string
	blkioName  func(major, minor uint32) string // "device,major,minor"
	groups     catalog.Groups
	left       shed.Set // what is left out to keep within limits
}

// blkioNames puts a device's name together with its numbers, once for each device.
func blkioNames(deviceName func(major, minor uint32) string) func(major, minor uint32) string {
	const most = 4096
	type device struct{ major, minor uint32 }
	known := map[device]string{}
	return func(major, minor uint32) string {
		name, ok := known[device{major, minor}]
		if !ok {
			name = deviceName(major, minor) + "," + strconv.FormatUint(uint64(major), 10) + "," + strconv.FormatUint(uint64(minor), 10)
			if len(known) < most {
				known[device{major, minor}] = name
			}
		}
		return name
	}
}

// figures are those that the groups need, and in any case those that slots and exit records tell.
func figures(groups catalog.Groups) cgroup.Has {
	wanted := cgroup.HasOOMKills | cgroup.HasCPUUsage | cgroup.HasMemoryMax
	for group, bits := range map[catalog.Group]cgroup.Has{
		catalog.GroupCPU: cgroup.HasCPUUsage | cgroup.HasCPUUser | cgroup.HasCPUSystem | cgroup.HasCPUPeriods | cgroup.HasCPUThrottledPeriods | cgroup.HasCPUThrottled |
			cgroup.HasCPUQuota | cgroup.HasCPUPeriod | cgroup.HasCPUShares,
		catalog.GroupCPUBursts: cgroup.HasCPUQuota | cgroup.HasCPUBursts | cgroup.HasCPUBurst,
		catalog.GroupMemory: cgroup.HasMemoryUsage | cgroup.HasMemoryWorkingSet | cgroup.HasMemoryUnreclaimable | cgroup.HasMemoryRSS | cgroup.HasMemoryCache |
			cgroup.HasMemorySwap | cgroup.HasMemoryMappedFile | cgroup.HasMemoryMax | cgroup.HasMemoryFailcnt | cgroup.HasMemoryEventsHigh | cgroup.HasMemoryEventsMax |
			cgroup.HasPageFaults | cgroup.HasPageFaultsTree | cgroup.HasMajorPageFaults | cgroup.HasMajorPageFaultsTree |
			cgroup.HasMemoryLimit | cgroup.HasMemoryReservation | cgroup.HasMemorySwapLimit,
		catalog.GroupMemoryDetail: cgroup.HasMemoryActiveFile | cgroup.HasMemoryInactiveFile | cgroup.HasMemoryKernel | cgroup.HasMemoryFileDirty |
			cgroup.HasMemoryFileWriteback | cgroup.HasMemoryPagesScanned | cgroup.HasMemoryPagesStolen | cgroup.HasMemoryRefaultAnon | cgroup.HasMemoryRefaultFile,
		catalog.GroupThreads:       cgroup.HasPIDs | cgroup.HasPIDsMax,
		catalog.GroupDiskIO:        cgroup.HasIOBytes | cgroup.HasIOOps,
		catalog.GroupBlkio:         cgroup.HasIOBytes,
		catalog.GroupPressure:      pressures,
		catalog.GroupPressurePeaks: pressures,
	} {
		if groups.Has(group) {
			wanted |= bits
		}
	}
	return wanted
}

const pressures = cgroup.HasCPUPressure | cgroup.HasCPUPressureFull | cgroup.HasMemoryPressure | cgroup.HasMemoryPressureFull | cgroup.HasIOPressure | cgroup.HasIOPressureFull

func (r *reading) put() {
	if r.groups.Has(catalog.GroupCPU) {
		r.cpu()
	}
	if r.groups.Has(catalog.GroupCPUBursts) && r.st.Has&cgroup.HasCPUQuota != 0 {
		r.number(cgroup.HasCPUBursts, catalog.CPUBurstPeriods, r.st.CPUBursts)
		r.seconds(cgroup.HasCPUBurst, catalog.CPUBurst, r.st.CPUBurst)
	}
	if r.groups.Has(catalog.GroupMemory) {
		r.memory()
	}
	if r.groups.Has(catalog.GroupMemoryDetail) {
		r.memoryDetail()
	}
	if r.groups.Has(catalog.GroupThreads) {
		r.number(cgroup.HasPIDs, catalog.Threads, r.st.PIDs)
		r.number(cgroup.HasPIDsMax, catalog.ThreadsMax, r.st.PIDsMax)
	}
	if r.groups.Has(catalog.GroupPressure) {
		r.pressure()
	}
	if r.groups.Has(catalog.GroupNetwork) {
		r.net()
	}
	if r.groups.Has(catalog.GroupDiskIO) {
		r.io()
	}
	if r.groups.Has(catalog.GroupBlkio) && r.st.Has&cgroup.HasIOBytes != 0 {
		for i := range r.st.IO {
			d := &r.st.IO[i]
			name := r.blkioName(d.Major, d.Minor)
			r.named(catalog.BlkioRead, name, d.ReadBytes)
			r.named(catalog.BlkioWrite, name, d.WriteBytes)
			if d.HasCost {
				r.cost(d)
			}
		}
	}
}

func (r *reading) number(has cgroup.Has, id catalog.ID, v uint64) {
	if r.st.Has&has != 0 {
		r.set.Put(id, float64(v))
	}
}

func (r *reading) seconds(has cgroup.Has, id catalog.ID, d time.Duration) {
	if r.st.Has&has != 0 {
		r.set.Put(id, d.Seconds())
	}
}

func (r *reading) cpu() {
	st := r.st
	r.seconds(cgroup.HasCPUUsage, catalog.CPUUsage, st.CPUUsage)
	r.seconds(cgroup.HasCPUUser, catalog.CPUUser, st.CPUUser)
	r.seconds(cgroup.HasCPUSystem, catalog.CPUSystem, st.CPUSystem)
	if st.Has&cgroup.HasCPUQuota != 0 { // without a quota nothing is throttled and the counters say nothing
		r.set.Put(catalog.SpecCPUQuota, float64(st.CPUQuota.Microseconds()))
		r.number(cgroup.HasCPUPeriods, catalog.CPUPeriods, st.CPUPeriods)
		r.number(cgroup.HasCPUThrottledPeriods, catalog.CPUThrottledPeriods, st.CPUThrottledPeriods)
		r.seconds(cgroup.HasCPUThrottled, catalog.CPUThrottled, st.CPUThrottled)
	}
	if st.Has&cgroup.HasCPUPeriod != 0 {
		r.set.Put(catalog.SpecCPUPeriod, float64(st.CPUPeriod.Microseconds()))
	}
	r.number(cgroup.HasCPUShares, catalog.SpecCPUShares, st.CPUShares)
}

func (r *reading) memory() {
	st := r.st
	r.number(cgroup.HasMemoryUsage, catalog.MemoryUsage, st.MemoryUsageBytes)
	r.number(cgroup.HasMemoryWorkingSet, catalog.MemoryWorkingSet, st.MemoryWorkingSetBytes)
	r.number(cgroup.HasMemoryUnreclaimable, catalog.MemoryUnreclaimable, st.MemoryUnreclaimableBytes)
	r.number(cgroup.HasMemoryRSS, catalog.MemoryRSS, st.MemoryRSSBytes)
	r.number(cgroup.HasMemoryCache, catalog.MemoryCache, st.MemoryCacheBytes)
	r.number(cgroup.HasMemorySwap, catalog.MemorySwap, st.MemorySwapBytes)
	r.number(cgroup.HasMemoryMappedFile, catalog.MemoryMappedFile, st.MemoryMappedFileBytes)
	r.number(cgroup.HasMemoryMax, catalog.MemoryMax, st.MemoryMaxBytes)
	r.number(cgroup.HasMemoryFailcnt, catalog.MemoryFailcnt, st.MemoryFailcnt)
	r.number(cgroup.HasMemoryEventsHigh, catalog.MemoryEventsHigh, st.MemoryEventsHigh)
	r.number(cgroup.HasMemoryEventsMax, catalog.MemoryEventsMax, st.MemoryEventsMax)
	r.number(cgroup.HasPageFaults, catalog.PageFaultContainer, st.PageFaults)
	r.number(cgroup.HasPageFaultsTree, catalog.PageFaultHierarchy, st.PageFaultsTree)
	r.number(cgroup.HasMajorPageFaults, catalog.MajorFaultContainer, st.MajorPageFaults)
	r.number(cgroup.HasMajorPageFaultsTree, catalog.MajorFaultHierarchy, st.MajorPageFaultsTree)
	r.number(cgroup.HasMemoryLimit, catalog.SpecMemoryLimit, st.MemoryLimitBytes)
	r.number(cgroup.HasMemoryReservation, catalog.SpecMemoryReservation, st.MemoryReservationBytes)
	r.number(cgroup.HasMemorySwapLimit, catalog.SpecMemorySwapLimit, st.MemorySwapLimitBytes)
}

func (r *reading) memoryDetail() {
	st := r.st
	r.number(cgroup.HasMemoryActiveFile, catalog.MemoryActiveFile, st.MemoryActiveFileBytes)
	r.number(cgroup.HasMemoryInactiveFile, catalog.MemoryInactiveFile, st.MemoryInactiveFileBytes)
	r.number(cgroup.HasMemoryKernel, catalog.MemoryKernel, st.MemoryKernelBytes)
	r.number(cgroup.HasMemoryFileDirty, catalog.MemoryFileDirty, st.MemoryFileDirtyBytes)
	r.number(cgroup.HasMemoryFileWriteback, catalog.MemoryFileWriteback, st.MemoryFileWritebackBytes)
	r.number(cgroup.HasMemoryPagesScanned, catalog.MemoryPagesScanned, st.MemoryPagesScanned)
	r.number(cgroup.HasMemoryPagesStolen, catalog.MemoryPagesStolen, st.MemoryPagesStolen)
	r.number(cgroup.HasMemoryRefaultAnon, catalog.MemoryRefaultAnon, st.MemoryRefaultAnon)
	r.number(cgroup.HasMemoryRefaultFile, catalog.MemoryRefaultFile, st.MemoryRefaultFile)
}

func (r *reading) pressure() {
	st := r.st
	r.seconds(cgroup.HasCPUPressure, catalog.PressureCPUWaiting, st.CPUPressure.Some)
	r.seconds(cgroup.HasCPUPressureFull, catalog.PressureCPUStalled, st.CPUPressure.Full)
	r.seconds(cgroup.HasMemoryPressure, catalog.PressureMemoryWaiting, st.MemoryPressure.Some)
	r.seconds(cgroup.HasMemoryPressureFull, catalog.PressureMemoryStalled, st.MemoryPressure.Full)
	r.seconds(cgroup.HasIOPressure, catalog.PressureIOWaiting, st.IOPressure.Some)
	r.seconds(cgroup.HasIOPressureFull, catalog.PressureIOStalled, st.IOPressure.Full)
}

// named puts a series with a varying label and counts one the set has no room for.
func (r *reading) named(id catalog.ID, name string, v uint64) {
	if !r.set.PutFor(id, name, float64(v)) {
		r.refused++
	}
}

func (r *reading) net() {
	if r.st.Has&cgroup.HasNet == 0 {
		return
	}
	for i := range r.st.Net {
		n := &r.st.Net[i]
		r.named(catalog.NetworkReceiveBytes, n.Name, n.ReceiveBytes)
		r.named(catalog.NetworkReceivePackets, n.Name, n.ReceivePackets)
		r.named(catalog.NetworkReceiveErrors, n.Name, n.ReceiveErrors)
		r.named(catalog.NetworkReceiveDropped, n.Name, n.ReceiveDropped)
		r.named(catalog.NetworkTransmitBytes, n.Name, n.TransmitBytes)
		r.named(catalog.NetworkTransmitPackets, n.Name, n.TransmitPackets)
		r.named(catalog.NetworkTransmitErrors, n.Name, n.TransmitErrors)
		r.named(catalog.NetworkTransmitDropped, n.Name, n.TransmitDropped)
	}
}

func (r *reading) cost(d *cgroup.IODevice) {
	name := r.deviceName(d.Major, d.Minor)
	for i, id := range [...]catalog.ID{catalog.IOCostUsage, catalog.IOCostWait, catalog.IOCostIndebt, catalog.IOCostIndelay} {
		if !r.set.PutFor(id, name, d.Cost[i].Seconds()) {
			r.refused++
		}
	}
}

func (r *reading) io() {
	for i := range r.st.IO {
		d := &r.st.IO[i]
		name := r.deviceName(d.Major, d.Minor)
		if r.st.Has&cgroup.HasIOBytes != 0 {
			r.named(catalog.ReadsBytes, name, d.ReadBytes)
			r.named(catalog.WritesBytes, name, d.WriteBytes)
		}
		if r.st.Has&cgroup.HasIOOps != 0 {
			r.named(catalog.Reads, name, d.Reads)
			r.named(catalog.Writes, name, d.Writes)
		}
	}
}
