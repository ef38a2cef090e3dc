package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// tree makes a machine with one container /docker/idA in every hierarchy, and a proc with the given text as 7/cgroup.
func tree(t *testing.T, version Version, procCgroup string) FS {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "cgroup")
	if version == V2 {
		write(t, filepath.Join(root, "cgroup.controllers"), "")
		mkdirs(t, root, ".", "docker/"+idA, "docker/"+idB)
	} else {
		for _, h := range []string{"cpu,cpuacct", "memory", "pids"} {
			mkdirs(t, root, h, h+"/docker/"+idA, h+"/docker/"+idB)
		}
	}
	if version == Hybrid {
		write(t, filepath.Join(root, "unified/cgroup.controllers"), "")
		mkdirs(t, root, "unified/docker/"+idA)
	}
	write(t, filepath.Join(dir, "proc/7/cgroup"), procCgroup)
	return detect(t, dir)
}

func TestPathsOfAProcess(t *testing.T) {
	f := func(name string, version Version, procCgroup string, want map[hierarchy]string) {
		t.Helper()
		p, err := tree(t, version, procCgroup).PathsOf(7)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		for h := range hierarchies {
			if p.rel[h] != want[h] {
				t.Errorf("%s: %s is %q, want %q", name, h, p.rel[h], want[h])
			}
		}
	}
	a := "/docker/" + idA
	f("v2", V2, "0::"+a+"\n", map[hierarchy]string{unified: a})
	f("v2 with a v1 line left over", V2, "1:name=systemd:/\n0::"+a+"\n", map[hierarchy]string{unified: a})
	f("v1, combined controllers", V1, "4:memory:"+a+"\n2:cpu,cpuacct:"+a+"\n1:name=systemd:"+a+"\n",
		map[hierarchy]string{memory: a, cpu: a, cpuacct: a})
	f("hybrid", Hybrid, "4:memory:"+a+"\n2:cpu,cpuacct:"+a+"\n0::"+a+"\n", map[hierarchy]string{memory: a, cpu: a, cpuacct: a, unified: a})
	f("a hierarchy the runtime does not use keeps the container out: its figures would be the root's",
		Hybrid, "4:memory:"+a+"\n3:pids:/\n2:cpu,cpuacct:"+a+"\n0::/system.slice/containerd.service\n", map[hierarchy]string{memory: a, cpu: a, cpuacct: a})
	f("a process deeper in its container", V2, "0::"+a+"/init.scope\n", map[hierarchy]string{unified: a})
	f("no container", V2, "0::/docker\n", map[hierarchy]string{unified: "/docker"})
	f("the reader in a cgroup namespace of its own, beside the container", V2, "0::/../"+idA+"\n", map[hierarchy]string{unified: a})
	f("and seen from the root", V1, "4:memory:/../../docker/"+idA+"\n2:cpu,cpuacct:/../../docker/"+idA+"\n", map[hierarchy]string{memory: a, cpu: a, cpuacct: a})
}

func TestPathsOfFailsClearly(t *testing.T) {
	f := func(name, procCgroup, want string, gone bool) {
		t.Helper()
		_, err := tree(t, V2, procCgroup).PathsOf(7)
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, ErrGone) != gone {
			t.Errorf("%s: error %v, want %q, gone %v", name, err, want, gone)
		}
	}
	f("no colon", "0:/docker\n", "line 1: malformed", false)
	f("bad second line", "0::/\n1:x\n", "line 2: malformed", false)
	f("deleted", "0::/docker/"+idA+" (deleted)\n", "7/cgroup", true)
	f("nothing mounted", "1:name=systemd:/\n", "none of the hierarchies", false)
	f("above the namespace", "0::/..\n", "cgroup namespace", false)
	f("gone and above the namespace", "0::/../../docker/"+strings.Repeat("0", 64)+"\n", "no such directory", true)

	if _, err := tree(t, V2, "0::/\n").PathsOf(8); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "8/cgroup") {
		t.Errorf("no such process: %v, want ErrGone with the file", err)
	}
}

func TestPathsForNamesTheCgroupInEveryHierarchy(t *testing.T) {
	p := tree(t, Hybrid, "").PathsFor("docker/" + idA)
	if p.ID() != "/docker/"+idA || p.rel[memory] != p.ID() || p.rel[unified] != p.ID() || p.rel[blkio] != "" {
		t.Errorf("paths %q", p.rel)
	}
	if id := tree(t, V2, "").PathsFor("/").ID(); id != "/" {
		t.Errorf("the root is %q", id)
	}
}

func TestInitPIDIsAProcessOfTheCgroup(t *testing.T) {
	fs := tree(t, V2, "")
	p := fs.PathsFor("/docker/" + idA)
	procs := filepath.Join(fs.Root(), "docker", idA, "cgroup.procs")
	for _, pid := range []string{"260", "261"} {
		write(t, filepath.Join(fs.proc, pid, "stat"), pid+" (sh) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 5000 1 2 3")
	}
	write(t, procs, "260\n261\n")
	if pid, err := fs.InitPID(p); pid != 260 || err != nil {
		t.Errorf("InitPID %d, %v; want 260", pid, err)
	}
	for _, none := range []string{"", "0\n"} {
		write(t, procs, none)
		if pid, err := fs.InitPID(p); err == nil || errors.Is(err, ErrGone) || !strings.Contains(err.Error(), procs) {
			t.Errorf("InitPID of %q: %d, %v; want an error with the file", none, pid, err)
		}
	}
	if err := os.RemoveAll(filepath.Dir(procs)); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.InitPID(p); !errors.Is(err, ErrGone) {
		t.Errorf("InitPID without a directory: %v, want ErrGone", err)
	}
}

func TestThisProcessHasPaths(t *testing.T) {
	fs, err := Detect("/sys/fs/cgroup", "/proc")
	if err != nil {
		t.Skipf("no cgroups here: %v", err)
	}
	p, err := fs.PathsOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(p.ID(), "/") {
		t.Errorf("process %s is in %q", strconv.Itoa(os.Getpid()), p.ID())
	}
}

func FuzzParseProcCgroup(f *testing.F) {
	f.Add([]byte("0::/docker/"+idA+"\n"), true)
	f.Add([]byte("4:memory:/\n2:cpu,cpuacct:/a:b\n0::/\n"), false)
	f.Add([]byte("0::/x (deleted)\n:::"), false)
	f.Fuzz(func(t *testing.T, b []byte, v2 bool) {
		p, err := parseProcCgroup(b, v2)
		if err != nil {
			return
		}
		for h, rel := range p.sameContainer().rel {
			if rel != "" && rel[0] != '/' {
				t.Errorf("%s is %q", hierarchy(h), rel)
			}
		}
	})
}
