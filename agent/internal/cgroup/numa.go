package cgroup

import "bytes"

// NUMAPages is a cgroup's memory on one NUMA node, in pages of 4 KiB. https://docs.kernel.org/admin-guide/cgroup-v2.html#memory
type NUMAPages struct {
	Node                    uint64
	File, Anon, Unevictable uint64 // memory.numa_stat file, anon, unevictable / -: of the cgroup alone
	// The same with the nested cgroups. memory.numa_stat hierarchical_file, … / file, …, bytes.
	FileTree, AnonTree, UnevictableTree uint64

	Has NUMAHas
}

// NUMAHas tells which figures of a NUMAPages are known.
type NUMAHas uint8

// Bits of NUMAHas, in the order of the fields.
const (
	HasNUMAFile NUMAHas = 1 << iota
	HasNUMAAnon
	HasNUMAUnevictable
	HasNUMAFileTree
	HasNUMAAnonTree
	HasNUMAUnevictableTree
)

const numaPage = 4096

// NUMA appends one entry for each NUMA node of memory.numa_stat to dst; none where the kernel has no such file. It opens its file anew: not for
// every tick.
func (g *Group) NUMA(dst []NUMAPages, buf []byte) ([]NUMAPages, error) {
	if err := g.ready(buf); err != nil {
		return dst, err
	}
	dir := g.dirs[memory]
	if g.v2 {
		dir = g.dirs[unified]
	}
	if dir == "" {
		return dst, nil
	}
	b, err := openReadClose(dir, "memory.numa_stat", buf)
	if err == ErrGone { // or a kernel without NUMA
		return dst, nil
	}
	if err == nil {
		dst, err = parseNUMA(b, dst, g.v2)
	}
	if err != nil {
		g.fault("memory.numa_stat", err)
	}
	return dst, nil
}

// parseNUMA reads "file=12 N0=5 N1=7" of v1, in pages, and "file N0=20480 N1=28672" of v2, in bytes.
func parseNUMA(b []byte, dst []NUMAPages, v2 bool) ([]NUMAPages, error) {
	b, bad := endedLines(b)
	from := len(dst)
	for len(b) > 0 {
		var l []byte
		l, b = line(b)
		words := bytes.Fields(l)
		if len(words) == 0 {
			continue
		}
		key, _, _ := bytes.Cut(words[0], []byte("="))
		if field, _ := numaField(&NUMAPages{}, string(key), v2); field == nil {
			continue
		}
		for _, w := range words[1:] {
			name, value, _ := bytes.Cut(w, []byte("="))
			node, err := parseNumber(bytes.TrimPrefix(name, []byte("N")))
			v, err2 := parseNumber(value)
			if err != nil || err2 != nil || !isCount(v) {
				bad = errMalformed
				continue
			}
			i := from
			for i < len(dst) && dst[i].Node != node {
				i++
			}
			if i == len(dst) {
				if i-from == maxNUMANodes {
					bad = errLimit
					continue
				}
				dst = append(dst, NUMAPages{Node: node})
			}
			if v2 {
				v /= numaPage
			}
			field, has := numaField(&dst[i], string(key), v2)
			*field = v
			dst[i].Has |= has
		}
	}
	return dst, bad
}

const maxNUMANodes = 256

func numaField(n *NUMAPages, key string, v2 bool) (*uint64, NUMAHas) {
	if v2 {
		key = "hierarchical_" + key
	}
	switch key {
	case "file":
		return &n.File, HasNUMAFile
	case "anon":
		return &n.Anon, HasNUMAAnon
	case "unevictable":
		return &n.Unevictable, HasNUMAUnevictable
	case "hierarchical_file":
		return &n.FileTree, HasNUMAFileTree
	case "hierarchical_anon":
		return &n.AnonTree, HasNUMAAnonTree
	case "hierarchical_unevictable":
		return &n.UnevictableTree, HasNUMAUnevictableTree
	}
	return nil, 0
}
