package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"github.com/prometheus/procfs/sysfs"
)

// Machine is what does not change while the machine runs, but for hot-plugged parts. It is read with prometheus/procfs, which can be rooted at
// another proc and sys; cadvisor/lib/machine has their paths, and process-wide flags, built in.
type Machine struct {
	Cores         int    // logical CPUs online; 0: unknown
	PhysicalCores int    // 0: unknown
	Sockets       int    // 0: unknown
	MemoryBytes   uint64 // MemTotal of /proc/meminfo
	SwapBytes     uint64 // SwapTotal of /proc/meminfo; 0: none

	MachineID     string // /etc/machine-id of process 1's root, so of the host; "": unknown, as the rest
	SystemUUID    string // /sys/class/dmi/id/product_uuid; needs root
	BootID        string // /proc/sys/kernel/random/boot_id
	KernelVersion string // /proc/sys/kernel/osrelease
	BootTime      time.Time
}

// ReadMachine reads the machine under the given proc and sys. Memory is the one thing it must find; the rest is left unknown where
// it cannot be read.
func ReadMachine(proc, sys string) (Machine, error) {
	procFS, err := procfs.NewFS(proc)
	if err != nil {
		return Machine{}, fmt.Errorf("open proc: %w; it must be where the host's proc is mounted, as a rule /proc", err)
	}
	mem, err := procFS.Meminfo()
	if err != nil {
		return Machine{}, fmt.Errorf("read %s: %w", filepath.Join(proc, "meminfo"), err)
	}
	if mem.MemTotalBytes == nil {
		return Machine{}, fmt.Errorf("read %s: no line MemTotal", filepath.Join(proc, "meminfo"))
	}
	m := Machine{
		MemoryBytes:   *mem.MemTotalBytes,
		MachineID:     firstOf(filepath.Join(proc, "1/root/etc/machine-id"), "/etc/machine-id"),
		SystemUUID:    firstOf(filepath.Join(sys, "class/dmi/id/product_uuid"), filepath.Join(proc, "device-tree/vm,uuid")),
		BootID:        firstOf(filepath.Join(proc, "sys/kernel/random/boot_id")),
		KernelVersion: firstOf(filepath.Join(proc, "sys/kernel/osrelease")),
	}
	if mem.SwapTotalBytes != nil {
		m.SwapBytes = *mem.SwapTotalBytes
	}
	if stat, err := procFS.Stat(); err == nil && stat.BootTime > 0 {
		m.BootTime = time.Unix(int64(stat.BootTime), 0)
	}
	if !m.countTopology(sys) {
		m.countCPUInfo(procFS)
	}
	return m, nil
}

// countTopology counts online CPUs, cores and sockets by /sys/devices/system/cpu/cpuN/topology, which an offline CPU does not have.
// https://docs.kernel.org/admin-guide/cputopology.html
func (m *Machine) countTopology(sys string) bool {
	sysFS, err := sysfs.NewFS(sys)
	if err != nil {
		return false
	}
	cpus, err := sysFS.CPUs()
	if err != nil {
		return false
	}
	cores, sockets := map[[2]string]bool{}, map[string]bool{}
	for _, cpu := range cpus {
		t, err := cpu.Topology()
		if err != nil {
			continue
		}
		m.Cores++
		cores[[2]string{t.PhysicalPackageID, t.CoreID}] = true
		sockets[t.PhysicalPackageID] = true
	}
	m.PhysicalCores, m.Sockets = len(cores), len(sockets)
	return m.Cores > 0
}

// countCPUInfo counts by /proc/cpuinfo, which tells cores and sockets on x86 only.
func (m *Machine) countCPUInfo(procFS procfs.FS) {
	infos, err := procFS.CPUInfo()
	if err != nil {
		return
	}
	cores, sockets := map[[2]string]bool{}, map[string]bool{}
	for _, c := range infos {
		if c.PhysicalID != "" && c.CoreID != "" {
			cores[[2]string{c.PhysicalID, c.CoreID}] = true
			sockets[c.PhysicalID] = true
		}
	}
	m.Cores, m.PhysicalCores, m.Sockets = len(infos), len(cores), len(sockets)
}

// firstOf is the text of the first file that can be read, "" if none can.
func firstOf(paths ...string) string {
	for _, p := range paths {
		if b, err := os.ReadFile(p); err == nil {
			return strings.Trim(string(b), " \n\x00")
		}
	}
	return ""
}

// Machine is the machine as Open or the last Refresh found it.
func (n *Node) Machine() Machine { return n.machine }

// Refresh reads the machine anew: CPUs and memory may be plugged, swap switched on. It costs milliseconds; every few minutes is enough.
func (n *Node) Refresh() error {
	m, err := ReadMachine(n.proc, n.sys)
	if err != nil {
		return err
	}
	n.machine = m
	return nil
}

// maxDeviceNames bounds the names remembered; more devices than this are looked up each time.
const maxDeviceNames = 4096

// DeviceName is the path of a block device, "/dev/vda", by <sys>/dev/block; "8:0" where sysfs does not know it. Looked up once per device.
func (n *Node) DeviceName(major, minor uint32) string {
	d := device{major, minor}
	if name, ok := n.names[d]; ok {
		return name
	}
	name := strconv.FormatUint(uint64(major), 10) + ":" + strconv.FormatUint(uint64(minor), 10)
	if target, err := os.Readlink(filepath.Join(n.sys, "dev/block", name)); err == nil {
		name = "/dev/" + strings.ReplaceAll(filepath.Base(target), "!", "/") // sysfs writes the / of cciss/c0d0 as !
	}
	if len(n.names) < maxDeviceNames {
		n.names[d] = name
	}
	return name
}
