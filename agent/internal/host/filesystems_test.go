package host

import (
	"testing"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

func TestAMountIsReadWithItsEscapesAndOnlyFromBlockDevices(t *testing.T) {
	f := func(line, device, point string) {
		t.Helper()
		m, ok := parseMount([]byte(line))
		if m.device != device || m.point != point || ok != (device != "") {
			t.Errorf("%q: %+v %t", line, m, ok)
		}
	}
	f(`27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard`, "/dev/vda", "/")
	f(`42 27 8:1 /data /mnt/my\040disk rw shared:1 master:2 - xfs /dev/mapper/vg-my\134disk rw`, `/dev/mapper/vg-my\disk`, "/mnt/my disk")
	f(`53 42 0:47 / /var/lib/docker/overlay2/b1/merged rw shared:3 - overlay overlay rw,lowerdir=/a`, "", "")
	f(`60 27 7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro`, "", "")
	f(`61 27 0:50 / /home rw - nfs4 server:/home rw`, "", "")
	f(`no mount`, "", "")
	f(``, "", "")
}

func TestTheNodesFileSystemsAreThoseStatfsTells(t *testing.T) {
	tree, err := cgroup.Detect("/sys/fs/cgroup", "/proc")
	if err != nil {
		t.Skip("no cgroup tree here: ", err)
	}
	n, err := Open(tree, "/proc", "/sys", cgroup.Options{})
	if err != nil {
		t.Skip("the node can not be read here: ", err)
	}
	defer n.Close()
	all, err := n.Filesystems(nil)
	if err != nil {
		t.Skip("process 1's mounts can not be read here: ", err)
	}
	seen := map[string]bool{}
	for _, f := range all {
		if seen[f.Device] || f.TotalBytes == 0 || f.UsedBytes > f.TotalBytes || f.InodesFree > f.Inodes {
			t.Errorf("%+v", f)
		}
		seen[f.Device] = true
	}
	t.Logf("%d file systems: %+v", len(all), all)
}

func FuzzMount(f *testing.F) {
	f.Add([]byte(`42 27 8:1 /data /mnt/my\040disk rw shared:1 - xfs /dev/mapper/vg-my\134disk rw`))
	f.Add([]byte(`1 - /dev/a\0`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if m, ok := parseMount(line); ok != (m.device != "") {
			t.Errorf("%q: %+v %t", line, m, ok)
		}
	})
}
