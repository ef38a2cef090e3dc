package sampler

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// stranger is a cgroup beside the members, a service in "/system.slice" among containers of the systemd driver. The engine itself is one, and
// this agent: while they work there is always something left over, so their usage is read too and counted as seen.
type stranger struct {
	file  *cgroup.Usage
	usage time.Duration
	ran   uint64 // the pass in which it was last seen to have run
}

const (
	// patient is how many passes in a row read all members before somebody else is looked for, and lookAround how many pass until the next look.
	patient, lookAround = 5, 60
	// mostStrangers bounds them; past it a pass may read all members.
	mostStrangers = 256
)

// which strangers to read.
type whom uint8

const (
	thoseOfLate whom = iota // those that ran in one of the newest passes
	everyOne                // the others
)

// meetStrangers opens what is beside the members anew. What they have used until now was accounted for when all members were read.
func (f *family) meetStrangers(buf []byte) {
	f.forgetStrangers()
	top, name := filepath.Split(f.path)
	entries, err := os.ReadDir(top)
	if err != nil {
		return
	}
	ours := make(map[string]bool, len(f.members))
	for _, t := range f.members {
		if t.life == nil {
			continue
		}
		if parts := strings.SplitN(strings.TrimPrefix(t.life.ID(), "/"), "/", 3); len(parts) > 1 {
			ours[parts[1]] = true // it, or what it is below
		}
	}
	for _, e := range entries {
		if !e.IsDir() || ours[e.Name()] || len(f.strangers) >= mostStrangers {
			continue
		}
		file, err := cgroup.OpenUsage(filepath.Join(top, e.Name(), name))
		if err != nil {
			continue // it has gone
		}
		usage, err := file.Read(buf)
		if err != nil {
			file.Close()
			continue
		}
		f.strangers = append(f.strangers, &stranger{file: file, usage: usage, ran: f.pass})
	}
}

// readStrangers adds what they have used to what is seen.
func (f *family) readStrangers(w whom, buf []byte) {
	f.strangers = slices.DeleteFunc(f.strangers, func(one *stranger) bool {
		if (f.pass-one.ran <= warm) != (w == thoseOfLate) {
			return false
		}
		usage, err := one.file.Read(buf)
		if err != nil {
			one.file.Close()
			return true
		}
		if usage != one.usage {
			f.seen += usage - one.usage
			one.usage, one.ran = usage, f.pass
		}
		return false
	})
}

func (f *family) forgetStrangers() {
	for _, one := range f.strangers {
		one.file.Close()
	}
	f.strangers = nil
}
