package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestTheAgentKnowsItsOwnContainersTreeAndInit(t *testing.T) {
	const docker = "4:memory:/docker/" + idA + "\n0::/docker/" + idA + "\n"
	me := strconv.Itoa(os.Getpid())
	number := me // of this process in proc
	f := func(sentence, nested, procs, init string, own, foreign bool) {
		t.Helper()
		dir := t.TempDir()
		write(t, filepath.Join(dir, "cgroup/cgroup.controllers"), "cpu\n")
		if nested != "" {
			write(t, filepath.Join(dir, "cgroup/cgroup.type"), nested)
		}
		write(t, filepath.Join(dir, "cgroup/cgroup.procs"), strings.ReplaceAll(procs, "me", me))
		write(t, filepath.Join(dir, "proc/1/cgroup"), init)
		if err := os.Symlink(number, filepath.Join(dir, "proc/self")); err != nil {
			t.Fatal(err)
		}
		if fs := detect(t, dir); fs.Own() != own || fs.ForeignInit() != foreign {
			t.Errorf("%s: own %v, foreign init %v; want %v, %v", sentence, fs.Own(), fs.ForeignInit(), own, foreign)
		}
	}
	const domain = "domain\n"
	f("a service of the host", "", "", "0::/init.scope\n", false, false)
	f("a host without systemd", "", "1\n2\nme\n", "0::/\n", false, false)
	f("a container with its own everything", domain, "1\nme\n", "0::/\n", true, true)
	f("a container with the host's PIDs", domain, "me\n", "0::/../../init.scope\n", true, false)
	f("the same where process 1 is in the root", domain, "me\n", "4:memory:/\n0::/\n", true, false)
	f("a container with the host's tree and PIDs", "", "0\n0\n", "0::/../../init.scope\n", false, false)
	f("a container with the host's tree, PIDs of its own", "", "0\n0\n", docker, false, true)
	f("a container with the host's tree, PIDs and a cgroup namespace of its own", "", "0\n0\n", "0::/\n", false, true)
	f("a service of a node that is a container", domain, "", "0::/init.scope\n", false, false)
	f("no proc to tell", "", "", "", false, false)
	number += "0"
	f("a container with its own tree and PIDs, and the host's proc", domain, "1\nme\n", "0::/init.scope\n", true, false)
	f("the same with the host's tree, on a host without systemd", "", "0\n0\n", "0::/\n", false, false)
}

func TestThisMachineIsNoContainerOfItself(t *testing.T) {
	if b, err := os.ReadFile("/proc/2/comm"); err != nil || string(b) != "kthreadd\n" {
		t.Skip("these tests run in a container")
	}
	if fs := host(t); fs.Own() || fs.ForeignInit() {
		t.Errorf("own %v, foreign init %v", fs.Own(), fs.ForeignInit())
	}
}
