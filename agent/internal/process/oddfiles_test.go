package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestAnOddFileOfAProcessCostsItsOwnFigureAndIsCounted spoils each file in turn: what is still told is what the good file told.
func TestAnOddFileOfAProcessCostsItsOwnFigureAndIsCounted(t *testing.T) {
	number := regexp.MustCompile(`\d+`)
	numbers := func(with string) func([]byte) []byte {
		return func(good []byte) []byte { return number.ReplaceAll(good, []byte(with)) }
	}
	const unreadable = "an error of the disk"
	oddities := map[string]func(good []byte) []byte{
		"empty":             func([]byte) []byte { return nil },
		"cut off":           func(good []byte) []byte { return good[:len(good)-2] },
		"NUL in numbers":    numbers("1\x00"),
		"all NUL":           func(good []byte) []byte { return append(make([]byte, len(good)-1), '\n') },
		"past 64 bits":      numbers("18446744073709551616"),
		"negative":          numbers("-7"),
		"of words":          numbers("many"),
		"longer than usual": func(good []byte) []byte { return append(bytes.Repeat([]byte("\n"), 100<<10), good...) },
		unreadable:          nil,
	}
	tell := map[string]func(p *Proc) string{
		"limits": func(p *Proc) string { d := p.Descriptors([]int{11}, 11); return list(d.MostLimit, d.FirstLimit) },
		"net/snmp": func(p *Proc) string {
			return tcp(p, func(name string) bool { return !strings.HasPrefix(name, "listen") && !strings.HasPrefix(name, "tcp") })
		},
		"net/netstat": func(p *Proc) string {
			return tcp(p, func(name string) bool { return strings.HasPrefix(name, "listen") || strings.HasPrefix(name, "tcp") })
		},
		"net/tcp": func(p *Proc) string {
			states, ok := p.TCPStates(10, "net/tcp")
			return known(ok, list(states))
		},
		"net/udp": func(p *Proc) string {
			u, ok := p.UDPSockets(10, "net/udp")
			return known(ok, list(u))
		},
	}
	for name, figures := range tell {
		of := "network"
		pid := "10"
		if name == "limits" {
			of, pid = "processes", "11"
		}
		for oddity, spoil := range oddities {
			p := tree(t, of)
			path := filepath.Join(p.root, pid, name)
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want := figures(p)
			if spoil == nil {
				os.Remove(path)
				err = os.Symlink("/proc/self/mem", path) // nothing is mapped at 0: EIO
			} else {
				err = os.WriteFile(path, spoil(good), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			got := figures(p)
			for word := range strings.FieldsSeq(got) {
				if !strings.Contains(want, word) && word != "[0]" { // unknown
					t.Errorf("%s, %s: told %s of %s", name, oddity, got, want)
				}
			}
			counted := p.faulted()[name+" malformed"] + p.faulted()[name+" truncated"] + p.faulted()[name+" io"]
			if got != want && counted == 0 {
				t.Errorf("%s, %s: told %q of %q and counted %v", name, oddity, got, want, p.faulted())
			}
		}
	}
}

func list(v ...any) string {
	var b strings.Builder
	for _, one := range v {
		fmt.Fprintf(&b, "[%+v] ", one)
	}
	return b.String()
}

func known(ok bool, text string) string {
	if ok {
		return text
	}
	return ""
}

func tcp(p *Proc, which func(name string) bool) string {
	var b strings.Builder
	for _, s := range p.TCPStats(nil, 10) {
		if which(s.Name) {
			fmt.Fprintf(&b, "%s=%d ", s.Name, s.Value)
		}
	}
	return b.String()
}

// A file that can not be read once would otherwise look like a thread that ended, and count twice from the next reading on.
func TestAScheduleThatCanNotBeReadOnceDoesNotCountTwice(t *testing.T) {
	p := tree(t, "processes")
	var kept Schedules
	whole := p.Schedule([]int{10, 11}, &kept)
	path := filepath.Join(p.root, "11/task/11/schedstat")
	for _, odd := range []string{"3000000 300", "3000000 30000 -3\n", "", "3000000\x00 1 2\n"} {
		if err := os.WriteFile(path, []byte(odd), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := p.Schedule([]int{10, 11}, &kept); got != whole {
			t.Errorf("with %q %+v, want %+v", odd, got, whole)
		}
	}
	if err := os.WriteFile(path, []byte("4000000 30000 4\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := p.Schedule([]int{10, 11}, &kept); got.Run != whole.Run+time.Millisecond || got.Periods != whole.Periods+1 {
		t.Errorf("it can be read again: %+v, was %+v", got, whole)
	}
	if n := p.faulted()["schedstat malformed"] + p.faulted()["schedstat truncated"]; n != 4 {
		t.Errorf("faults %v", p.faulted())
	}
}
