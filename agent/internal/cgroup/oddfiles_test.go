package cgroup

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// oddities are what a kernel file may hold that it should not. Each makes a text of the good one; nil is a file of which nothing can be read.
func oddities() map[string]func(good []byte) []byte {
	number := regexp.MustCompile(`\d+`)
	numbers := func(with string) func([]byte) []byte {
		return func(good []byte) []byte { return number.ReplaceAll(good, []byte(with)) }
	}
	return map[string]func([]byte) []byte{
		"empty":                    func([]byte) []byte { return []byte{} },
		"cut off in its last line": func(good []byte) []byte { return good[:max(0, len(good)-2)] },
		"cut off in its middle": func(good []byte) []byte {
			return good[:min(len(good), bytes.LastIndexByte(good[:len(good)/2], 0x0a)+3)]
		},
		"with CRLF":                   func(good []byte) []byte { return bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")) },
		"with NUL in its numbers":     func(good []byte) []byte { return number.ReplaceAll(good, []byte("$0\x00")) },
		"all NUL":                     func(good []byte) []byte { return make([]byte, len(good)) },
		"every line twice":            func(good []byte) []byte { return append(bytes.Clone(good), good...) },
		"past 64 bits":                numbers("18446744073709551616"),
		"negative without its sign":   numbers("18446744073709547520"),
		"negative":                    numbers("-5"),
		"of words":                    numbers("many"),
		"binary":                      func(good []byte) []byte { return bytes.Map(func(r rune) rune { return r ^ 0x55 }, good) },
		"longer than the buffer":      func(good []byte) []byte { return bytes.Repeat([]byte("x 1\n"), BufferSize/4+1) },
		"an error of the disk (EIO)":  nil,
		"a directory (EISDIR)":        nil,
		"not there when it is opened": nil,
	}
}

// spoil puts an oddity in the place of a file.
func spoil(t *testing.T, path, oddity string, make func([]byte) []byte, good []byte) {
	t.Helper()
	if make != nil {
		write(t, path, string(make(good)))
		return
	}
	err := os.Remove(path)
	switch {
	case strings.Contains(oddity, "EIO"):
		err = errors.Join(err, os.Symlink("/proc/self/mem", path)) // nothing is mapped at 0
	case strings.Contains(oddity, "EISDIR"):
		err = errors.Join(err, os.Mkdir(path, 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestAnOddFileCostsItsOwnFiguresAndIsCounted reads captured machines with one of their files spoilt, opened each time on one and held on the
// other. No figure becomes another one, no other file's figure goes, and what goes is counted by its file.
func TestAnOddFileCostsItsOwnFiguresAndIsCounted(t *testing.T) {
	buf := make([]byte, BufferSize)
	cases := 0
	for held, machine := range []string{"v2-docker-web", "hybrid-docker"} {
		dir := unpack(t, machine)
		_, g := open(t, dir, Options{})
		var st Stats
		if err := g.Read(&st, buf); err != nil {
			t.Fatal(err)
		}
		want, has := dump(&st), st.Has
		type spoilt struct {
			path  string
			gives Has
		}
		read := map[string]spoilt{"net/dev": {filepath.Join(g.proc, g.netFile), HasNet}}
		for i, f := range g.files {
			if g.fds[i] != absent {
				read[f.name] = spoilt{filepath.Join(g.dirs[f.in], f.name), f.gives}
			}
		}
		pid, paths := g.netPID, detect(t, dir).PathsFor(g.ID())
		for name, file := range read {
			good, err := os.ReadFile(file.path)
			if err != nil {
				t.Fatal(err)
			}
			for oddity, make := range oddities() {
				budget := NewBudget(1000 * held) // files opened each time, and held
				told := faults{}
				spoil(t, file.path, oddity, make, good)
				g, err := detect(t, dir).Open(paths, Options{Faults: told, Budget: budget, NetPID: pid})
				if err != nil {
					t.Fatal(err)
				}
				if err := g.Read(&st, buf); err != nil {
					t.Errorf("%s: %s %s: %v", machine, name, oddity, err)
				}
				what := machine + ": " + name + " " + oddity
				got := dump(&st)
				if lost := has &^ st.Has &^ file.gives; lost != 0 {
					t.Errorf("%s costs figures of others: %b", what, lost)
				}
				for l := range strings.Lines(got) {
					if !strings.Contains("\n"+want, "\n"+l) && !strings.HasPrefix(l, "IO bytes") && !strings.HasPrefix(l, "Net false") {
						t.Errorf("%s has %s", what, l)
					}
				}
				g.Close()
				os.RemoveAll(file.path)
				write(t, file.path, string(good))
				fallsShort := len(got) < len(want)
				counted := told[name+" malformed"] + told[name+" truncated"] + told[name+" io"]
				switch {
				case len(told) > 1 || len(told) == 1 && counted == 0:
					t.Errorf("%s: faults %v", what, told)
				case counted > 1:
					t.Errorf("%s is counted %d times for one reading", what, counted)
				case strings.HasPrefix(oddity, "not there"): // a kernel without it
				case fallsShort && counted == 0 && !(len(good) > 0 && strings.HasPrefix(name, "blkio") || name == "io.stat"):
					t.Errorf("%s costs figures and is not counted:\n%s", what, diff(want, got))
				}
				cases++
			}
		}
	}
	if cases < 500 {
		t.Errorf("%d cases", cases)
	}
}

// A controller is taken from a cgroup that lives on, as by cgroup.subtree_control, and given back.
func TestFilesThatVanishCostTheirOwnFiguresUntilTheyComeAgain(t *testing.T) {
	for _, machine := range []string{"v2-docker-web", "hybrid-docker"} {
		dir := unpack(t, machine)
		told := faults{}
		_, g := open(t, dir, Options{Budget: NewBudget(0), Faults: told})
		buf := make([]byte, BufferSize)
		var before, st Stats
		if err := g.Read(&before, buf); err != nil {
			t.Fatal(err)
		}
		in := g.dirs[pids]
		if g.v2 {
			in = g.dirs[unified]
		}
		moved := t.TempDir()
		for _, name := range []string{"pids.current", "pids.max"} {
			if err := os.Rename(filepath.Join(in, name), filepath.Join(moved, name)); err != nil {
				t.Fatal(err)
			}
		}
		const both = HasPIDs | HasPIDsMax
		if err := g.Read(&st, buf); err != nil || st.Has != before.Has&^both || told["pids.current vanished"] != 1 {
			t.Errorf("%s: %v, has %b of %b, faults %v", machine, err, st.Has, before.Has, told)
		}
		for _, name := range []string{"pids.current", "pids.max"} {
			if err := os.Rename(filepath.Join(moved, name), filepath.Join(in, name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := g.Read(&st, buf); err != nil || dump(&st) != dump(&before) {
			t.Errorf("%s: they are back: %v\n%s", machine, err, diff(dump(&before), dump(&st)))
		}
	}
}

func TestAnErrorOfTheKernelHasItsReason(t *testing.T) {
	f := func(want error, errnos ...error) {
		t.Helper()
		for _, errno := range errnos {
			if got := reason(errno); got != want {
				t.Errorf("%v is %q, want %q", errno, got, want)
			}
		}
	}
	f(ErrGone, unix.ENOENT, unix.ENODEV, unix.ESRCH)
	f(errUnsupported, unix.EOPNOTSUPP)
	f(errPermission, unix.EACCES, unix.EPERM)
	f(errDescriptors, unix.EMFILE, unix.ENFILE)
	f(errIO, unix.EIO, unix.EISDIR, unix.EINVAL, unix.ENOMEM)
}
