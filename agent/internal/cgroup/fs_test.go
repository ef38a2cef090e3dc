package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mkdirs makes directories with a cgroup.procs in each, which every cgroup has.
func mkdirs(t *testing.T, root string, dirs ...string) {
	t.Helper()
	for _, d := range dirs {
		write(t, filepath.Join(root, d, "cgroup.procs"), "")
	}
}

func TestDetectGoesByTheTree(t *testing.T) {
	f := func(build func(root string), version Version, want ...string) {
		t.Helper()
		root := t.TempDir()
		build(root)
		fs, err := Detect(root, "/proc")
		if err != nil {
			t.Errorf("%v: %v", version, err)
			return
		}
		if fs.Version() != version || !slices.Equal(fs.Hierarchies(), want) || fs.Root() != root || fs.Nested() {
			t.Errorf("version %v with %v, nested %v; want %v with %v", fs.Version(), fs.Hierarchies(), fs.Nested(), version, want)
		}
	}
	f(func(root string) { write(t, filepath.Join(root, "cgroup.controllers"), "cpu memory\n") }, V2, "unified")
	f(func(root string) { mkdirs(t, root, "cpu", "cpuacct", "memory", "pids", "blkio", "freezer", "systemd") }, V1, "cpu", "cpuacct", "memory", "pids", "blkio")
	f(func(root string) { // combined, with the links a distribution makes
		mkdirs(t, root, "cpu,cpuacct", "memory")
		for _, name := range []string{"cpu", "cpuacct"} {
			if err := os.Symlink("cpu,cpuacct", filepath.Join(root, name)); err != nil {
				t.Fatal(err)
			}
		}
	}, V1, "cpu", "cpuacct", "memory")
	f(func(root string) { mkdirs(t, root, "cpuacct,cpu") }, V1, "cpu", "cpuacct") // the links are not always mounted
	f(func(root string) {
		mkdirs(t, root, "cpu", "memory")
		write(t, filepath.Join(root, "unified/cgroup.controllers"), "")
	}, Hybrid, "cpu", "memory", "unified")
	f(func(root string) { // an empty mount point is no hierarchy
		mkdirs(t, root, "memory")
		if err := os.MkdirAll(filepath.Join(root, "cpu"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(root, "unified"), 0o755); err != nil {
			t.Fatal(err)
		}
	}, V1, "memory")
}

func TestDetectSaysWhatIsWrongAndWhatWouldBeRight(t *testing.T) {
	f := func(root string) {
		t.Helper()
		_, err := Detect(root, "/proc")
		if err == nil || !strings.Contains(err.Error(), root) || !strings.Contains(err.Error(), "/sys/fs/cgroup") {
			t.Errorf("error %v, want one with the path and what it should be", err)
		}
	}
	f(t.TempDir())
	f("/nonexistent/cgroup")
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	f(file)
}

func TestARootWithATypeIsAContainersOwnTree(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "cgroup.controllers"), "cpu\n")
	write(t, filepath.Join(root, "cgroup.type"), "domain\n")
	fs, err := Detect(root, "/proc")
	if err != nil || !fs.Nested() {
		t.Errorf("nested %v, %v; want true", fs.Nested(), err)
	}
}

func TestAChildOfALiveHierarchyIsNotTheHosts(t *testing.T) {
	const mounted = "/sys/fs/cgroup/memory"
	if !exists(filepath.Join(mounted, "cgroup.procs")) || os.Geteuid() != 0 {
		t.Skip("needs root and a mounted v1 hierarchy")
	}
	child := filepath.Join(mounted, "plimsoll-child-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(child, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(child)
	for dir, want := range map[string]bool{mounted: false, child: true} {
		root := t.TempDir()
		if err := os.Symlink(dir, filepath.Join(root, "memory")); err != nil {
			t.Fatal(err)
		}
		if fs, err := Detect(root, "/proc"); err != nil || fs.Nested() != want {
			t.Errorf("%s: nested %v, %v; want %v", dir, fs.Nested(), err, want)
		}
	}
}

func TestWalkYieldsContainersAndTheCgroupsBelowTheRoot(t *testing.T) {
	f := func(version Version, want ...string) {
		t.Helper()
		dir := t.TempDir()
		tree := []string{
			"docker", "docker/" + idA, "docker/" + idA + "/init.scope", "docker/" + idA + "/docker/" + idB,
			"system.slice/ssh.service", "kubepods/burstable/pod" + uid + "/" + idB, idA,
		}
		if version == V2 {
			write(t, filepath.Join(dir, "cgroup.controllers"), "cpu\n")
			mkdirs(t, dir, tree...)
		} else {
			for _, h := range []string{"cpu", "memory"} {
				mkdirs(t, filepath.Join(dir, h), append(tree, ".")...)
			}
			mkdirs(t, filepath.Join(dir, "memory"), "batch/inner")
			mkdirs(t, dir, "unified")
			write(t, filepath.Join(dir, "unified/cgroup.controllers"), "")
			mkdirs(t, filepath.Join(dir, "unified"), "only-unified")
		}
		fs, err := Detect(dir, "/proc")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		if err := fs.Walk(func(f Found) { got = append(got, f.Path+" "+f.ID.Short()) }); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%v:\n got %q\nwant %q", version, got, want)
		}
	}
	common := []string{
		"/docker ", "/docker/" + idA + " " + idA[:12], "/system.slice ", "/kubepods ", "/" + idA + " " + idA[:12],
		"/kubepods/burstable/pod" + uid + "/" + idB + " " + idB[:12],
	}
	f(V2, common...)
	f(Hybrid, append(common, "/batch ")...)
}

func TestWalkStopsAtItsDepth(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "cgroup.controllers"), "cpu\n")
	mkdirs(t, dir, strings.Repeat("a/", maxWalkDepth-1)+idA, strings.Repeat("b/", maxWalkDepth)+idB)
	fs, err := Detect(dir, "/proc")
	if err != nil {
		t.Fatal(err)
	}
	var ids []ContainerID
	if err := fs.Walk(func(f Found) {
		if f.ID != "" {
			ids = append(ids, f.ID)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(ids, []ContainerID{idA}) {
		t.Errorf("found %v, want only the one at depth %d", ids, maxWalkDepth)
	}
}
