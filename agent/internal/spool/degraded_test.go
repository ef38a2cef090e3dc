package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// faultyFiles is a file system that refuses writes with an error while one is
// set, after letting the given number of bytes through.
type faultyFiles struct {
	osFiles
	fault   atomic.Pointer[error]
	through atomic.Int64
	syncs   atomic.Int64
}

func (f *faultyFiles) set(err error) { f.fault.Store(&err) }
func (f *faultyFiles) clear()        { f.fault.Store(nil) }

func (f *faultyFiles) OpenFile(path string, flag int) (file, error) {
	if err := f.fault.Load(); err != nil && flag&os.O_CREATE != 0 && f.through.Load() <= 0 {
		return nil, &os.PathError{Op: "open", Path: path, Err: *err}
	}
	opened, err := f.osFiles.OpenFile(path, flag)
	if err != nil {
		return nil, err
	}
	return &faultyFile{opened, f}, nil
}

type faultyFile struct {
	file
	of *faultyFiles
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.of.fault.Load(); err != nil {
		n := max(0, min(f.of.through.Load(), int64(len(p))))
		f.of.through.Add(-n)
		if int(n) < len(p) {
			_, _ = f.file.WriteAt(p[:n], off)
			return int(n), *err
		}
	}
	return f.file.WriteAt(p, off)
}

func (f *faultyFile) Sync() error {
	f.of.syncs.Add(1)
	if err := f.of.fault.Load(); err != nil {
		return *err
	}
	return f.file.Sync()
}

// logLines is a logger and the lines it has written.
func logLines() (*slog.Logger, func() []string) {
	var buf bytes.Buffer
	return slog.New(slog.NewTextHandler(&buf, nil)), func() []string {
		return strings.Split(strings.TrimSpace(buf.String()), "\n")
	}
}

// While the disk is full, wherever in a record that happens, live data goes
// through memory; afterwards all is on disk again, in order, and a restart finds
// it.
func TestAFullDiskCostsNothingWithinTheMemoryBound(t *testing.T) {
	for _, through := range []int64{0, 1, headerBytes, headerBytes + 10, 400} {
		t.Run(fmt.Sprintf("after %d bytes", through), func(t *testing.T) {
			files := &faultyFiles{}
			log, lines := logLines()
			dir := t.TempDir()
			s, err := Open(Config{Dir: dir, SegmentBytes: 2 << 10, files: files}, log, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			r, late := openReader(t, s, "a"), openReader(t, s, "late")
			for n := uint64(1); n <= 10; n++ {
				mustAppend(t, s, n, 300, 1)
			}
			files.through.Store(through)
			files.set(syscall.ENOSPC)
			for n := uint64(11); n <= 30; n++ {
				mustAppend(t, s, n, 300, 1)
				s.tick()
			}
			if st := s.Status(); !errors.Is(st.Err, syscall.ENOSPC) || st.MemoryBytes == 0 || st.Since.IsZero() {
				t.Fatalf("status %+v", st)
			}
			got := drain(t, r)
			if !slices.Equal(got, fromTo(1, 30)) {
				t.Fatalf("while full got %v", got)
			}
			mustAppend(t, s, 31, 300, 1)
			files.clear()
			s.tick()
			if st := s.Status(); st.Err != nil || st.MemoryBytes != 0 {
				t.Fatalf("status afterwards %+v", st)
			}
			for n := uint64(32); n <= 40; n++ {
				mustAppend(t, s, n, 300, 1)
			}
			if got := drain(t, r); !slices.Equal(got, fromTo(31, 40)) {
				t.Fatalf("afterwards got %v", got)
			}
			states := 0
			for _, line := range lines() {
				if strings.Contains(line, "refuses writes") || strings.Contains(line, "takes writes again") {
					states++
				}
			}
			if states != 2 {
				t.Fatalf("%d lines for two changes of state:\n%s", states, strings.Join(lines(), "\n"))
			}
			if got := s.nextSeq; got != 41 {
				t.Fatalf("next sequence %d", got)
			}
			_ = late
			s.Close()
			s = openSpool(t, Config{Dir: dir})
			late = openReader(t, s, "late")
			if got := drain(t, late); !slices.Equal(got, fromTo(1, 40)) {
				t.Fatalf("after a restart late got %v", got)
			}
			if got := droppedSamples(s, "late", reasonCorrupt); got != 0 {
				t.Fatalf("%v samples called corrupt", got)
			}
		})
	}
}

func TestMemoryIsBoundedToo(t *testing.T) {
	for _, policy := range []Policy{DropOldest, DropNewest} {
		files := &faultyFiles{}
		s := openSpool(t, Config{Dir: t.TempDir(), MemoryBytes: 10 * (300 + headerBytes), WhenFull: policy, files: files})
		r := openReader(t, s, "a")
		files.set(syscall.EIO)
		mustAppend(t, s, 1, 300, 1)
		held := take(t, r)
		for n := uint64(2); n <= 30; n++ {
			if _, err := s.Append(numbered(n, 300), 1); (err != nil) != (policy == DropNewest && n > 10) {
				t.Fatalf("%s: append %d: %v", policy, n, err)
			}
		}
		if got := s.Status().MemoryBytes; got > 10*(300+headerBytes) {
			t.Fatalf("%s: %d bytes in memory", policy, got)
		}
		r.Ack(held.Seq)
		want, dropped := fromTo(21, 30), 19.0
		if policy == DropNewest {
			want, dropped = fromTo(2, 10), 20
		}
		if got := drain(t, r); !slices.Equal(got, want) {
			t.Fatalf("%s: got %v", policy, got)
		}
		if got := droppedSamples(s, "a", reasonMemoryFull); got != dropped {
			t.Fatalf("%s: %v samples counted, want %v", policy, got, dropped)
		}
	}
}

func TestAFailedSyncIsNotTrusted(t *testing.T) {
	files := &faultyFiles{}
	s := openSpool(t, Config{Dir: t.TempDir(), files: files})
	r := openReader(t, s, "a")
	mustAppend(t, s, 1, 100, 1)
	files.set(syscall.EIO)
	s.tick()
	if s.Status().Err == nil || faults(s, "sync") == 0 {
		t.Fatal("a failed sync went unnoticed")
	}
	mustAppend(t, s, 2, 100, 1)
	files.clear()
	s.tick()
	s.tick()
	if err := s.Status().Err; err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, 3, 100, 1)
	if got := drain(t, r); !slices.Equal(got, fromTo(1, 3)) {
		t.Fatalf("got %v", got)
	}
}

// Recovery from refused writes that ends without anything to write starts an
// empty segment; a further failure must not lose or repeat it.
func TestTheDirectoryMayComeAndGo(t *testing.T) {
	files := &faultyFiles{}
	dir := t.TempDir()
	s := openSpool(t, Config{Dir: dir, files: files})
	r := openReader(t, s, "a")
	n := uint64(0)
	for range 5 {
		for _, drained := range []bool{true, false} {
			files.set(syscall.EROFS)
			n++
			mustAppend(t, s, n, 100, 1)
			if drained {
				if got := drain(t, r); got[len(got)-1] != n {
					t.Fatalf("got %v, want up to %d", got, n)
				}
			}
			s.tick()
			files.clear()
			s.tick()
			files.set(syscall.EROFS)
			s.tick()
			files.clear()
			s.tick()
			s.tick()
		}
	}
	if err := s.Status().Err; err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, n+1, 100, 1)
	s.Close()
	s = openSpool(t, Config{Dir: dir})
	if got := drain(t, openReader(t, s, "a")); !slices.Equal(got, []uint64{n, n + 1}) {
		t.Fatalf("got %v", got)
	}
}

func TestWhatIsAppendedIsSyncedAtTheCadence(t *testing.T) {
	files := &faultyFiles{}
	s := openSpool(t, Config{Dir: t.TempDir(), files: files, SegmentBytes: 1 << 10})
	s.tick()
	if files.syncs.Load() != 0 {
		t.Fatal("synced without need")
	}
	for n := uint64(1); n <= 5; n++ { // three segments
		mustAppend(t, s, n, 400, 1)
	}
	s.tick()
	if got := files.syncs.Load(); got != 3 {
		t.Fatalf("%d files synced, want 3", got)
	}
	s.tick()
	if got := files.syncs.Load(); got != 3 {
		t.Fatalf("%d files synced, want no more", got)
	}
}

func TestRunSyncsInTimeSleepsOtherwiseAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := &faultyFiles{}
		s := openSpool(t, Config{Dir: t.TempDir(), files: files, Now: goClock})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		time.Sleep(10 * time.Minute)
		for n := uint64(1); n <= 10; n++ {
			mustAppend(t, s, n, 100, 1)
			time.Sleep(time.Second + time.Millisecond)
			synctest.Wait()
			if got := files.syncs.Load(); got != int64(n) {
				t.Fatalf("a second after append %d: %d syncs", n, got)
			}
			time.Sleep(14 * time.Second)
		}
		files.set(syscall.ENOSPC)
		mustAppend(t, s, 11, 100, 1)
		time.Sleep(time.Hour)
		if s.Status().Err == nil {
			t.Fatal("not degraded")
		}
		files.clear()
		time.Sleep(2 * time.Second)
		if st := s.Status(); st.Err != nil || st.MemoryBytes != 0 {
			t.Fatalf("two seconds after the disk was freed: %+v", st)
		}
		mustAppend(t, s, 12, 100, 1)
		syncs := files.syncs.Load()
		cancel()
		if err := <-ended; err != nil || files.syncs.Load() == syncs {
			t.Fatalf("Run ended with %v and %d more syncs, want a last one", err, files.syncs.Load()-syncs)
		}
	})
}

func isRoot() bool { return os.Geteuid() == 0 }

// mount puts a file system at a new directory for the length of the test.
func mount(t *testing.T, options string) string {
	t.Helper()
	need(t, isRoot(), "root, to mount a tmpfs")
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		need(t, false, fmt.Sprintf("the right to mount a tmpfs (%v)", err))
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestARealFullDisk(t *testing.T) {
	dir := mount(t, "size=256k")
	spoolDir := filepath.Join(dir, "spool")
	s := openSpool(t, Config{Dir: spoolDir, SegmentBytes: 32 << 10})
	r := openReader(t, s, "a")
	r.Ack(firstOf(t, s, r)) // the cursor file is there
	for n := uint64(2); n <= 200; n++ {
		mustAppend(t, s, n, 3000, 1)
	}
	if err := s.Status().Err; !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("200 × 3 kB on 256 kB: %v", err)
	}
	if got := drain(t, r); !slices.Equal(got, fromTo(2, 200)) {
		t.Fatalf("got %v", got)
	}
	// All is acknowledged, so there is room again.
	s.tick()
	if err := s.Status().Err; err != nil {
		t.Fatalf("freed, and yet %v", err)
	}
	ballast := filepath.Join(dir, "ballast")
	os.WriteFile(ballast, make([]byte, 240<<10), 0o600)
	for n := uint64(201); n <= 220; n++ {
		mustAppend(t, s, n, 3000, 1)
	}
	if s.Status().MemoryBytes == 0 {
		t.Fatal("the disk is full of other things, and yet nothing is in memory")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	s.tick()
	s.Close()
	s = openSpool(t, Config{Dir: spoolDir})
	if got := drain(t, openReader(t, s, "a")); !slices.Equal(got, fromTo(201, 220)) {
		t.Fatalf("after a restart got %v", got)
	}
}

func firstOf(t *testing.T, s *Spool, r *Reader) uint64 {
	mustAppend(t, s, 1, 100, 1)
	return take(t, r).Seq
}

func TestARealReadOnlyDirectory(t *testing.T) {
	dir := mount(t, "size=4m")
	spoolDir := filepath.Join(dir, "spool")
	s := openSpool(t, Config{Dir: spoolDir})
	openReader(t, s, "a")
	for n := uint64(1); n <= 5; n++ {
		mustAppend(t, s, n, 100, 1)
	}
	s.Close()
	remount := func(flags uintptr) {
		t.Helper()
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|flags, "size=4m"); err != nil {
			t.Fatal(err)
		}
	}
	remount(unix.MS_RDONLY)

	// What is there is still delivered, and so is what is new.
	s = openSpool(t, Config{Dir: spoolDir})
	if err := s.Status().Err; !errors.Is(err, syscall.EROFS) {
		t.Fatalf("status %v", err)
	}
	if _, err := Open(Config{Dir: spoolDir}, quiet(), nil); !errors.Is(err, ErrLocked) {
		t.Fatalf("a second agent: %v", err)
	}
	r := openReader(t, s, "a")
	mustAppend(t, s, 6, 100, 1)
	if got := drain(t, r); !slices.Equal(got, fromTo(1, 6)) {
		t.Fatalf("got %v", got)
	}
	mustAppend(t, s, 7, 100, 1)
	remount(0)
	s.tick()
	if st := s.Status(); st.Err != nil || st.MemoryBytes != 0 {
		t.Fatalf("writable again: %+v", st)
	}
	if got := drain(t, r); !slices.Equal(got, []uint64{7}) {
		t.Fatalf("got %v", got)
	}
	s.Close()
	s = openSpool(t, Config{Dir: spoolDir})
	if got := drain(t, openReader(t, s, "a")); len(got) != 0 {
		t.Fatalf("after a restart got %v", got)
	}
}

func TestADirectoryThatCannotBeMadeYet(t *testing.T) {
	dir := mount(t, "size=4m")
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	spoolDir := filepath.Join(dir, "plimsoll", "spool")
	s := openSpool(t, Config{Dir: spoolDir})
	r := openReader(t, s, "a")
	mustAppend(t, s, 1, 100, 1)
	mustAppend(t, s, 2, 100, 1)
	r.Ack(take(t, r).Seq)
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	s.tick()
	if err := s.Status().Err; err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = openSpool(t, Config{Dir: spoolDir})
	r = openReader(t, s, "a")
	rec, err := r.Next(context.Background(), nil)
	if err != nil || number(t, rec.Payload) > 2 {
		t.Fatalf("record %+v, %v", rec, err)
	}
}

func TestADirectoryThatCanNeverBeMadeIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: filepath.Join(path, "spool")}, quiet(), nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Fatalf("error %v", err)
	}
}
