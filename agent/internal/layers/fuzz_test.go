package layers

import "testing"

// FuzzMountOfAContainer: a line of mountinfo of a container.
func FuzzMountOfAContainer(f *testing.F) {
	f.Add([]byte("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - overlay overlay rw,lowerdir=/a,upperdir=/b/diff,workdir=/c"))
	f.Add([]byte("1 2 3:4 / / - ext4 /dev/x rw"))
	f.Add([]byte(" - "))
	f.Fuzz(func(t *testing.T, line []byte) {
		source, point, upper, ok := parseMount(line)
		if !ok && source+point+upper != "" {
			t.Errorf("%q is none and yet %q %q %q", line, source, point, upper)
		}
	})
}
