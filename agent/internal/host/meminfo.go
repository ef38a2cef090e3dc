package host

import (
	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// meminfo is what is used of /proc/meminfo, in bytes. https://docs.kernel.org/filesystems/proc.html#meminfo
type meminfo struct {
	has           uint32
	total         uint64
	swapTotal     uint64
	swapFree      uint64
	anon          uint64
	shmem         uint64
	unreclaimable uint64
	stack         uint64
	pageTables    uint64
	percpu        uint64
	buffers       uint64
	cached        uint64
	inactiveFile  uint64
	activeFile    uint64
	mapped        uint64
	dirty         uint64
	writeback     uint64
}

const (
	hasTotal uint32 = 1 << iota
	hasSwapTotal
	hasSwapFree
	hasAnon
	hasShmem
	hasUnreclaimable
	hasStack
	hasPageTables
	hasPercpu
	hasBuffers
	hasCached
	hasInactiveFile
	hasActiveFile
	hasMapped
	hasDirty
	hasWriteback
)

func (n *Node) parseMeminfo(b []byte, _ *cgroup.Stats) error { return n.mem.parse(b) }

// parse reads lines "MemTotal:  24576000 kB".
func (m *meminfo) parse(b []byte) error {
	*m = meminfo{}
	var bad error
	for len(b) > 0 {
		var l []byte
		l, b = line(b)
		key, rest := word(l)
		field, bit := m.field(string(key))
		if field == nil {
			continue
		}
		value, unit := word(rest)
		v, ok := number(value)
		if u, _ := word(unit); !ok || string(u) != "kB" {
			bad = errMalformed
			continue
		}
		*field = v * 1024
		m.has |= bit
	}
	return bad
}

func (m *meminfo) field(key string) (*uint64, uint32) {
	switch key {
	case "MemTotal:":
		return &m.total, hasTotal
	case "SwapTotal:":
		return &m.swapTotal, hasSwapTotal
	case "SwapFree:":
		return &m.swapFree, hasSwapFree
	case "AnonPages:":
		return &m.anon, hasAnon
	case "Shmem:":
		return &m.shmem, hasShmem
	case "SUnreclaim:":
		return &m.unreclaimable, hasUnreclaimable
	case "KernelStack:":
		return &m.stack, hasStack
	case "PageTables:":
		return &m.pageTables, hasPageTables
	case "Percpu:":
		return &m.percpu, hasPercpu
	case "Buffers:":
		return &m.buffers, hasBuffers
	case "Cached:":
		return &m.cached, hasCached
	case "Inactive(file):":
		return &m.inactiveFile, hasInactiveFile
	case "Active(file):":
		return &m.activeFile, hasActiveFile
	case "Mapped:":
		return &m.mapped, hasMapped
	case "Dirty:":
		return &m.dirty, hasDirty
	case "Writeback:":
		return &m.writeback, hasWriteback
	}
	return nil, 0
}

func (m *meminfo) all(bits uint32) bool { return m.has&bits == bits }

// complete fills in what the root cgroup did not tell, and the whole machine's limits.
func (m *meminfo) complete(st *cgroup.Stats) {
	missing := func(bit cgroup.Has, field *uint64, v uint64, need uint32) {
		if st.Has&bit == 0 && m.all(need) {
			*field = v
			st.Has |= bit
		}
	}
	missing(cgroup.HasMemoryRSS, &st.MemoryRSSBytes, m.anon, hasAnon)
	missing(cgroup.HasMemoryCache, &st.MemoryCacheBytes, m.cached+m.buffers, hasCached|hasBuffers)
	missing(cgroup.HasMemoryShmem, &st.MemoryShmemBytes, m.shmem, hasShmem)
	missing(cgroup.HasMemoryInactiveFile, &st.MemoryInactiveFileBytes, m.inactiveFile, hasInactiveFile)
	missing(cgroup.HasMemoryActiveFile, &st.MemoryActiveFileBytes, m.activeFile, hasActiveFile)
	missing(cgroup.HasMemoryMappedFile, &st.MemoryMappedFileBytes, m.mapped, hasMapped)
	missing(cgroup.HasMemoryFileDirty, &st.MemoryFileDirtyBytes, m.dirty, hasDirty)
	missing(cgroup.HasMemoryFileWriteback, &st.MemoryFileWritebackBytes, m.writeback, hasWriteback)
	missing(cgroup.HasMemorySwap, &st.MemorySwapBytes, m.swapTotal-min(m.swapFree, m.swapTotal), hasSwapTotal|hasSwapFree)
	missing(cgroup.HasMemoryUnreclaimable, &st.MemoryUnreclaimableBytes, m.anon+m.shmem+m.unreclaimable+m.stack+m.pageTables+m.percpu,
		hasAnon|hasShmem|hasUnreclaimable|hasStack|hasPageTables) // Percpu is in it since Linux 4.20

	st.Has &^= cgroup.HasMemoryLimit | cgroup.HasMemorySwapLimit
	missing(cgroup.HasMemoryLimit, &st.MemoryLimitBytes, m.total, hasTotal)
	missing(cgroup.HasMemorySwapLimit, &st.MemorySwapLimitBytes, m.swapTotal, hasSwapTotal)

	if st.Has&cgroup.HasMemoryUsage == 0 && st.Has.All(cgroup.HasMemoryRSS|cgroup.HasMemoryCache) {
		st.MemoryUsageBytes = st.MemoryRSSBytes + st.MemoryCacheBytes
		st.Has |= cgroup.HasMemoryUsage
	}
	if st.Has&cgroup.HasMemoryWorkingSet == 0 && st.Has.All(cgroup.HasMemoryUsage|cgroup.HasMemoryInactiveFile) {
		st.MemoryWorkingSetBytes = st.MemoryUsageBytes - min(st.MemoryInactiveFileBytes, st.MemoryUsageBytes)
		st.Has |= cgroup.HasMemoryWorkingSet
	}
}
