package process

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// tree writes the files of testdata/NAME.txtar below a directory that stands for /proc.
func tree(t *testing.T, name string) *Proc {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, f := range archive.Files {
		path := filepath.Join(root, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Open(root, counted{})
}

type counted map[string]int

func (c counted) ReadFault(file, reason string) { c[file+" "+reason]++ }

func (p *Proc) faulted() counted { return p.faults.(counted) }

func TestDescriptorsAreCountedOverProcessesAndSetAgainstTheLimitOfTheOneThatHasMost(t *testing.T) {
	p := tree(t, "processes")
	d := p.Descriptors([]int{10, 11, 12}, 10) // 12 has ended
	if want := (Descriptors{Processes: 2, Open: 5, Known: true, Most: 4, MostLimit: 1024, FirstLimit: -1}); d != want {
		t.Errorf("got %+v, want %+v", d, want)
	}
	if d := p.Descriptors([]int{11}, 11); d.MostLimit != 1024 || d.FirstLimit != 1024 {
		t.Errorf("of one process %+v", d)
	}
	if _, ok := p.openFilesLimit(13); ok || p.faulted()["limits malformed"] != 1 {
		t.Errorf("a malformed file is a limit; faults %v", p.faulted())
	}
	if n := len(p.faulted()); n != 1 {
		t.Errorf("an ended process is a fault: %v", p.faulted())
	}
}

func TestTheKernelCountsOurOwnDescriptors(t *testing.T) {
	p := Open("/proc", nil)
	before := p.Descriptors([]int{os.Getpid()}, 0)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	after := p.Descriptors([]int{os.Getpid()}, 0)
	if !after.Known || after.Open <= before.Open {
		t.Errorf("%+v, and with a socket more %+v", before, after)
	}
	if n, ok := p.Sockets([]int{os.Getpid()}); !ok || n < 1 {
		t.Errorf("%d sockets, %t", n, ok)
	}
	states, ok := p.TCPStates(os.Getpid(), "net/tcp")
	if !ok || states[9] < 1 || TCPStateNames()[9] != "listen" {
		t.Errorf("no listener in %v", states)
	}
}

func TestTCPFiguresAreFoundByTheirHeadings(t *testing.T) {
	p := tree(t, "network")
	got := fmt.Sprint(p.TCPStats(nil, 10))
	const want = "[{activeopens 5436} {passiveopens 3233} {attemptfails 2017} {estabresets 683} {currestab 1} {insegs 690463} {outsegs 661562} {retranssegs 245} {inerrs 0} {outrsts 2540} " +
		"{listenoverflows 7} {listendrops 8} {tcptimeouts 12}]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSocketsAreCountedByState(t *testing.T) {
	p := tree(t, "network")
	states, ok := p.TCPStates(10, "net/tcp")
	if want := (TCPStates{0: 1, 2: 1, 5: 1, 9: 1}); !ok || states != want { // a request socket (0C) is a synrecv
		t.Errorf("%v, %t", states, ok)
	}
	if u, ok := p.UDPSockets(10, "net/udp"); !ok || u != (UDPSockets{Sockets: 2, Dropped: 3, TransmitQueued: 16, ReceiveQueued: 256}) {
		t.Errorf("%+v, %t", u, ok)
	}
	if _, ok := p.TCPStates(10, "net/tcp6"); ok {
		t.Error("a kernel without IPv6 has sockets of it")
	}
	if len(p.faulted()) != 0 {
		t.Errorf("faults %v", p.faulted())
	}
}

func TestScheduleDoesNotStepBackWhenAThreadEnds(t *testing.T) {
	p := tree(t, "processes")
	var kept Schedules
	if got := p.Schedule([]int{10, 11}, &kept); got != (Schedule{Run: 6 * time.Millisecond, Runqueue: 60 * time.Microsecond, Periods: 6}) {
		t.Errorf("three threads: %+v", got)
	}
	if got := p.Schedule([]int{10}, &kept); got != (Schedule{Run: 6 * time.Millisecond, Runqueue: 60 * time.Microsecond, Periods: 6}) {
		t.Errorf("one process has ended: %+v", got)
	}
	if got := p.Schedule([]int{10}, &kept); got.Periods != 6 {
		t.Errorf("it is counted again: %+v", got)
	}
}

func FuzzFilesOfAProcess(f *testing.F) {
	f.Add([]byte("Tcp: A RetransSegs\nTcp: 1 2\n"))
	f.Add([]byte("1000000 10000 1\n"))
	f.Add([]byte("Limit\nMax open files            1024 2048 files\n"))
	f.Add([]byte("  sl\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 100 1 0 100 0 0 10 0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		root := t.TempDir()
		for _, name := range []string{"limits", "net/snmp", "net/netstat", "net/tcp", "net/udp", "task/5/schedstat"} {
			path := filepath.Join(root, "5", name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		p := Open(root, counted{})
		if d := p.Descriptors([]int{5}, 5); d.MostLimit < 0 {
			t.Errorf("%+v", d)
		}
		p.TCPStats(nil, 5)
		p.TCPStates(5, "net/tcp")
		p.UDPSockets(5, "net/udp")
		var kept Schedules
		if s := p.Schedule([]int{5}, &kept); s.Run < 0 || s.Runqueue < 0 {
			t.Errorf("%+v", s)
		}
	})
}
