package host

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write the golden files anew")

// unpack writes testdata/NAME.txtar, captured from a real machine, into a directory with "cgroup", "proc" and "sys" in it.
func unpack(tb testing.TB, name string) string {
	tb.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	for _, f := range archive.Files {
		write(tb, filepath.Join(dir, f.Name), string(f.Data))
	}
	for number, target := range map[string]string{ // links do not fit into a txtar
		"254:0": "devices/virtio0/block/vda", "254:1": "devices/virtio0/block/vda/vda1", "252:0": "devices/virtual/block/dm-0", "104:0": "devices/cciss0/block/cciss!c0d0",
	} {
		write(tb, filepath.Join(dir, "sys", target, "dev"), number+"\n")
		link := filepath.Join(dir, "sys/dev/block", number)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.Symlink("../../"+target, link); err != nil {
			tb.Fatal(err)
		}
	}
	write(tb, filepath.Join(dir, "sys/devices/virtio0/block/vda/vda1/partition"), "1\n")
	write(tb, filepath.Join(dir, "sys/devices/virtual/block/dm-0/slaves/vda"), "")
	return dir
}

func write(tb testing.TB, path, data string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		tb.Fatal(err)
	}
}

func open(tb testing.TB, cgroups, proc, sys string, o cgroup.Options) *Node {
	tb.Helper()
	tree, err := cgroup.Detect(cgroups, proc)
	if err != nil {
		tb.Fatal(err)
	}
	n, err := Open(tree, proc, sys, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(n.Close)
	return n
}

func openFixture(tb testing.TB, dir string, o cgroup.Options) *Node {
	tb.Helper()
	return open(tb, filepath.Join(dir, "cgroup"), filepath.Join(dir, "proc"), filepath.Join(dir, "sys"), o)
}

type faults map[string]int

func (f faults) ReadFault(file, reason string) { f[file+" "+reason]++ }

// fields lists the fields of a Stats; those not in Has are 0 and stand out in the golden file by the bit pattern in its first line.
func fields(st *cgroup.Stats) string {
	var b strings.Builder
	v := reflect.ValueOf(*st)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; name == "Has" {
			fmt.Fprintf(&b, "Has %051b\n", st.Has)
		} else {
			fmt.Fprintf(&b, "%s %+v\n", name, v.Field(i).Interface())
		}
	}
	return b.String()
}

func TestANodeIsReadWhole(t *testing.T) {
	f := func(name string) {
		t.Helper()
		told := faults{}
		n := openFixture(t, unpack(t, name), cgroup.Options{Faults: told})
		var st cgroup.Stats
		buf := make([]byte, cgroup.BufferSize)
		for range 2 {
			if err := n.Read(&st, buf); err != nil {
				t.Fatal(err)
			}
		}
		got := fields(&st)
		path := filepath.Join("testdata", name+".golden")
		if *update {
			write(t, path, got)
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs; run with -update to accept; got\n%s", path, got)
		}
		if len(told) > 0 {
			t.Errorf("%s: faults %v", name, told)
		}
		if allocs := testing.AllocsPerRun(100, func() { _ = n.Read(&st, buf) }); allocs != 0 {
			t.Errorf("%s: a reading allocates %v times, want 0", name, allocs)
		}
	}
	f("v2-node")
	f("hybrid-node")
}

func TestTheMachineIsMeasured(t *testing.T) {
	dir := unpack(t, "v2-node")
	n := openFixture(t, dir, cgroup.Options{})
	m := n.Machine()
	want := Machine{
		Cores: 2, PhysicalCores: m.PhysicalCores, Sockets: 1, MemoryBytes: m.MemoryBytes, SwapBytes: m.SwapBytes,
		MachineID: "3d1219c7c4c5404aaa1f6d2a48adfda4", BootID: "8c7d9d2e-0a4b-4b53-9d0e-3a1c7f5e6d21",
		KernelVersion: m.KernelVersion, BootTime: m.BootTime,
	}
	if m != want || m.MemoryBytes == 0 || m.PhysicalCores == 0 || m.KernelVersion == "" || m.BootTime.Before(time.Unix(1e9, 0)) {
		t.Errorf("machine %+v", m)
	}

	// A CPU goes offline and swap is switched off: Refresh finds out, Machine alone does not.
	if err := os.RemoveAll(filepath.Join(dir, "sys/devices/system/cpu/cpu1/topology")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "proc/meminfo"), "MemTotal:  1024 kB\nSwapTotal:  0 kB\n")
	if n.Machine() != m {
		t.Errorf("machine changed without Refresh: %+v", n.Machine())
	}
	if err := n.Refresh(); err != nil {
		t.Fatal(err)
	}
	if m := n.Machine(); m.Cores != 1 || m.MemoryBytes != 1<<20 || m.SwapBytes != 0 {
		t.Errorf("after Refresh %+v, want 1 core, 1 MiB, no swap", m)
	}
}

func TestWithoutTopologyTheCPUsOfCpuinfoCount(t *testing.T) {
	dir := unpack(t, "v2-node")
	m, err := ReadMachine(filepath.Join(dir, "proc"), t.TempDir())
	if err != nil || m.Cores != 2 {
		t.Errorf("machine %+v, %v; want 2 cores", m, err)
	}
}

func TestAProcThatIsNoneIsAClearError(t *testing.T) {
	f := func(proc, want string) {
		t.Helper()
		_, err := ReadMachine(proc, "/sys")
		if err == nil || !strings.Contains(err.Error(), proc) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want the path and %q", proc, err, want)
		}
	}
	f("/nonexistent/proc", "must be where the host's proc is mounted")
	f(t.TempDir(), "meminfo")
}

func TestDevicesHaveTheNamesOfSysfs(t *testing.T) {
	n := openFixture(t, unpack(t, "v2-node"), cgroup.Options{})
	f := func(major, minor uint32, want string) {
		t.Helper()
		for range 2 {
			if got := n.DeviceName(major, minor); got != want {
				t.Errorf("device %d:%d is %q, want %q", major, minor, got, want)
			}
		}
	}
	f(254, 0, "/dev/vda")
	f(104, 0, "/dev/cciss/c0d0")
	f(9, 9, "9:9")
}

func TestABadValueCostsOnlyItsOwnFigure(t *testing.T) {
	dir := unpack(t, "hybrid-node")
	write(t, filepath.Join(dir, "proc/meminfo"), "MemTotal: many kB\nSwapTotal: 0 kB\nAnonPages: 1 kB\n")
	write(t, filepath.Join(dir, "proc/loadavg"), "0.20 0.18 0.12\n")
	write(t, filepath.Join(dir, "proc/vmstat"), "pgfault 1\noom_kill x\n")
	write(t, filepath.Join(dir, "proc/diskstats"), " 254 0 vda 1 2 x\n 254 1 vda1 1 2 3 4 5 6 7 8 0 10 11\n 104 0 c0d0 1 2 3 4 5 6 7 8 0 10 11\n")
	told := faults{}
	// The machine's size comes from the same meminfo and would fail Open; it was good then and went bad later.
	good := unpack(t, "hybrid-node")
	n := openFixture(t, good, cgroup.Options{Faults: told})
	for _, name := range []string{"meminfo", "loadavg", "vmstat", "diskstats"} {
		b, err := os.ReadFile(filepath.Join(dir, "proc", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(good, "proc", name), string(b))
	}
	var st cgroup.Stats
	if err := n.Read(&st, make([]byte, cgroup.BufferSize)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"meminfo malformed", "loadavg malformed", "vmstat malformed", "diskstats malformed"} {
		if told[want] != 1 {
			t.Errorf("fault %q counted %d times, want 1; all: %v", want, told[want], told)
		}
	}
	if st.Has&(cgroup.HasMemoryLimit|cgroup.HasPIDs|cgroup.HasOOMKills) != 0 || !st.Has.All(cgroup.HasMemoryUsage|cgroup.HasPIDsMax|cgroup.HasMemorySwapLimit) {
		t.Errorf("has %b: memory limit, pids and OOM kills must be missing, the rest not", st.Has)
	}
	if len(st.IO) != 1 || st.IO[0].Major != 104 || st.IO[0].ReadBytes != 3*512 || st.IO[0].WriteBytes != 7*512 {
		t.Errorf("disks %+v, want 104:0 with 1536 bytes read and 3584 written", st.IO)
	}
}

func TestThisMachineIsReadLive(t *testing.T) {
	n := open(t, "/sys/fs/cgroup", "/proc", "/sys", cgroup.Options{Faults: faults{}})
	var st cgroup.Stats
	buf := make([]byte, cgroup.BufferSize)
	if err := n.Read(&st, buf); err != nil {
		t.Fatal(err)
	}
	need := cgroup.HasCPUUsage | cgroup.HasMemoryUsage | cgroup.HasMemoryWorkingSet | cgroup.HasMemoryLimit | cgroup.HasMemoryUnreclaimable | cgroup.HasPIDs | cgroup.HasNet
	if !st.Has.All(need) || st.MemoryUsageBytes > n.Machine().MemoryBytes || st.MemoryLimitBytes != n.Machine().MemoryBytes {
		t.Errorf("machine %+v\n%s", n.Machine(), fields(&st))
	}
	if allocs := testing.AllocsPerRun(100, func() { _ = n.Read(&st, buf) }); allocs != 0 {
		t.Errorf("a reading allocates %v times, want 0", allocs)
	}
}

// An agent that has its own container's tree and processes alone must not take them for the node's.
func TestOfAContainersOwnTreeTheNodeHasWhatProcTells(t *testing.T) {
	dir := unpack(t, "v2-node")
	write(t, filepath.Join(dir, "cgroup/cgroup.type"), "domain\n")
	write(t, filepath.Join(dir, "cgroup/cgroup.procs"), "1\n"+strconv.Itoa(os.Getpid())+"\n")
	told := faults{}
	n := openFixture(t, dir, cgroup.Options{Faults: told})
	var st cgroup.Stats
	buf := make([]byte, cgroup.BufferSize)
	if err := n.Read(&st, buf); err != nil {
		t.Fatal(err)
	}
	if st.Has&(cgroup.HasCPUUsage|cgroup.HasCPUUser|cgroup.HasNet|cgroup.HasPageFaults) != 0 || len(st.Net) != 0 {
		t.Errorf("figures of the container stand for the node's: has %b, %v", st.Has, st.Net)
	}
	if !st.Has.All(cgroup.HasMemoryUsage|cgroup.HasMemoryLimit|cgroup.HasPIDs|cgroup.HasCPUPressure|cgroup.HasOOMKills) || st.MemoryLimitBytes != n.Machine().MemoryBytes || len(st.IO) == 0 {
		t.Errorf("proc tells more: has %b\n%s", st.Has, fields(&st))
	}
	if _, ok, err := n.ReadCPU(buf); ok || err != nil {
		t.Errorf("CPU usage %v, %v", ok, err)
	}
	if _, ok, err := n.ReadMemory(buf); ok || err != nil {
		t.Errorf("memory usage %v, %v", ok, err)
	}
	if len(told) > 0 {
		t.Errorf("faults %v", told)
	}
}

func TestCloseGivesEveryDescriptorBack(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	dir := unpack(t, "hybrid-node")
	before := count()
	n := openFixture(t, dir, cgroup.Options{})
	n.Close()
	n.Close()
	if after := count(); after != before {
		t.Errorf("%d descriptors before, %d after Close", before, after)
	}
}
