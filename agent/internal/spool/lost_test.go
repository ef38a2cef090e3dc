package spool

import (
	"errors"
	"fmt"
	"os"
	"testing"
)

// Files at either end that were removed, emptied or cut short once cost samples that nobody counted: there was no later record to tell.
func TestWhatIsMissingAtTheStartIsCounted(t *testing.T) {
	cut := func(bytes int64) func(string) error {
		return func(path string) error { return os.Truncate(path, bytes) }
	}
	for name, harm := range map[string]func(segments []string) error{
		"nothing":                  func([]string) error { return nil },
		"first emptied":            func(s []string) error { return cut(0)(s[0]) },
		"first removed":            func(s []string) error { return os.Remove(s[0]) },
		"first two removed":        func(s []string) error { return errors.Join(os.Remove(s[0]), os.Remove(s[1])) },
		"one between removed":      func(s []string) error { return os.Remove(s[1]) },
		"last cut short":           func(s []string) error { return cut(1500)(s[len(s)-1]) },
		"last emptied":             func(s []string) error { return cut(0)(s[len(s)-1]) },
		"last removed":             func(s []string) error { return os.Remove(s[len(s)-1]) },
		"first and last removed":   func(s []string) error { return errors.Join(os.Remove(s[0]), os.Remove(s[len(s)-1])) },
		"all removed":              func(s []string) error { return remove(s) },
		"all but the last removed": func(s []string) error { return remove(s[:len(s)-1]) },
	} {
		for _, acked := range []int{0, 3, 12} {
			t.Run(fmt.Sprintf("%s, %d acknowledged", name, acked), func(t *testing.T) {
				cfg := Config{Dir: t.TempDir(), SegmentBytes: 4 << 10}
				s := openSpool(t, cfg)
				all, some := openReader(t, s, "all"), openReader(t, s, "some")
				for n := uint64(1); n <= 30; n++ {
					mustAppend(t, s, n, 500, 10)
				}
				drain(t, all) // so that a position says how much there was
				for range acked {
					some.Ack(take(t, some).Seq)
				}
				segments := segmentPaths(s)
				s.Close()
				if err := harm(segments); err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Fatal(err)
				}
				got, counted := acked, 0.0
				for round := range 3 { // what was counted once is not counted again
					s = openSpool(t, cfg)
					all, some = openReader(t, s, "all"), openReader(t, s, "some")
					if round == 1 {
						mustAppend(t, s, 31, 500, 10)
						if fresh := drain(t, all); len(fresh) != 1 {
							t.Fatalf("a new record came as %v", fresh)
						}
					}
					if round > 0 {
						got += len(drain(t, some))
						if b := some.Backlog(); b != (Backlog{}) {
							t.Fatalf("backlog at the end %+v", b)
						}
					}
					counted += droppedSamples(s, "some", reasonLost) + droppedSamples(s, "some", reasonCorrupt)
					if lost := droppedSamples(s, "all", reasonLost) + droppedSamples(s, "all", reasonCorrupt); lost != 0 {
						t.Fatalf("%v samples counted for the receiver that had everything", lost)
					}
					s.Close()
				}
				if lost := 31 - got; counted != float64(10*lost) {
					t.Fatalf("%d records of 31 arrived, %v samples are counted", got, counted)
				}
			})
		}
	}
}

func remove(paths []string) (err error) {
	for _, path := range paths {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

func TestAPositionOfAnEarlierVersionIsRead(t *testing.T) {
	var slot [cursorSlotBytes]byte
	putSlot(&slot, 5, position{done: spans{{0, 4}, {6, 9}}})
	copy(slot[:4], []byte("PLC1"))
	copy(slot[4:8], "\x00\x00\x00\x00")
	if _, _, ok := parseSlot(&slot); ok {
		t.Fatal("the checksum is not looked at")
	}
	sum := checksum(slot[8:])
	for i := range 4 {
		slot[4+i] = byte(sum >> (8 * i))
	}
	p, generation, ok := parseSlot(&slot)
	if !ok || generation != 5 || p.counted || len(p.done) != 2 || p.done.max() != 9 {
		t.Fatalf("%+v, generation %d, %t", p, generation, ok)
	}
	if lost := p.lost(1000, 10); lost != 0 {
		t.Fatalf("%d samples are called lost, of which nothing is known", lost)
	}
}
