package sampler_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// nowhere is a spool that keeps nothing.
type nowhere struct{}

func (nowhere) Append([]byte, int) (uint64, error) { return 0, nil }

// many puts n containers into the tree and tells of their births and slots.
func (k kernel) many(t *testing.T, in *scripted, n int) {
	t.Helper()
	for i := range n {
		name := fmt.Sprintf("web%d", i)
		e := born(name, 1)
		e.Container.ID = cgroup.ContainerID(fmt.Sprintf("%064x", i+1))
		e.Container.CgroupPath = "/docker/" + string(e.Container.ID)
		if err := os.CopyFS(filepath.Join(k.root, e.Container.CgroupPath), os.DirFS(filepath.Join(k.root, "docker", string(idA)))); err != nil {
			t.Fatal(err)
		}
		in.events, in.slots = append(in.events, e), append(in.slots, slotOf(name, 0))
	}
}

// busy returns a function that moves the CPU usage of all containers and of the parent, without allocating.
func (k kernel) busy(t *testing.T) func() {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(k.root, "docker", "*", "cpu.stat"))
	if err != nil || len(paths) < 40 {
		t.Fatalf("%d containers: %v", len(paths), err)
	}
	var files []*os.File
	for _, path := range append(paths, filepath.Join(k.root, "docker", "cpu.stat")) {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		files = append(files, f)
	}
	usage := []byte("usage_usec 2000000\n")
	return func() {
		usage[12]++ // 2.1, 2.2, … seconds; 8 times at most
		for _, f := range files {
			if _, err := f.WriteAt(usage, 0); err != nil {
				t.Error(err)
			}
		}
	}
}

// A round is the reading, the parsing and the encoding of every container, its slot, the slices and the node; the slow groups, which list
// processes, are no part of it.
func TestARoundAllocatesNothing(t *testing.T) {
	k, in := newKernel(t), &scripted{}
	k.many(t, in, 40)
	k.process(t)
	k.write(t, "docker/cpu.stat", "usage_usec 5000000\n")
	for i := range in.events {
		in.events[i].Container.PID = 77
	}
	for _, file := range []string{"cpu.pressure", "memory.pressure", "io.pressure"} {
		for _, e := range in.events {
			k.write(t, e.Container.CgroupPath+"/"+file, "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n")
		}
	}
	s := with(t, k, in, nowhere{}, "all", "process filesystem tcp sockets hugetlb numa schedstat layers", nil)
	s.SetCgroups([]string{"/docker"})
	for range 3 { // learn the series, and how long a batch grows
		s.Full()
		s.Peaks()
	}
	work := k.busy(t)
	for _, one := range []struct {
		what string
		f    func()
		runs int
	}{
		{"a full round of 40 containers", s.Full, 10},
		{"a one-second pass over containers at rest", s.Peaks, 10},
		{"a one-second pass over containers that run", func() { work(); s.Peaks() }, 1},
	} {
		least := math.Inf(1)
		for range 4 { // the runtime's own allocations count too: the quietest run tells
			least = min(least, testing.AllocsPerRun(one.runs, one.f))
		}
		if least != 0 {
			t.Errorf("%s makes %v allocations", one.what, least)
		}
	}
}
