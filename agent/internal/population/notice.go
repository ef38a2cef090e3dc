package population

import (
	"bytes"
	"encoding/binary"
	"strings"

	"golang.org/x/sys/unix"
)

// notice is one event of inotify(7).
type notice struct {
	watch int32
	mask  uint32
	name  string // of the entry, in a watched directory
}

// nextNotice cuts one event off b, which came from one read of an inotify descriptor.
func nextNotice(b []byte) (notice, []byte) {
	if len(b) < unix.SizeofInotifyEvent {
		return notice{}, nil
	}
	e := notice{watch: int32(binary.NativeEndian.Uint32(b)), mask: binary.NativeEndian.Uint32(b[4:])}
	length := min(int(binary.NativeEndian.Uint32(b[12:])), len(b)-unix.SizeofInotifyEvent)
	b = b[unix.SizeofInotifyEvent:]
	name, _, _ := bytes.Cut(b[:length], []byte{0})
	e.name = string(name)
	return e, b[length:]
}

// depthOf is the number of directories in a path below the root.
func depthOf(path string) int { return strings.Count(path, "/") }
