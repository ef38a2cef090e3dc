package cgroup

import "bytes"

// parseMemoryStatV1 reads v1 memory.stat. Each figure comes twice, for the cgroup alone and as total_ with its descendants;
// the plain lines come first, so the total_ line decides wherever the kernel has it.
func parseMemoryStatV1(b []byte, st *Stats) error {
	var bad error
	for len(b) > 0 {
		key, v, rest, ok := keyed(b)
		b = rest
		if !ok {
			bad = errMalformed
		}
		plain, total := bytes.CutPrefix(key, []byte("total_"))
		switch string(plain) {
		case "cache":
			st.put(HasMemoryCache, &st.MemoryCacheBytes, v, ok)
		case "rss":
			st.put(HasMemoryRSS, &st.MemoryRSSBytes, v, ok)
		case "shmem":
			st.put(HasMemoryShmem, &st.MemoryShmemBytes, v, ok)
		case "mapped_file":
			st.put(HasMemoryMappedFile, &st.MemoryMappedFileBytes, v, ok)
		case "swap":
			st.put(HasMemorySwap, &st.MemorySwapBytes, v, ok)
		case "dirty":
			st.put(HasMemoryFileDirty, &st.MemoryFileDirtyBytes, v, ok)
		case "writeback":
			st.put(HasMemoryFileWriteback, &st.MemoryFileWritebackBytes, v, ok)
		case "inactive_file":
			st.put(HasMemoryInactiveFile, &st.MemoryInactiveFileBytes, v, ok)
		case "active_file":
			st.put(HasMemoryActiveFile, &st.MemoryActiveFileBytes, v, ok)
		case "workingset_refault_anon":
			st.put(HasMemoryRefaultAnon, &st.MemoryRefaultAnon, v, ok)
		case "workingset_refault_file":
			st.put(HasMemoryRefaultFile, &st.MemoryRefaultFile, v, ok)
		case "pgfault":
			if total {
				st.put(HasPageFaultsTree, &st.PageFaultsTree, v, ok)
			} else {
				st.put(HasPageFaults, &st.PageFaults, v, ok)
			}
		case "pgmajfault":
			if total {
				st.put(HasMajorPageFaultsTree, &st.MajorPageFaultsTree, v, ok)
			} else {
				st.put(HasMajorPageFaults, &st.MajorPageFaults, v, ok)
			}
		}
	}
	if st.Has.All(HasMemoryRSS | HasMemoryShmem) {
		st.put(HasMemoryUnreclaimable, &st.MemoryUnreclaimableBytes, st.MemoryRSSBytes+st.MemoryShmemBytes, true)
	}
	return bad
}

// kernelMemory collects the lines of v2 memory.stat that make up the kernel's own part.
type kernelMemory struct {
	reclaimable, parts uint64
	has                uint8
}

// parseMemoryStatV2 reads v2 memory.stat; every line counts the cgroup with its descendants.
func parseMemoryStatV2(b []byte, st *Stats) error {
	const (
		reclaimable uint8 = 1 << iota
		stack
		unreclaimable
	)
	var k kernelMemory
	var bad error
	for len(b) > 0 {
		key, v, rest, ok := keyed(b)
		b = rest
		if !ok {
			bad = errMalformed
		}
		switch string(key) {
		case "anon":
			st.put(HasMemoryRSS, &st.MemoryRSSBytes, v, ok)
		case "file":
			st.put(HasMemoryCache, &st.MemoryCacheBytes, v, ok)
		case "kernel":
			st.put(HasMemoryKernel, &st.MemoryKernelBytes, v, ok)
		case "shmem":
			st.put(HasMemoryShmem, &st.MemoryShmemBytes, v, ok)
		case "file_mapped":
			st.put(HasMemoryMappedFile, &st.MemoryMappedFileBytes, v, ok)
		case "file_dirty":
			st.put(HasMemoryFileDirty, &st.MemoryFileDirtyBytes, v, ok)
		case "file_writeback":
			st.put(HasMemoryFileWriteback, &st.MemoryFileWritebackBytes, v, ok)
		case "inactive_file":
			st.put(HasMemoryInactiveFile, &st.MemoryInactiveFileBytes, v, ok)
		case "active_file":
			st.put(HasMemoryActiveFile, &st.MemoryActiveFileBytes, v, ok)
		case "pgscan":
			st.put(HasMemoryPagesScanned, &st.MemoryPagesScanned, v, ok)
		case "pgsteal":
			st.put(HasMemoryPagesStolen, &st.MemoryPagesStolen, v, ok)
		case "workingset_refault_anon":
			st.put(HasMemoryRefaultAnon, &st.MemoryRefaultAnon, v, ok)
		case "workingset_refault_file":
			st.put(HasMemoryRefaultFile, &st.MemoryRefaultFile, v, ok)
		case "pgfault":
			st.put(HasPageFaults, &st.PageFaults, v, ok)
			st.put(HasPageFaultsTree, &st.PageFaultsTree, v, ok)
		case "pgmajfault":
			st.put(HasMajorPageFaults, &st.MajorPageFaults, v, ok)
			st.put(HasMajorPageFaultsTree, &st.MajorPageFaultsTree, v, ok)
		case "slab_reclaimable":
			k.add(reclaimable, &k.reclaimable, v, ok)
		case "slab_unreclaimable":
			k.add(unreclaimable, &k.parts, v, ok)
		case "kernel_stack":
			k.add(stack, &k.parts, v, ok)
		case "pagetables", "percpu":
			k.add(0, &k.parts, v, ok)
		}
	}
	kernel, known := k.parts, k.has&(stack|unreclaimable) == stack|unreclaimable
	if st.Has&HasMemoryKernel != 0 {
		kernel, known = floorSub(st.MemoryKernelBytes, k.reclaimable), k.has&reclaimable != 0
	}
	if known && st.Has.All(HasMemoryRSS|HasMemoryShmem) {
		st.put(HasMemoryUnreclaimable, &st.MemoryUnreclaimableBytes, st.MemoryRSSBytes+st.MemoryShmemBytes+kernel, true)
	}
	return bad
}

func (k *kernelMemory) add(bit uint8, sum *uint64, v uint64, ok bool) {
	if ok {
		*sum += v
		k.has |= bit
	}
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
		if !ok {
			bad = errMalformed
		}
		switch string(key) {
		case "oom_kill":
			st.put(HasOOMKills, &st.OOMKills, v, ok)
		case "high":
			st.put(HasMemoryEventsHigh, &st.MemoryEventsHigh, v, ok)
		case "max":
			st.put(HasMemoryEventsMax, &st.MemoryEventsMax, v, ok)
		}
	}
	return bad
}
