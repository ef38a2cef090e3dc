package spool

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"
)

// written is a spool directory with records 1 to n of the given payload size,
// 10 samples each, in segments of about 4 KiB; it returns the segment files.
func written(t *testing.T, n uint64, bytes int) (dir string, segments []string) {
	t.Helper()
	dir = t.TempDir()
	s := openSpool(t, Config{Dir: dir, SegmentBytes: 4 << 10})
	for i := uint64(1); i <= n; i++ {
		mustAppend(t, s, i, bytes, 10)
	}
	segments = segmentPaths(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, segments
}

func edit(t *testing.T, path string, change func(content []byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A record that was being written when the power or the process went is cut
// off; nothing before it is touched, and appending goes on.
func TestATornWriteIsCutOff(t *testing.T) {
	const size = 300
	for _, keep := range []int{0, 1, 20, headerBytes - 1, headerBytes, headerBytes + 1, headerBytes + size - 1} {
		for name, tail := range map[string][]byte{"short": nil, "zeros": make([]byte, 700)} {
			t.Run(fmt.Sprintf("%d bytes, %s", keep, name), func(t *testing.T) {
				dir, segments := written(t, 5, size)
				edit(t, segments[0], func(c []byte) []byte {
					last := len(c) - headerBytes - size
					return append(c[:last+keep], tail...)
				})
				s := openSpool(t, Config{Dir: dir})
				r := openReader(t, s, "a")
				torn := faults(s, "torn_tail")
				// Full length, wrong content. The last byte of a header is 0.
				complete := keep >= headerBytes-1 && tail != nil
				if want := keep > 0 || tail != nil; (torn == 1) != (want && !complete) && !complete {
					t.Errorf("%v torn tails counted", torn)
				}
				if got := mustAppend(t, s, 50, size, 10); got < 5 {
					t.Errorf("sequence %d after the restart", got)
				}
				if got := drain(t, r); !slices.Equal(got, []uint64{1, 2, 3, 4, 50}) {
					t.Errorf("got %v", got)
				}
				want := 0.0
				if complete {
					want = 10 // its header tells
				}
				if got := droppedSamples(s, "a", reasonCorrupt); got != want {
					t.Errorf("%v samples counted, want %v", got, want)
				}
			})
		}
	}
}

// Any single flipped byte costs at most the record it is in, which is counted.
func TestAFlippedByteCostsOneRecord(t *testing.T) {
	const records, size = 30, 500
	dir, segments := written(t, records, size)
	if len(segments) < 4 {
		t.Fatalf("%d segments", len(segments))
	}
	for round := range 80 {
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		victim := rand.IntN(len(segments))
		path := filepath.Join(copied, filepath.Base(segments[victim]))
		var at int
		edit(t, path, func(c []byte) []byte {
			at = rand.IntN(len(c))
			c[at] ^= 1 << rand.IntN(8)
			return c
		})
		s := openSpool(t, Config{Dir: copied})
		r := openReader(t, s, "a")
		got := drain(t, r)
		inOrder(t, round, got)
		lost := records - len(got)
		// The last record of the last segment with a damaged header cannot be
		// told from one that was being written.
		last := victim == len(segments)-1 && faults(s, "torn_tail") == 1
		counted := droppedSamples(s, "a", reasonCorrupt)
		if lost > 1 || (counted != float64(10*lost) && !last) {
			t.Fatalf("byte %d of segment %d: lost %d records, counted %v samples, got %v", at, victim, lost, counted, got)
		}
		if lost == 1 && faults(s, "corrupt")+faults(s, "torn_tail") == 0 {
			t.Fatalf("byte %d of segment %d: damage not counted", at, victim)
		}
		if b := r.Backlog(); b != (Backlog{}) {
			t.Fatalf("byte %d of segment %d: backlog at the end %+v", at, victim, b)
		}
		s.Close()
	}
}

func TestADamagedSegmentIsSkippedAndTheRestDelivered(t *testing.T) {
	const records, size = 30, 500
	for name, c := range map[string]struct {
		change func([]byte) []byte
		remove bool
		whole  bool // nothing of the segment is left
	}{
		"truncated":      {change: func(c []byte) []byte { return c[:len(c)/2] }},
		"zeros":          {change: func(c []byte) []byte { clear(c); return c }, whole: true},
		"emptied":        {change: func(c []byte) []byte { return nil }, whole: true},
		"hole":           {change: func(c []byte) []byte { clear(c[1000:2500]); return c }},
		"header damaged": {change: func(c []byte) []byte { clear(c[:40]); return c }},
		"removed":        {remove: true, whole: true},
		"bytes inserted": {change: func(c []byte) []byte { return slices.Insert(c, 1000, make([]byte, 77)...) }},
	} {
		t.Run(name, func(t *testing.T) {
			dir, segments := written(t, records, size)
			if c.remove {
				os.Remove(segments[1])
			} else {
				edit(t, segments[1], c.change)
			}
			s := openSpool(t, Config{Dir: dir})
			r := openReader(t, s, "a")
			got := drain(t, r)
			inOrder(t, 0, got)
			lost := records - len(got)
			if c.whole != (lost >= 7) || lost > 8 {
				t.Errorf("lost %d records, got %v", lost, got)
			}
			if counted := droppedSamples(s, "a", reasonCorrupt); counted != float64(10*lost) {
				t.Errorf("lost %d records, counted %v samples", lost, counted)
			}
			if b := r.Backlog(); b != (Backlog{}) {
				t.Errorf("backlog at the end %+v", b)
			}
		})
	}
}

func TestDamageWhileRunningIsSteppedOver(t *testing.T) {
	s := openSpool(t, Config{Dir: t.TempDir(), SegmentBytes: 4 << 10})
	r := openReader(t, s, "a")
	for n := uint64(1); n <= 30; n++ {
		mustAppend(t, s, n, 500, 10)
	}
	first := take(t, r)
	segments := segmentPaths(s)
	os.Remove(segments[1])
	if err := os.Truncate(segments[2], 700); err != nil {
		t.Fatal(err)
	}
	r.Ack(first.Seq)
	got := drain(t, r)
	inOrder(t, 0, got)
	lost := 29 - len(got)
	if counted := droppedSamples(s, "a", reasonCorrupt); lost < 10 || counted != float64(10*lost) {
		t.Fatalf("lost %d records, counted %v samples, got %v", lost, counted, got)
	}
	mustAppend(t, s, 31, 500, 10)
	if got := drain(t, r); !slices.Equal(got, []uint64{31}) {
		t.Fatalf("afterwards got %v", got)
	}
}

func TestADamagedPositionMeansSendingAgain(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"both slots": func(c []byte) []byte { clear(c); return c },
		"empty":      func([]byte) []byte { return nil },
	} {
		dir, _ := written(t, 5, 300)
		s := openSpool(t, Config{Dir: dir})
		r := openReader(t, s, "a")
		r.Ack(take(t, r).Seq)
		r.Ack(take(t, r).Seq)
		s.Close()
		edit(t, cursorPath(dir, "a"), change)
		s = openSpool(t, Config{Dir: dir})
		if got := drain(t, openReader(t, s, "a")); !slices.Equal(got, fromTo(1, 5)) {
			t.Fatalf("%s: got %v", name, got)
		}
		s.Close()
	}

	// One slot torn: the other is one acknowledgement older.
	dir, _ := written(t, 5, 300)
	s := openSpool(t, Config{Dir: dir})
	r := openReader(t, s, "a")
	for range 3 {
		r.Ack(take(t, r).Seq)
	}
	newer := int64(r.cursor.generation&1) * cursorSlotBytes
	s.Close()
	edit(t, cursorPath(dir, "a"), func(c []byte) []byte { clear(c[newer+50 : newer+100]); c[newer+9] ^= 1; return c })
	s = openSpool(t, Config{Dir: dir})
	if got := drain(t, openReader(t, s, "a")); !slices.Equal(got, fromTo(3, 5)) {
		t.Fatalf("one slot torn: got %v", got)
	}
}

// Power loss may take records from the disk whose acknowledgement it leaves. If
// their numbers were used again, new data would be taken for acknowledged.
func TestNumbersThatWereAcknowledgedAreNotUsedAgain(t *testing.T) {
	dir, segments := written(t, 5, 300)
	content, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	s := openSpool(t, Config{Dir: dir})
	r := openReader(t, s, "a")
	for range 5 {
		r.Ack(take(t, r).Seq)
	}
	s.Close()
	if err := os.WriteFile(segments[0], content[:headerBytes+2*(headerBytes+300)], 0o600); err != nil {
		t.Fatal(err)
	}
	s = openSpool(t, Config{Dir: dir})
	r = openReader(t, s, "a")
	mustAppend(t, s, 77, 300, 1)
	if got := drain(t, r); !slices.Equal(got, []uint64{77}) {
		t.Fatalf("got %v", got)
	}
}

func TestOtherFilesInTheDirectoryAreLeftAlone(t *testing.T) {
	dir, _ := written(t, 2, 100)
	for _, name := range []string{"README", "1.seg", "00000000000000000001.seg.bak", "cursor-"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("not ours"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := openSpool(t, Config{Dir: dir})
	if got := drain(t, openReader(t, s, "a")); !slices.Equal(got, fromTo(1, 2)) {
		t.Fatalf("got %v", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "README")); err != nil {
		t.Fatal(err)
	}
}

// memoryFile is a file for reading that is not on disk.
type memoryFile struct {
	file
	bytes.Reader
}

func (f *memoryFile) ReadAt(p []byte, off int64) (int, error) { return f.Reader.ReadAt(p, off) }

// segmentSeeds are segments, whole and damaged, to start fuzzing from.
func segmentSeeds() [][]byte {
	var records []byte
	for n := range uint64(3) {
		payload := numbered(n, 60)
		head := make([]byte, headerBytes)
		putHeader(head, recordMagic, header{
			payloadCRC: checksum(payload), payloadBytes: uint32(len(payload)), samples: 1, seq: n + 1, createdMillis: time.Now().UnixMilli(), samplesBefore: n,
		})
		records = append(append(records, head...), payload...)
	}
	first := make([]byte, headerBytes)
	putHeader(first, segmentMagic, header{seq: 1})
	whole := append(first, records...)
	return [][]byte{whole, whole[:len(whole)-7], append(whole[:headerBytes+50:headerBytes+50], records...), records, {}}
}

// A segment of any content is walked to its end without failing, and what it
// yields are intact records.
func FuzzSegment(f *testing.F) {
	for _, seed := range segmentSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		c := scan{f: &memoryFile{Reader: *bytes.NewReader(content)}, end: int64(len(content))}
		total := int64(0)
		for {
			h, damaged, err := c.header()
			total += damaged
			if err != nil {
				break
			}
			if payload, ok := c.payload(h, nil); ok && (len(payload) != int(h.payloadBytes) || checksum(payload) != h.payloadCRC) {
				t.Fatalf("record %d passed although it is damaged", h.seq)
			}
			c.skip(h)
			total += h.size()
		}
		if total != int64(len(content)) || c.off != c.end {
			t.Fatalf("walked %d of %d bytes", total, len(content))
		}
	})
}

// A spool that finds a segment of any content opens, gives what is in it and
// takes new records.
func FuzzRecovery(f *testing.F) {
	for _, seed := range segmentSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, segmentName(1)), content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(Config{Dir: dir}, quiet(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		r, err := s.Reader("a")
		if err != nil {
			t.Fatal(err)
		}
		for range len(content) + 2 {
			rec, err := r.Next(ended(), nil)
			if err != nil {
				break
			}
			r.Ack(rec.Seq)
		}
		seq, err := s.Append([]byte("new"), 1)
		if err != nil {
			t.Fatal(err)
		}
		if rec, err := r.Next(ended(), nil); err != nil || rec.Seq != seq || string(rec.Payload) != "new" {
			t.Fatalf("a new record came out as %+v, %v", rec, err)
		}
	})
}

func FuzzCursor(f *testing.F) {
	var slot [cursorSlotBytes]byte
	putSlot(&slot, 7, position{done: spans{{0, 5}, {9, 9}}, written: 90, settled: 60})
	f.Add(slot[:])
	f.Fuzz(func(t *testing.T, content []byte) {
		var slot [cursorSlotBytes]byte
		copy(slot[:], content)
		p, generation, ok := parseSlot(&slot)
		if !ok || !p.counted {
			return
		}
		var again [cursorSlotBytes]byte
		putSlot(&again, generation, p)
		if got, _, ok := parseSlot(&again); !ok || !reflect.DeepEqual(got, p) {
			t.Fatalf("%v became %v", p, got)
		}
	})
}
