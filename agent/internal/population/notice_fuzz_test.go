package population

import (
	"bytes"
	"testing"
)

// FuzzNotice: whatever a read of the kernel's notices gives, each cut takes something off it.
func FuzzNotice(f *testing.F) {
	f.Add(append([]byte{1, 0, 0, 0, 0, 1, 0, 0x40, 0, 0, 0, 0, 16, 0, 0, 0}, []byte("abc\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")...))
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			e, rest := nextNotice(b)
			if len(rest) >= len(b) || len(e.name) > len(b) {
				t.Fatalf("%d bytes left of %d, a name of %d", len(rest), len(b), len(e.name))
			}
			b = rest
		}
	})
}
