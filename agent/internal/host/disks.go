package host

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// diskSource is where the node's block I/O comes from: chosen at the first reading and kept, for a change of source would look like a burst.
type diskSource uint8

const (
	undecided diskSource = iota
	fromCgroup
	fromDiskstats
)

func (d *diskSource) choose(cgroupHasIO bool) {
	if *d != undecided {
		return
	}
	*d = fromDiskstats
	if cgroupHasIO {
		*d = fromCgroup
	}
}

// sectorBytes is the unit of /proc/diskstats whatever the device's own sector size.
const sectorBytes = 512

// maxDisks bounds the devices of a node that are read.
const maxDisks = 1024

// parseDiskstats reads whole disks out of /proc/diskstats: "254 0 vda READS merged SECTORS ms WRITES merged SECTORS ms …".
// https://docs.kernel.org/admin-guide/iostats.html
func (n *Node) parseDiskstats(b []byte, st *cgroup.Stats) error {
	if n.disks != fromDiskstats {
		return nil
	}
	st.IO = st.IO[:0]
	var bad error
	for len(b) > 0 {
		var l []byte
		l, b = line(b)
		var v [11]uint64 // by column; the third is the name
		ok := true
		for i := range v {
			var w []byte
			w, l = word(l)
			if i == 2 {
				continue
			}
			var isNumber bool
			v[i], isNumber = number(w)
			ok = ok && isNumber
		}
		if !ok {
			bad = errMalformed
			continue
		}
		major, minor := uint32(v[0]), uint32(v[1])
		if v[3]+v[7] == 0 || !n.isDisk(major, minor) || len(st.IO) >= maxDisks {
			continue // as io.stat, no device that was never used
		}
		st.IO = append(st.IO, cgroup.IODevice{
			Major: major, Minor: minor,
			Reads: v[3], ReadBytes: v[5] * sectorBytes,
			Writes: v[7], WriteBytes: v[9] * sectorBytes,
		})
	}
	st.Has |= cgroup.HasIOBytes | cgroup.HasIOOps
	return bad
}

// isDisk leaves out what another device counts too, partitions and those stacked on others (device mapper, md), and ram (1) and loop (7) devices.
func (n *Node) isDisk(major, minor uint32) bool {
	if major == 1 || major == 7 {
		return false
	}
	d := device{major, minor}
	disk, known := n.whole[d]
	if !known {
		name := strconv.FormatUint(uint64(major), 10) + ":" + strconv.FormatUint(uint64(minor), 10)
		dir := filepath.Join(n.sys, "dev/block", name)
		_, err := os.Stat(filepath.Join(dir, "partition"))
		slaves, _ := os.ReadDir(filepath.Join(dir, "slaves"))
		disk = err != nil && len(slaves) == 0
		if len(n.whole) < maxDeviceNames {
			n.whole[d] = disk
		}
	}
	return disk
}
