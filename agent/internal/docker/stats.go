package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// What the engine reads off the cgroups of its host, and what of it a cgroup.Stats takes.
// https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerStats

// limits are what a container was given; the engine's statistics do not tell them.
type limits struct {
	quota, period    time.Duration // quota 0: none
	shares           uint64        // 0: the default
	memory, reserved uint64        // 0: none
	ownNetwork       bool
}

// defaultPeriod is the kernel's, of which --cpus is a share.
const defaultPeriod = 100 * time.Millisecond

func limitsOf(h *container.HostConfig) limits {
	if h == nil {
		return limits{}
	}
	l := limits{
		period:     time.Duration(h.CPUPeriod) * time.Microsecond,
		shares:     uint64(max(h.CPUShares, 0)),
		memory:     uint64(max(h.Memory, 0)),
		reserved:   uint64(max(h.MemoryReservation, 0)),
		ownNetwork: !h.NetworkMode.IsContainer() && !h.NetworkMode.IsHost(),
	}
	if l.period == 0 {
		l.period = defaultPeriod
	}
	switch {
	case h.NanoCPUs > 0:
		l.quota = time.Duration(float64(h.NanoCPUs) / 1e9 * float64(l.period))
	case h.CPUQuota > 0:
		l.quota = time.Duration(h.CPUQuota) * time.Microsecond
	}
	return l
}

func (w *wire) limits(ctx context.Context, id cgroup.ContainerID) (limits, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	w.metrics.requests.WithLabelValues("inspect").Inc()
	in, err := w.cli.ContainerInspect(ctx, string(id))
	if errdefs.IsNotFound(err) {
		return limits{}, errNoSuchContainer
	}
	if err != nil {
		return limits{}, w.failed("inspect", err)
	}
	if in.ContainerJSONBase == nil {
		return limits{}, w.failed("inspect", fmt.Errorf("the engine's answer has no host configuration"))
	}
	return limitsOf(in.HostConfig), nil
}

// mostStatsBytes bounds one answer; that of a container with a hundred devices has some 100 KB.
const mostStatsBytes = 4 << 20

func (w *wire) stats(ctx context.Context, id cgroup.ContainerID) (container.StatsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	w.metrics.requests.WithLabelValues("stats").Inc()
	answer, err := w.cli.ContainerStatsOneShot(ctx, string(id)) // otherwise the engine waits a second for figures to compare with
	if errdefs.IsNotFound(err) {
		return container.StatsResponse{}, errNoSuchContainer
	}
	if err != nil {
		return container.StatsResponse{}, w.failed("stats", err)
	}
	defer answer.Body.Close()
	var in container.StatsResponse
	if err := json.NewDecoder(io.LimitReader(answer.Body, mostStatsBytes)).Decode(&in); err != nil {
		return container.StatsResponse{}, w.failed("stats", fmt.Errorf("decode: %w", err))
	}
	if in.Read.Year() <= 1 {
		return container.StatsResponse{}, errNoFigures
	}
	return in, nil
}

// statsOf fills st with what the engine gave; what it did not give is a missing bit.
func statsOf(in *container.StatsResponse, l limits, st *cgroup.Stats) {
	*st = cgroup.Stats{IO: st.IO[:0], Net: st.Net[:0]}
	cpuOf(&in.CPUStats, l, st)
	memoryOf(&in.MemoryStats, l, st)
	if in.PidsStats.Current > 0 {
		st.PIDs, st.Has = in.PidsStats.Current, st.Has|cgroup.HasPIDs
	}
	if most := in.PidsStats.Limit; most > 0 && most < math.MaxInt64 {
		st.PIDsMax, st.Has = most, st.Has|cgroup.HasPIDsMax
	}
	ioOf(&in.BlkioStats, st)
	if l.ownNetwork && in.Networks != nil {
		netOf(in.Networks, st)
	}
}

func cpuOf(in *container.CPUStats, l limits, st *cgroup.Stats) {
	for _, d := range [...]struct {
		bit   cgroup.Has
		field *time.Duration
		nanos uint64
	}{
		{cgroup.HasCPUUsage, &st.CPUUsage, in.CPUUsage.TotalUsage},
		{cgroup.HasCPUUser, &st.CPUUser, in.CPUUsage.UsageInUsermode},
		{cgroup.HasCPUSystem, &st.CPUSystem, in.CPUUsage.UsageInKernelmode},
		{cgroup.HasCPUThrottled, &st.CPUThrottled, in.ThrottlingData.ThrottledTime},
	} {
		if d.nanos <= math.MaxInt64 {
			*d.field = time.Duration(d.nanos)
			st.Has |= d.bit
		}
	}
	st.CPUPeriods, st.CPUThrottledPeriods = in.ThrottlingData.Periods, in.ThrottlingData.ThrottledPeriods
	st.Has |= cgroup.HasCPUPeriods | cgroup.HasCPUThrottledPeriods
	if l.quota > 0 {
		st.CPUQuota, st.Has = l.quota, st.Has|cgroup.HasCPUQuota
	}
	if l.period > 0 {
		st.CPUPeriod, st.Has = l.period, st.Has|cgroup.HasCPUPeriod
	}
	if l.shares > 0 {
		st.CPUShares, st.Has = l.shares, st.Has|cgroup.HasCPUShares
	}
}

func memoryOf(in *container.MemoryStats, l limits, st *cgroup.Stats) {
	if in.Stats == nil { // no memory controller
		return
	}
	st.MemoryUsageBytes, st.Has = in.Usage, st.Has|cgroup.HasMemoryUsage
	st.MemoryLimitBytes, st.Has = l.memory, st.Has|cgroup.HasMemoryLimit // the engine's limit is the host's memory where there is none
	st.MemoryReservationBytes, st.Has = l.reserved, st.Has|cgroup.HasMemoryReservation
	_, first := in.Stats["total_rss"] // cgroup v1
	if first {
		st.MemoryFailcnt, st.Has = in.Failcnt, st.Has|cgroup.HasMemoryFailcnt
	}
	if in.MaxUsage > 0 {
		st.MemoryMaxBytes, st.Has = in.MaxUsage, st.Has|cgroup.HasMemoryMax
	}
	take := func(bit cgroup.Has, field *uint64, v1, v2 string) {
		name := v2
		if first {
			name = v1
		}
		if v, ok := in.Stats[name]; ok {
			*field = v
			st.Has |= bit
		}
	}
	take(cgroup.HasMemoryRSS, &st.MemoryRSSBytes, "total_rss", "anon")
	take(cgroup.HasMemoryCache, &st.MemoryCacheBytes, "total_cache", "file")
	take(cgroup.HasMemorySwap, &st.MemorySwapBytes, "total_swap", "swap")
	take(cgroup.HasMemoryMappedFile, &st.MemoryMappedFileBytes, "total_mapped_file", "file_mapped")
	take(cgroup.HasMemoryInactiveFile, &st.MemoryInactiveFileBytes, "total_inactive_file", "inactive_file")
	take(cgroup.HasMemoryActiveFile, &st.MemoryActiveFileBytes, "total_active_file", "active_file")
	take(cgroup.HasMemoryFileDirty, &st.MemoryFileDirtyBytes, "total_dirty", "file_dirty")
	take(cgroup.HasMemoryFileWriteback, &st.MemoryFileWritebackBytes, "total_writeback", "file_writeback")
	take(cgroup.HasPageFaults, &st.PageFaults, "pgfault", "pgfault")
	take(cgroup.HasPageFaultsTree, &st.PageFaultsTree, "total_pgfault", "pgfault")
	take(cgroup.HasMajorPageFaults, &st.MajorPageFaults, "pgmajfault", "pgmajfault")
	take(cgroup.HasMajorPageFaultsTree, &st.MajorPageFaultsTree, "total_pgmajfault", "pgmajfault")
	if st.Has&cgroup.HasMemoryInactiveFile != 0 {
		st.MemoryWorkingSetBytes = st.MemoryUsageBytes - min(st.MemoryUsageBytes, st.MemoryInactiveFileBytes)
		st.Has |= cgroup.HasMemoryWorkingSet
	}
}

// mostEntries is how many devices, and interfaces, of one container are kept.
const mostEntries = 256

func ioOf(in *container.BlkioStats, st *cgroup.Stats) {
	sum := func(bit cgroup.Has, entries []container.BlkioStatEntry, read, write func(*cgroup.IODevice) *uint64) {
		if entries == nil {
			return
		}
		st.Has |= bit
		for _, e := range entries {
			field := read
			switch strings.ToLower(e.Op) { // cgroup v1 says Read, v2 read
			case "read":
			case "write":
				field = write
			default:
				continue
			}
			if e.Major > math.MaxUint32 || e.Minor > math.MaxUint32 {
				continue
			}
			major, minor := uint32(e.Major), uint32(e.Minor)
			at := slices.IndexFunc(st.IO, func(d cgroup.IODevice) bool { return d.Major == major && d.Minor == minor })
			if at < 0 {
				if len(st.IO) == mostEntries {
					continue
				}
				at = len(st.IO)
				st.IO = append(st.IO, cgroup.IODevice{Major: major, Minor: minor})
			}
			*field(&st.IO[at]) = e.Value
		}
	}
	sum(cgroup.HasIOBytes, in.IoServiceBytesRecursive,
		func(d *cgroup.IODevice) *uint64 { return &d.ReadBytes }, func(d *cgroup.IODevice) *uint64 { return &d.WriteBytes })
	sum(cgroup.HasIOOps, in.IoServicedRecursive,
		func(d *cgroup.IODevice) *uint64 { return &d.Reads }, func(d *cgroup.IODevice) *uint64 { return &d.Writes })
}

func netOf(networks map[string]container.NetworkStats, st *cgroup.Stats) {
	st.Has |= cgroup.HasNet
	for name, n := range networks {
		if len(st.Net) == mostEntries {
			return
		}
		st.Net = append(st.Net, cgroup.Interface{
			Name: name, ReceiveBytes: n.RxBytes, ReceivePackets: n.RxPackets, ReceiveErrors: n.RxErrors, ReceiveDropped: n.RxDropped,
			TransmitBytes: n.TxBytes, TransmitPackets: n.TxPackets, TransmitErrors: n.TxErrors, TransmitDropped: n.TxDropped,
		})
	}
}
