package sampler

import (
	"slices"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// family is the containers below one top cgroup, "/docker" or "/kubepods.slice", which the one-second pass reads together.
//
// The kernel charges CPU time to a cgroup and to all above it in one go, to the nanosecond. So what the top cgroup has used and no member was
// seen to use was used by members that were not read, or by nobody here: where nothing is left over, they have rested. A pass reads the members
// that ran lately and then the top one; only if something is left over does it read the others. Most containers of most hosts rest most seconds,
// and one that rests costs nothing then. Where others always run below the top cgroup, they are read too: see stranger. agent/README.md tells what else was tried.
type family struct {
	path    string // of the file with the usage of all; "" where there is none: all members are read
	members []*target
	lately  []*target // those of the members that ran in one of the newest passes
	pending bool      // a reading of one of these was too close to the one before to count
	pass    uint64

	file   *cgroup.Usage // nil while it is not worth reading, or can not be read
	barred bool          // it could not be opened

	// seen is the usage of the top cgroup that is accounted for: all of it up to there was before the members' first readings, was seen at
	// one of them, or was of others. What has left the members stays in it.
	seen   time.Duration
	sure   bool      // seen is known
	rested time.Time // when members not read since were last proved to have rested

	strangers []*stranger
	vain      int // passes in a row in which all members were read
}

const (
	// worthReading is the least members for which the top cgroup is read: it costs as much as one of them.
	worthReading = 4
	// warm is how many passes a member that ran counts as one that ran lately.
	warm = 30
)

// join makes a target a member of the family whose usage is in the file at path. It comes before the target's first reading.
func (s *Sampler) join(t *target, path string) {
	f := s.families[path]
	if f == nil {
		f = &family{path: path, barred: path == ""}
		s.families[path] = f
	}
	t.family, t.place, t.pass, t.seenAt = f, len(f.members), 0, time.Time{}
	f.members = append(f.members, t)
}

// leave is the end of join.
func (s *Sampler) leave(t *target) {
	f := t.family
	if f == nil {
		return
	}
	last := f.members[len(f.members)-1]
	f.members[t.place], last.place = last, t.place
	f.members[len(f.members)-1] = nil
	f.members = f.members[:len(f.members)-1]
	f.lately = slices.DeleteFunc(f.lately, func(one *target) bool { return one == t })
	t.family, t.warm = nil, false
	if len(f.members) == 0 {
		f.close()
		delete(s.families, f.path)
	}
}

// passOver reads the members that may have run since the pass before.
func (s *Sampler) passOver(f *family) {
	f.pass++
	before, known := f.usage(s.buf)
	f.sure = f.sure && known && before >= f.seen-f.grain() // else it has stepped back
	if f.accountsFor(before) && !f.pending {
		return
	}
	f.pending = false
	all := true
	for _, t := range f.lately {
		all = s.look(f, t) && all
	}
	f.cool()
	f.readStrangers(thoseOfLate, s.buf)
	if f.sure && len(f.lately) < len(f.members) {
		if now, ok := f.usage(s.buf); ok && f.accountsFor(now) {
			return
		}
	}
	f.readStrangers(everyOne, s.buf)
	for _, t := range f.members {
		if t.pass != f.pass {
			all = s.look(f, t) && all
		}
	}
	if !f.sure || before > f.seen {
		f.seen = before // all were read after it
	}
	f.sure = known && all
	if f.vain++; known && len(f.lately) < len(f.members) && f.vain%lookAround == patient {
		f.meetStrangers(s.buf)
	}
}

// look reads one member and tells whether that worked.
func (s *Sampler) look(f *family, t *target) bool {
	t.pass = f.pass
	return !t.exited.IsZero() || t.peak(s.buf, &s.glance, s.view) // what has ended is told
}

// ran takes note that a member has run.
func (f *family) ran(t *target) {
	t.ran = f.pass
	if !t.warm {
		t.warm, f.lately = true, append(f.lately, t)
	}
}

// cool forgets those that have not run for long.
func (f *family) cool() {
	f.lately = slices.DeleteFunc(f.lately, func(t *target) bool {
		t.warm = f.pass-t.ran <= warm && t.exited.IsZero()
		return !t.warm
	})
}

// usage reads the top cgroup's.
func (f *family) usage(buf []byte) (time.Duration, bool) {
	if f.barred || len(f.members) < worthReading {
		f.close()
		return 0, false
	}
	if f.file == nil {
		file, err := cgroup.OpenUsage(f.path)
		if err != nil {
			f.barred = true
			return 0, false
		}
		f.file = file
	}
	usage, err := f.file.Read(buf)
	if err != nil {
		f.close()
		return 0, false
	}
	return usage, true
}

// accountsFor tells that nothing of the usage is left over, and takes note of the proof.
func (f *family) accountsFor(usage time.Duration) bool {
	over := usage - f.seen
	if !f.sure || over < -f.grain() || over > f.grain() {
		return false
	}
	f.rested, f.vain = time.Now(), 0
	return true
}

// grain is how far the sum of the members' usages, each rounded down, may be from the usage of all: 0 where the kernel does not round.
func (f *family) grain() time.Duration {
	if f.file == nil || f.file.Grain() == time.Nanosecond {
		return 0
	}
	return time.Duration(len(f.lately)+len(f.strangers)+1) * f.file.Grain()
}

func (f *family) close() {
	if f.file != nil {
		f.file.Close()
	}
	f.file, f.sure = nil, false
	f.forgetStrangers()
}
