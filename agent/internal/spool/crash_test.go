package spool

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// runChild appends numbered payloads as fast as it can, and acknowledges every
// other one, until it is killed. It says on standard output what has happened:
// "a N" after Append of payload N returned, "d N" before payload N is
// acknowledged to the reader.
func runChild(dir string) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s, err := Open(Config{Dir: dir, SegmentBytes: 64 << 10}, slog.New(slog.NewTextHandler(io.Discard, nil)), nil)
	if err != nil {
		fail(err)
	}
	r, err := s.Reader("child")
	if err != nil {
		fail(err)
	}
	next, err := strconv.ParseUint(os.Getenv("SPOOL_TEST_CHILD_FIRST"), 10, 64)
	if err != nil {
		fail(err)
	}
	var buf []byte
	for n := next; ; n++ {
		if _, err := s.Append(numbered(n, 100+int(n*7919%3000)), 1); err != nil {
			fail(err)
		}
		fmt.Printf("a %d\n", n)
		if n%2 == 0 {
			rec, err := r.Next(ended(), buf)
			if err != nil {
				fail(err)
			}
			buf = rec.Payload
			fmt.Printf("d %d\n", leNumber(rec.Payload))
			r.Ack(rec.Seq)
		}
	}
}

func leNumber(p []byte) uint64 {
	var n uint64
	for i := 7; i >= 0; i-- {
		n = n<<8 | uint64(p[i])
	}
	return n
}

// Every Append that returned is in the spool after kill -9 of the process,
// exactly once and in order, over several rounds on the same directory; what a
// receiver acknowledged does not come back, except for the one acknowledgement
// that was under way.
func TestKillNineLosesNothingThatWasAppended(t *testing.T) {
	dir := t.TempDir()
	appended, acknowledged := uint64(0), uint64(0)
	first := uint64(1)
	for round := range 12 {
		lo, hi := runAndKill(t, dir, first, time.Duration(20+rand.IntN(60))*time.Millisecond)
		if hi.appended > 0 {
			appended = hi.appended
		}
		if lo > 0 {
			acknowledged = lo
		}
		// The last payload may have reached the spool without its line having
		// been printed; numbers of the next round start past it.
		first = appended + 2

		s := openSpool(t, Config{Dir: dir, SegmentBytes: 64 << 10})
		r := openReader(t, s, "witness")
		var got []uint64
		var buf []byte
		for {
			rec, err := r.Next(ended(), buf)
			if err != nil {
				break
			}
			buf = rec.Payload
			got = append(got, number(t, rec.Payload))
		}
		inOrder(t, round, got)
		have := map[uint64]bool{}
		for _, n := range got {
			have[n] = true
		}
		for n := range hi.all {
			if !have[n] && n > acknowledged {
				t.Fatalf("round %d: payload %d was appended and is gone", round, n)
			}
		}
		c := openReader(t, s, "child")
		if rec, err := c.Next(ended(), nil); err == nil {
			if n := number(t, rec.Payload); n < acknowledged {
				t.Fatalf("round %d: payload %d came back, %d was acknowledged", round, n, acknowledged)
			}
		}
		s.Close()
	}
	t.Logf("appended up to %d, acknowledged up to %d", appended, acknowledged)
	if appended < 100 {
		t.Fatalf("the child appended only %d payloads", appended)
	}
}

func inOrder(t *testing.T, round int, got []uint64) {
	t.Helper()
	for i := 1; i < len(got); i++ {
		if got[i] <= got[i-1] {
			t.Fatalf("round %d: payload %d follows %d", round, got[i], got[i-1])
		}
	}
}

type childLog struct {
	appended uint64
	all      map[uint64]bool
}

// runAndKill runs the child for the given time after its first append and kills
// it. It returns the last payload that was being acknowledged and what was
// appended.
func runAndKill(t *testing.T, dir string, first uint64, life time.Duration) (acknowledged uint64, log childLog) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), "SPOOL_TEST_CHILD_DIR="+dir, fmt.Sprintf("SPOOL_TEST_CHILD_FIRST=%d", first))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	log.all = map[uint64]bool{}
	lines := bufio.NewScanner(out)
	var timer *time.Timer
	for lines.Scan() {
		if timer == nil {
			timer = time.AfterFunc(life, func() { child.Process.Kill() })
		}
		what, digits, whole := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseUint(digits, 10, 64)
		if !whole || err != nil {
			continue
		}
		switch what {
		case "a":
			log.appended = n
			log.all[n] = true
		case "d":
			acknowledged = n
		}
	}
	if err := child.Wait(); err == nil || child.ProcessState.ExitCode() != -1 {
		t.Fatalf("child ended by itself: %v", err)
	}
	return acknowledged, log
}
