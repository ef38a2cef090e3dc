package cgroup

import "bytes"

// parseMemoryStatV1 reads v1 memory.stat. Each figure comes twice, for the cgroup alone and as total_ with its descendants;
// the plain lines come first, so the total_ line decides wherever the kernel has it.
func parseMemoryStatV1(b []byte, st *Stats) error {
	var bad error
	for len(b) > 0 {
		key, v, rest, ok := keyed(b)
		b = rest
		plain, total := bytes.CutPrefix(key, []byte("total_"))
		switch string(plain) {
		case "cache":
			ok = st.put(HasMemoryCache, &st.MemoryCacheBytes, v, ok)
		case "rss":
			ok = st.put(HasMemoryRSS, &st.MemoryRSSBytes, v, ok)
		case "shmem":
			ok = st.put(HasMemoryShmem, &st.MemoryShmemBytes, v, ok)
		case "mapped_file":
			ok = st.put(HasMemoryMappedFile, &st.MemoryMappedFileBytes, v, ok)
		case "swap":
			ok = st.put(HasMemorySwap, &st.MemorySwapBytes, v, ok)
		case "dirty":
			ok = st.put(HasMemoryFileDirty, &st.MemoryFileDirtyBytes, v, ok)
		case "writeback":
			ok = st.put(HasMemoryFileWriteback, &st.MemoryFileWritebackBytes, v, ok)
		case "inactive_file":
			ok = st.put(HasMemoryInactiveFile, &st.MemoryInactiveFileBytes, v, ok)
		case "active_file":
			ok = st.put(HasMemoryActiveFile, &st.MemoryActiveFileBytes, v, ok)
		case "workingset_refault_anon":
			ok = st.put(HasMemoryRefaultAnon, &st.MemoryRefaultAnon, v, ok)
		case "workingset_refault_file":
			ok = st.put(HasMemoryRefaultFile, &st.MemoryRefaultFile, v, ok)
		case "pgfault":
			if total {
				ok = st.put(HasPageFaultsTree, &st.PageFaultsTree, v, ok)
			} else {
				ok = st.put(HasPageFaults, &st.PageFaults, v, ok)
			}
		case "pgmajfault":
			if total {
				ok = st.put(HasMajorPageFaultsTree, &st.MajorPageFaultsTree, v, ok)
			} else {
				ok = st.put(HasMajorPageFaults, &st.MajorPageFaults, v, ok)
			}
		}
		if !ok {
			bad = errMalformed
		}
	}
	if st.Has.All(HasMemoryRSS | HasMemoryShmem) {
		st.put(HasMemoryUnreclaimable, &st.MemoryUnreclaimableBytes, st.MemoryRSSBytes+st.MemoryShmemBytes, true)
	}
	return bad
}

// kernelMemory collects the lines of v2 memory.stat that make up the kernel's own part.
type kernelMemory struct {
	bytes [kernelParts]uint64
	has   uint8 // a bit for each
}

const (
	slabReclaimable = iota
	slabUnreclaimable
	kernelStack
	pageTables
	percpu
	kernelParts
)

// parseMemoryStatV2 reads v2 memory.stat; every line counts the cgroup with its descendants.
func parseMemoryStatV2(b []byte, st *Stats) error {
	var k kernelMemory
	var bad error
	for len(b) > 0 {
		key, v, rest, ok := keyed(b)
		b = rest
		switch string(key) {
		case "anon":
			ok = st.put(HasMemoryRSS, &st.MemoryRSSBytes, v, ok)
		case "file":
			ok = st.put(HasMemoryCache, &st.MemoryCacheBytes, v, ok)
		case "kernel":
			ok = st.put(HasMemoryKernel, &st.MemoryKernelBytes, v, ok)
		case "shmem":
			ok = st.put(HasMemoryShmem, &st.MemoryShmemBytes, v, ok)
		case "file_mapped":
			ok = st.put(HasMemoryMappedFile, &st.MemoryMappedFileBytes, v, ok)
		case "file_dirty":
			ok = st.put(HasMemoryFileDirty, &st.MemoryFileDirtyBytes, v, ok)
		case "file_writeback":
			ok = st.put(HasMemoryFileWriteback, &st.MemoryFileWritebackBytes, v, ok)
		case "inactive_file":
			ok = st.put(HasMemoryInactiveFile, &st.MemoryInactiveFileBytes, v, ok)
		case "active_file":
			ok = st.put(HasMemoryActiveFile, &st.MemoryActiveFileBytes, v, ok)
		case "pgscan":
			ok = st.put(HasMemoryPagesScanned, &st.MemoryPagesScanned, v, ok)
		case "pgsteal":
			ok = st.put(HasMemoryPagesStolen, &st.MemoryPagesStolen, v, ok)
		case "workingset_refault_anon":
			ok = st.put(HasMemoryRefaultAnon, &st.MemoryRefaultAnon, v, ok)
		case "workingset_refault_file":
			ok = st.put(HasMemoryRefaultFile, &st.MemoryRefaultFile, v, ok)
		case "pgfault":
			st.put(HasPageFaults, &st.PageFaults, v, ok)
			ok = st.put(HasPageFaultsTree, &st.PageFaultsTree, v, ok)
		case "pgmajfault":
			st.put(HasMajorPageFaults, &st.MajorPageFaults, v, ok)
			ok = st.put(HasMajorPageFaultsTree, &st.MajorPageFaultsTree, v, ok)
		case "slab_reclaimable":
			ok = k.put(slabReclaimable, v, ok)
		case "slab_unreclaimable":
			ok = k.put(slabUnreclaimable, v, ok)
		case "kernel_stack":
			ok = k.put(kernelStack, v, ok)
		case "pagetables":
			ok = k.put(pageTables, v, ok)
		case "percpu":
			ok = k.put(percpu, v, ok)
		}
		if !ok {
			bad = errMalformed
		}
	}
	kernel, known := k.unreclaimable(st)
	if known && st.Has.All(HasMemoryRSS|HasMemoryShmem) {
		st.put(HasMemoryUnreclaimable, &st.MemoryUnreclaimableBytes, st.MemoryRSSBytes+st.MemoryShmemBytes+kernel, true)
	}
	return bad
}

func (k *kernelMemory) put(part int, v uint64, ok bool) bool {
	if ok = ok && isCount(v); ok {
		k.bytes[part] = v
		k.has |= 1 << part
	}
	return ok
}

// unreclaimable is the kernel's memory without the slab that it can free; false where the lines do not tell.
func (k *kernelMemory) unreclaimable(st *Stats) (bytes uint64, known bool) {
	if st.Has&HasMemoryKernel != 0 {
		return floorSub(st.MemoryKernelBytes, k.bytes[slabReclaimable]), k.has&(1<<slabReclaimable) != 0
	}
	const needed = 1<<slabUnreclaimable | 1<<kernelStack
	return k.bytes[slabUnreclaimable] + k.bytes[kernelStack] + k.bytes[pageTables] + k.bytes[percpu], k.has&needed == needed
}

// floorSub is a - b, or 0 where b is larger: the two were read at different moments.
func floorSub(a, b uint64) uint64 {
	if b > a {
		return 0
	}
	return a - b
}

// parseEvents reads v2 memory.events, which counts the cgroup with its descendants, and v1 memory.oom_control: the keys differ but for oom_kill.
func parseEvents(b []byte, st *Stats) error {
	var bad error
	for len(b) > 0 {
		key, v, rest, ok := keyed(b)
		b = rest
		switch string(key) {
		case "oom_kill":
			ok = st.put(HasOOMKills, &st.OOMKills, v, ok)
		case "high":
			ok = st.put(HasMemoryEventsHigh, &st.MemoryEventsHigh, v, ok)
		case "max":
			ok = st.put(HasMemoryEventsMax, &st.MemoryEventsMax, v, ok)
		}
		if !ok {
			bad = errMalformed
		}
	}
	return bad
}
