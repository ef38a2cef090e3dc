package cgroup

import (
	"os"
	"path/filepath"
	"strings"
)

// HugePages is a cgroup's use of huge pages of one size. https://docs.kernel.org/admin-guide/cgroup-v2.html#hugetlb
type HugePages struct {
	Size       string // as the kernel writes it in file names: "2MB", "1GB"
	UsageBytes uint64 // hugetlb.SIZE.usage_in_bytes / hugetlb.SIZE.rsvd.current, else hugetlb.SIZE.current
	MaxBytes   uint64 // hugetlb.SIZE.max_usage_in_bytes / -
	Failcnt    uint64 // hugetlb.SIZE.failcnt / hugetlb.SIZE.events max

	HasMax, HasFailcnt bool
}

// HugePages appends one entry for each page size of the hugetlb controller to dst; none where the cgroup is not in it. It opens its files
// anew: not for every tick.
func (g *Group) HugePages(dst []HugePages, buf []byte) ([]HugePages, error) {
	if err := g.ready(buf); err != nil {
		return dst, err
	}
	dir, suffix := g.dirs[hugetlb], ".usage_in_bytes"
	if g.v2 {
		dir, suffix = g.dirs[unified], ".current"
	}
	if dir == "" {
		return dst, nil
	}
	for _, name := range fileNames(dir) {
		rest, prefixed := strings.CutPrefix(name, "hugetlb.")
		size, ok := strings.CutSuffix(rest, suffix)
		if !prefixed || !ok || strings.Contains(size, ".") { // "2MB.rsvd"
			continue
		}
		if h, ok := g.hugePages(dir, size, buf); ok {
			dst = append(dst, h)
		}
	}
	return dst, nil
}

func (g *Group) hugePages(dir, size string, buf []byte) (h HugePages, ok bool) {
	h.Size = size
	prefix := "hugetlb." + size
	if !g.v2 {
		h.UsageBytes, ok = g.oneNumber(dir, prefix+".usage_in_bytes", buf)
		h.MaxBytes, h.HasMax = g.oneNumber(dir, prefix+".max_usage_in_bytes", buf)
		h.Failcnt, h.HasFailcnt = g.oneNumber(dir, prefix+".failcnt", buf)
		return h, ok
	}
	reserved := prefix + ".rsvd.current"
	if !exists(filepath.Join(dir, reserved)) { // the controller counts no reservations
		reserved = prefix + ".current"
	}
	h.UsageBytes, ok = g.oneNumber(dir, reserved, buf)
	var st Stats
	b, err := openReadClose(dir, prefix+".events", buf)
	if err == nil {
		err = (&file{parse: parseEvents}).understand(b, &st)
	}
	if err != nil {
		g.fault(prefix+".events", err)
	}
	h.Failcnt, h.HasFailcnt = st.MemoryEventsMax, st.Has&HasMemoryEventsMax != 0 // the same key, "max"
	return h, ok
}

func (g *Group) oneNumber(dir, name string, buf []byte) (uint64, bool) {
	b, err := openReadClose(dir, name, buf)
	if err != nil {
		g.fault(name, err)
		return 0, false
	}
	lines, cut := endedLines(b)
	v, err := parseNumber(lines)
	switch {
	case cut != nil:
		err = cut
	case err == nil && !isCount(v):
		err = errMalformed
	}
	if err != nil {
		g.fault(name, err)
	}
	return v, err == nil
}

// fileNames names the files in dir, none where it cannot be read.
func fileNames(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}
