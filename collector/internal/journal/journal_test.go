package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// disk is an engine that has persisted what the test says.
type disk struct{ persisted bool }

func (d *disk) mark() func() bool { return func() bool { return d.persisted } }

// open opens a journal and replays it; got are the batches given back.
func open(t *testing.T, cfg Config) (j *Journal, got []Batch) {
	t.Helper()
	if cfg.Mark == nil {
		cfg.Mark = new(disk).mark
	}
	j, err := Open(cfg, quiet(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	err = j.Replay(t.Context(), func(b Batch) error {
		b.Body = bytes.Clone(b.Body)
		got = append(got, b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return j, got
}

func numbered(n int) Batch {
	return Batch{Encoding: "zstd", Agent: "a-1", Sequence: uint64(n), First: 1, Received: time.UnixMilli(1_700_000_000_000 + int64(n)), Samples: 10,
		Body: []byte(fmt.Sprintf("body %d %s", n, strings.Repeat("x", n%300)))}
}

func appendAll(t *testing.T, j *Journal, from, to int) {
	t.Helper()
	for n := from; n <= to; n++ {
		given, err := j.Append(numbered(n))
		if err != nil {
			t.Fatal(err)
		}
		given()
	}
}

func segmentFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestWhatWasAppendedIsGivenBackInOrder(t *testing.T) {
	for _, fsync := range []Fsync{FsyncInterval, FsyncBatch, FsyncNever} {
		dir := t.TempDir()
		j, _ := open(t, Config{Dir: dir, Fsync: fsync, SegmentBytes: 1000})
		appendAll(t, j, 1, 100)
		if last := j.segments[len(j.segments)-1]; fsync == FsyncBatch && last.synced != last.size {
			t.Errorf("acknowledged before it was synced: %d of %d bytes", last.synced, last.size)
		}
		// No Close: the process was killed.
		_, got := open(t, Config{Dir: dir})
		if len(got) != 100 {
			t.Fatalf("%s: %d batches", fsync, len(got))
		}
		for i, b := range got {
			if want := numbered(i + 1); b.Sequence != want.Sequence || b.First != 1 || b.Agent != "a-1" || b.Encoding != "zstd" || b.Samples != 10 || !b.Received.Equal(want.Received) || !bytes.Equal(b.Body, want.Body) {
				t.Fatalf("%s: batch %d is %+v", fsync, i+1, b)
			}
		}
		if n := len(segmentFiles(t, dir)); n < 10 {
			t.Errorf("%s: %d segments", fsync, n)
		}
	}
}

func TestASegmentGoesOnceTheEngineHasItOnDisk(t *testing.T) {
	engine := &disk{}
	dir := t.TempDir()
	j, _ := open(t, Config{Dir: dir, SegmentAge: time.Nanosecond, Mark: engine.mark})
	given, err := j.Append(numbered(1))
	if err != nil {
		t.Fatal(err)
	}
	engine.persisted = true
	j.tick(time.Now())
	if len(segmentFiles(t, dir)) != 1 {
		t.Fatal("a segment is gone whose batch the engine was not given")
	}
	given()
	engine.persisted = false
	j.tick(time.Now())
	if len(segmentFiles(t, dir)) != 1 {
		t.Fatal("a segment is gone that the engine has in memory")
	}
	engine.persisted = true
	j.tick(time.Now())
	if len(segmentFiles(t, dir)) != 0 || j.bytes != 0 {
		t.Fatal("a segment stays that the engine has on disk")
	}
}

func TestWhatWasReplayedStaysUntilTheEngineHasIt(t *testing.T) {
	engine := &disk{persisted: true}
	dir := t.TempDir()
	j, _ := open(t, Config{Dir: dir})
	appendAll(t, j, 1, 3)

	again, err := Open(Config{Dir: dir, Mark: engine.mark}, quiet(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	again.tick(time.Now())
	if _, err := again.Append(numbered(4)); !errors.Is(err, ErrReplaying) {
		t.Errorf("before the replay: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := again.Replay(ctx, func(Batch) error { cancel(); return nil })
	if !errors.Is(stopped, context.Canceled) || len(segmentFiles(t, dir)) != 1 || again.Remaining() == 0 {
		t.Errorf("a replay that was stopped: %v", stopped)
	}
	again.Close()
	again.Discard()
	if len(segmentFiles(t, dir)) != 1 {
		t.Fatal("what was not replayed was discarded")
	}
	j, got := open(t, Config{Dir: dir, Mark: engine.mark})
	j.tick(time.Now())
	if len(got) != 3 || len(segmentFiles(t, dir)) != 0 || j.Remaining() != 0 {
		t.Errorf("%d batches, %d bytes remain", len(got), j.Remaining())
	}
}

func TestACleanStopLeavesNothingToReplay(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, Config{Dir: dir})
	appendAll(t, j, 1, 3)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j.Discard()
	if files := segmentFiles(t, dir); len(files) != 0 {
		t.Errorf("left: %v", files)
	}
	if _, err := j.Append(numbered(4)); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// Damage costs the records it touches and no other, and is counted.
func TestDamageIsSteppedOver(t *testing.T) {
	for name, harm := range map[string]struct {
		do   func([]byte) []byte
		lost []uint64
	}{
		"torn tail":      {func(b []byte) []byte { return b[:len(b)-3] }, []uint64{20}},
		"torn header":    {func(b []byte) []byte { return append(b, b[:20]...) }, nil},
		"a body":         {func(b []byte) []byte { b[headerBytes+sequenceBytes+5] ^= 1; return b }, []uint64{1}},
		"a header":       {func(b []byte) []byte { b[17] ^= 1; return b }, []uint64{1}},
		"zeroed start":   {func(b []byte) []byte { clear(b[:10]); return b }, []uint64{1}},
		"a hole":         {func(b []byte) []byte { clear(b[294:304]); return b }, []uint64{5}},
		"nothing but 0s": {func(b []byte) []byte { clear(b); return b }, nil},
		"an empty file":  {func([]byte) []byte { return nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			j, _ := open(t, Config{Dir: dir, SegmentBytes: 1 << 19})
			appendAll(t, j, 1, 20)
			j.mu.Lock()
			j.segments[0].sealed = true
			j.mu.Unlock()
			appendAll(t, j, 21, 40)
			first := segmentFiles(t, dir)[0]
			text, err := os.ReadFile(first)
			if err != nil {
				t.Fatal(err)
			}
			size := len(text)
			if err := os.WriteFile(first, harm.do(text), 0o600); err != nil {
				t.Fatal(err)
			}
			again, got := open(t, Config{Dir: dir})
			have := map[uint64]bool{}
			for _, b := range got {
				if have[b.Sequence] || !bytes.Equal(b.Body, numbered(int(b.Sequence)).Body) {
					t.Errorf("batch %d came twice or changed", b.Sequence)
				}
				have[b.Sequence] = true
			}
			for n := uint64(21); n <= 40; n++ {
				if !have[n] {
					t.Errorf("batch %d of the other segment is lost", n)
				}
			}
			if size > 0 && harm.lost != nil {
				for n := uint64(1); n <= 20; n++ {
					if lost := n == harm.lost[0]; lost == have[n] {
						t.Errorf("batch %d: given back %v", n, have[n])
					}
				}
			}
			if appendAll(t, again, 41, 42); again.Fault() != nil {
				t.Error(again.Fault())
			}
		})
	}
}

func TestAFullJournalRefusesAndTakesAgain(t *testing.T) {
	engine := &disk{}
	j, _ := open(t, Config{Dir: t.TempDir(), MaxBytes: MinBytes, SegmentAge: time.Nanosecond, Mark: engine.mark})
	big := Batch{Body: make([]byte, 100<<10)}
	kept := 0
	var err error
	for ; kept < 100; kept++ {
		var given func()
		if given, err = j.Append(big); err != nil {
			break
		}
		given()
	}
	if !errors.Is(err, ErrFull) || kept != 10 || j.bytes > MinBytes {
		t.Fatalf("after %d batches and %d bytes: %v", kept, j.bytes, err)
	}
	if _, err := j.Append(Batch{Body: make([]byte, MinBytes)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a batch larger than all: %v", err)
	}
	engine.persisted = true
	j.tick(time.Now())
	if _, err := j.Append(big); err != nil {
		t.Errorf("after the engine persisted: %v", err)
	}
}

// A real full file system: /dev/full takes no byte.
func TestAFullDiskRefusesAndTheNextWriteThatFitsResumes(t *testing.T) {
	dir := t.TempDir()
	full := true
	cfg := Config{Dir: dir, SegmentAge: time.Nanosecond}
	cfg.openFile = func(path string) (*os.File, error) {
		if full {
			return os.OpenFile("/dev/full", os.O_WRONLY, 0)
		}
		return os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	}
	j, _ := open(t, cfg)
	for range 3 {
		if _, err := j.Append(numbered(1)); !errors.Is(err, ErrDisk) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v", err)
		}
	}
	if !errors.Is(j.Fault(), syscall.ENOSPC) {
		t.Errorf("the state is %v", j.Fault())
	}
	full = false
	appendAll(t, j, 1, 5)
	if j.Fault() != nil {
		t.Errorf("after writes that went well: %v", j.Fault())
	}
	if _, got := open(t, Config{Dir: dir}); len(got) != 5 {
		t.Errorf("%d batches", len(got))
	}
}

func TestManyAppendAtOnce(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, Config{Dir: dir, Fsync: FsyncBatch, SegmentBytes: 4 << 10, FsyncEvery: time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- j.Run(ctx) }()
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() { appendAll(t, j, 1+w*50, 50+w*50) })
	}
	writers.Wait()
	stop()
	<-done
	_, got := open(t, Config{Dir: dir})
	have := map[uint64]bool{}
	for _, b := range got {
		have[b.Sequence] = true
	}
	if len(got) != 400 || len(have) != 400 {
		t.Errorf("%d batches, %d different", len(got), len(have))
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	mark := new(disk).mark
	for _, cfg := range []Config{{}, {Dir: "x"}, {Dir: "x", Mark: mark, MaxBytes: 1}, {Dir: "x", Mark: mark, Fsync: "sometimes"}} {
		if _, err := Open(cfg, quiet(), prometheus.NewRegistry()); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}

// FuzzWalk: whatever is in a segment, the walk ends, keeps inside it and gives back only what has its checksums.
func FuzzWalk(f *testing.F) {
	whole := appendRecord(appendRecord(nil, numbered(1)), numbered(2))
	f.Add(whole)
	f.Add(whole[5:])
	f.Add(append([]byte{0x50, 0x4c, 0x4a, 0x31}, whole...))
	f.Fuzz(func(t *testing.T, segment []byte) {
		given := 0
		lost, err := walk(segment, func(b Batch) error {
			given += headerBytes + sequenceBytes + len(b.Agent) + len(b.Body)
			return nil
		})
		if err != nil || given+lost.bytes != len(segment) {
			t.Fatalf("%d bytes given, %d lost of %d: %v", given, lost.bytes, len(segment), err)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	j, err := Open(Config{Dir: b.TempDir(), MaxBytes: 1 << 40, Mark: new(disk).mark}, quiet(), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	if err := j.Replay(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	batch := Batch{Encoding: "zstd", Agent: "a", Sequence: 1, First: 1, Samples: 6000, Body: bytes.Repeat([]byte("0123456789"), 6600)} // 11 bytes a sample
	b.SetBytes(int64(len(batch.Body)))
	for b.Loop() {
		given, err := j.Append(batch)
		if err != nil {
			b.Fatal(err)
		}
		given()
	}
}
