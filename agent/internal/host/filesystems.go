package host

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Filesystem is one file system of the node that lies on a block device.
type Filesystem struct {
	Device     string // "/dev/vda1", as it is mounted
	TotalBytes uint64 // f_blocks of statfs
	UsedBytes  uint64 // f_blocks - f_bfree: what is kept for root counts as free
	Inodes     uint64 // f_files; 0: no fixed number
	InodesFree uint64 // f_ffree
}

// maxFilesystems bounds what is asked for; statfs of a local file system takes microseconds.
const maxFilesystems = 256

// Filesystems appends the file systems that process 1 has mounted from block devices to dst, each device once, to be read at a slow cadence.
// Network file systems are left out: statfs of one whose server is gone blocks for minutes.
//
// They are looked at through the root of process 1 and, where that is denied (it takes CAP_SYS_PTRACE), at any mount of the same device in the
// agent's own tree: a container has one of the disk that holds it, /etc/hosts.
func (n *Node) Filesystems(dst []Filesystem) ([]Filesystem, error) {
	mounts, err := readMounts(filepath.Join(n.proc, "1/mountinfo"))
	if err != nil {
		return dst, fmt.Errorf("list the node's mounts: %w", err)
	}
	var own []mount
	seen := map[string]bool{}
	for _, m := range mounts {
		if seen[m.device] || len(seen) == maxFilesystems {
			continue
		}
		seen[m.device] = true
		var st unix.Statfs_t
		err := unix.Statfs(filepath.Join(n.proc, "1/root", m.point), &st)
		if err == unix.EACCES || err == unix.EPERM {
			if own == nil {
				own, _ = readMounts(filepath.Join(n.proc, "self/mountinfo")) // none: the fault below says so
			}
			if i := slices.IndexFunc(own, func(o mount) bool { return o.number == m.number }); i >= 0 {
				err = unix.Statfs(own[i].point, &st)
			}
		}
		if err != nil {
			n.statfsFault(err)
			continue
		}
		block := uint64(st.Frsize)
		dst = append(dst, Filesystem{
			Device: m.device, TotalBytes: st.Blocks * block, UsedBytes: (st.Blocks - min(st.Bfree, st.Blocks)) * block,
			Inodes: st.Files, InodesFree: st.Ffree,
		})
	}
	return dst, nil
}

func (n *Node) statfsFault(err error) {
	switch {
	case n.faults == nil || err == unix.ENOENT: // unmounted since
	case err == unix.EACCES || err == unix.EPERM:
		n.faults.ReadFault("statfs", "permission")
	default:
		n.faults.ReadFault("statfs", "io")
	}
}

// mount is a mount of a block device.
type mount struct {
	number string // "254:0"
	device string // "/dev/vda"
	point  string
}

func readMounts(name string) ([]mount, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var mounts []mount
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 1<<20) // an overlay of 128 layers names each of them
	for scanner.Scan() {
		if m, ok := parseMount(scanner.Bytes()); ok {
			mounts = append(mounts, m)
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return mounts, nil
}

// parseMount reads "36 35 98:0 /root /mount/point rw,noatime shared:1 - ext4 /dev/vda1 rw"; false for what is no block device or, as an image
// mounted by a loop device, always full. https://docs.kernel.org/filesystems/proc.html#proc-pid-mountinfo-information-about-mounts
func parseMount(line []byte) (m mount, ok bool) {
	before, after, found := bytes.Cut(line, []byte(" - "))
	left, right := bytes.Fields(before), bytes.Fields(after)
	if !found || len(left) < 5 || len(right) < 2 {
		return mount{}, false
	}
	device := unescape(string(right[1]))
	switch {
	case !strings.HasPrefix(device, "/dev/"), strings.HasPrefix(device, "/dev/loop"), string(right[0]) == "squashfs", string(right[0]) == "iso9660":
		return mount{}, false
	}
	return mount{number: string(left[2]), device: device, point: unescape(string(left[4]))}, true
}

// unescape undoes the octal that mountinfo writes for space, tab, line end and backslash.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		if s[0] == '\\' && len(s) >= 4 {
			if v, err := strconv.ParseUint(s[1:4], 8, 8); err == nil {
				b.WriteByte(byte(v))
				s = s[4:]
				continue
			}
		}
		b.WriteByte(s[0])
		s = s[1:]
	}
	return b.String()
}
