package cgroup

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// small makes a tree of the given version with one container that has these files.
func small(t *testing.T, v2 bool, files map[string]string) (FS, *Group) {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "cgroup")
	if v2 {
		write(t, filepath.Join(root, "cgroup.controllers"), "cpu memory pids\n")
	}
	for name, text := range files {
		write(t, filepath.Join(root, name), text)
	}
	write(t, filepath.Join(dir, "proc/version"), "")
	fs := detect(t, dir)
	g, err := fs.Open(fs.PathsFor("/docker/"+idA), Options{Faults: faults{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return fs, g
}

func TestPIDsAreThoseOfNestedCgroupsToo(t *testing.T) {
	_, g := small(t, true, map[string]string{
		"docker/" + idA + "/cgroup.procs":                        "",
		"docker/" + idA + "/init.scope/cgroup.procs":             "10\n0\n", // 0: of another PID namespace
		"docker/" + idA + "/system.slice/cgroup.procs":           "",
		"docker/" + idA + "/system.slice/a.service/cgroup.procs": "11\n12\n",
	})
	pids, err := g.PIDs(nil, make([]byte, minBuffer))
	slices.Sort(pids)
	if err != nil || !slices.Equal(pids, []int{10, 11, 12}) {
		t.Errorf("%v, %v", pids, err)
	}
}

func TestHugePagesComeBySizeOnBothVersions(t *testing.T) {
	f := func(v2 bool, dir string, files map[string]string, want string) {
		t.Helper()
		all := map[string]string{}
		for name, text := range files {
			all[dir+name] = text
		}
		_, g := small(t, v2, all)
		pages, err := g.HugePages(nil, make([]byte, minBuffer))
		if got := fmt.Sprintf("%+v", pages); err != nil || got != want {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	}
	f(true, "docker/"+idA+"/", map[string]string{
		"hugetlb.2MB.current": "4194304\n", "hugetlb.2MB.rsvd.current": "8388608\n", "hugetlb.2MB.max": "max\n", "hugetlb.2MB.events": "max 3\n",
		"hugetlb.1GB.current": "0\n",
	}, "[{Size:1GB UsageBytes:0 MaxBytes:0 Failcnt:0 HasMax:false HasFailcnt:false} {Size:2MB UsageBytes:8388608 MaxBytes:0 Failcnt:3 HasMax:false HasFailcnt:true}]")
	f(false, "hugetlb/docker/"+idA+"/", map[string]string{
		"../../cgroup.procs": "", "hugetlb.2MB.usage_in_bytes": "4194304\n", "hugetlb.2MB.max_usage_in_bytes": "6291456\n", "hugetlb.2MB.failcnt": "1\n",
		"hugetlb.2MB.rsvd.usage_in_bytes": "9\n",
	}, "[{Size:2MB UsageBytes:4194304 MaxBytes:6291456 Failcnt:1 HasMax:true HasFailcnt:true}]")
	f(true, "docker/"+idA+"/", map[string]string{"cpu.stat": ""}, "[]")
}

func TestOnlyWhatIsWantedIsOpened(t *testing.T) {
	dir := unpack(t, "v1-combined")
	count := func(fs FS) (int, Stats) {
		budget := NewBudget(1000)
		g, err := fs.Open(fs.PathsFor(onlyContainer(t, fs).Path), Options{Budget: budget})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		var st Stats
		if err := g.Read(&st, make([]byte, BufferSize)); err != nil {
			t.Fatal(err)
		}
		return budget.Used(), st
	}
	fs := detect(t, dir)
	all, _ := count(fs)
	some, st := count(fs.Only(HasCPUUsage | HasPIDs | HasIOOps))
	if some >= all || some < 3 {
		t.Errorf("%d files of %d", some, all)
	}
	if !st.Has.All(HasCPUUsage|HasPIDs) || st.Has&(HasMemoryUsage|HasCPUShares|HasMemoryRSS) != 0 {
		t.Errorf("has %b", st.Has)
	}
	if again, _ := count(fs); again != all {
		t.Errorf("the tree it was made of lost files: %d, had %d", again, all)
	}
}

func TestMemoryByNUMANodeIsInPagesOnBothVersions(t *testing.T) {
	f := func(v2 bool, in, want string, ok bool) {
		t.Helper()
		nodes, err := parseNUMA([]byte(in), nil, v2)
		if got := fmt.Sprintf("%+v", nodes); got != want || (err == nil) != ok {
			t.Errorf("%q:\n got %s, %v\nwant %s", in, got, err, want)
		}
	}
	f(false, "total=5 N0=2 N1=3\nfile=3 N0=1 N1=2\nanon=2 N0=1 N1=1\nunevictable=0 N0=0 N1=0\nhierarchical_total=9 N0=4 N1=5\nhierarchical_file=7 N0=3 N1=4\n",
		"[{Node:0 File:1 Anon:1 Unevictable:0 FileTree:3 AnonTree:0 UnevictableTree:0 Has:15} {Node:1 File:2 Anon:1 Unevictable:0 FileTree:4 AnonTree:0 UnevictableTree:0 Has:15}]", true)
	f(true, "anon N0=8192\nfile N0=4096\nkernel_stack N0=16384\n",
		"[{Node:0 File:0 Anon:0 Unevictable:0 FileTree:1 AnonTree:2 UnevictableTree:0 Has:24}]", true)
	f(true, "anon Nx=1 N1=4096\n\n", "[{Node:1 File:0 Anon:0 Unevictable:0 FileTree:0 AnonTree:1 UnevictableTree:0 Has:16}]", false)
	f(true, "", "[]", true)
}
