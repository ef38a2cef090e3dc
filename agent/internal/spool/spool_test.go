package spool

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestRecordsComeOutOnceAndInOrder(t *testing.T) {
	s := openSpool(t, Config{Dir: t.TempDir(), SegmentBytes: 4 << 10})
	r := openReader(t, s, "a")
	for n := uint64(1); n <= 100; n++ {
		if seq := mustAppend(t, s, n, 300, 2); seq != n {
			t.Fatalf("append %d: sequence %d", n, seq)
		}
	}
	if got := r.Backlog(); got.Samples != 200 || got.Bytes != 100*(300+headerBytes) || got.WaitingSince.IsZero() {
		t.Fatalf("backlog %+v", got)
	}
	if got := drain(t, r); !slices.Equal(got, fromTo(1, 100)) {
		t.Fatalf("got %v", got)
	}
	if got := r.Backlog(); got != (Backlog{}) {
		t.Fatalf("backlog after the last acknowledgement: %+v", got)
	}
}

func TestNextWaitsForAnAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openSpool(t, Config{Dir: t.TempDir()})
		r := openReader(t, s, "a")
		got := make(chan Record)
		go func() {
			rec, err := r.Next(context.Background(), nil)
			if err != nil {
				t.Error(err)
			}
			got <- rec
		}()
		synctest.Wait()
		select {
		case rec := <-got:
			t.Fatalf("record %d out of an empty spool", rec.Seq)
		default:
		}
		mustAppend(t, s, 7, 20, 3)
		rec := <-got
		if number(t, rec.Payload) != 7 || rec.Samples != 3 || !rec.Created.Equal(time.Now().Truncate(time.Millisecond)) {
			t.Fatalf("record %+v", rec)
		}
	})
}

func TestNextReturnsWhenItsContextEndsOrTheSpoolCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openSpool(t, Config{Dir: t.TempDir()})
		r := openReader(t, s, "a")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := r.Next(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("after the context ended: %v", err)
		}
		closed := make(chan error)
		go func() {
			_, err := r.Next(context.Background(), nil)
			closed <- err
		}()
		synctest.Wait()
		s.Close()
		if err := <-closed; !errors.Is(err, ErrClosed) {
			t.Fatalf("after Close: %v", err)
		}
		if _, err := s.Append([]byte("x"), 1); !errors.Is(err, ErrClosed) {
			t.Fatalf("Append after Close: %v", err)
		}
	})
}

func TestAReaderGoesOnWhereItStoppedAfterARestart(t *testing.T) {
	dir := t.TempDir()
	s := openSpool(t, Config{Dir: dir, SegmentBytes: 2 << 10})
	r := openReader(t, s, "http://collector:9750/api/v1/write?x=ü")
	for n := uint64(1); n <= 20; n++ {
		mustAppend(t, s, n, 300, 1)
	}
	for range 7 {
		r.Ack(take(t, r).Seq)
	}
	take(t, r) // in flight when the agent ends: comes again
	s.Close()

	s = openSpool(t, Config{Dir: dir, SegmentBytes: 2 << 10})
	r = openReader(t, s, "http://collector:9750/api/v1/write?x=ü")
	if got := r.Backlog(); got.Samples != 13 || got.Bytes != 13*(300+headerBytes) {
		t.Fatalf("backlog after the restart: %+v", got)
	}
	mustAppend(t, s, 21, 300, 1)
	if got := drain(t, r); !slices.Equal(got, fromTo(8, 21)) {
		t.Fatalf("got %v", got)
	}
}

func TestASlowReceiverHoldsBackNoOther(t *testing.T) {
	s := openSpool(t, Config{Dir: t.TempDir(), SegmentBytes: 2 << 10})
	fast, slow := openReader(t, s, "fast"), openReader(t, s, "slow")
	for n := uint64(1); n <= 30; n++ {
		mustAppend(t, s, n, 300, 1)
	}
	held := take(t, slow)
	if got := drain(t, fast); !slices.Equal(got, fromTo(1, 30)) {
		t.Fatalf("fast got %v", got)
	}
	if len(segmentPaths(s)) < 5 {
		t.Fatalf("segments were removed that the slow receiver waits for: %v left", segmentPaths(s))
	}
	slow.Ack(held.Seq)
	if got := drain(t, slow); !slices.Equal(got, fromTo(2, 30)) {
		t.Fatalf("slow got %v", got)
	}
	if got := len(segmentPaths(s)); got != 1 {
		t.Fatalf("%d segments left when all receivers have everything, want the active one", got)
	}
}

func TestAcknowledgementsMayComeInAnyOrder(t *testing.T) {
	dir := t.TempDir()
	s := openSpool(t, Config{Dir: dir})
	r := openReader(t, s, "a")
	for n := uint64(1); n <= 6; n++ {
		mustAppend(t, s, n, 50, 1)
	}
	var recs []Record
	for range 6 {
		recs = append(recs, take(t, r))
	}
	for _, i := range []int{4, 1, 0, 1, 5} {
		r.Ack(recs[i].Seq)
	}
	r.Ack(999) // unknown: ignored
	if got := r.Backlog().Samples; got != 2 {
		t.Fatalf("%d samples pending, want those of records 3 and 4", got)
	}
	s.Close()
	s = openSpool(t, Config{Dir: dir})
	if got := drain(t, openReader(t, s, "a")); !slices.Equal(got, []uint64{3, 4}) {
		t.Fatalf("after the restart got %v", got)
	}
}

func TestFreshFirstGivesTheNewestBeforeTheBacklog(t *testing.T) {
	dir := t.TempDir()
	s := openSpool(t, Config{Dir: dir, SegmentBytes: 2 << 10})
	r := openReader(t, s, "a")
	r.SetOrder(FreshFirst)
	for n := uint64(1); n <= 40; n++ {
		mustAppend(t, s, n, 300, 1)
	}
	var got []uint64
	step := func() {
		rec := take(t, r)
		got = append(got, number(t, rec.Payload))
		r.Ack(rec.Seq)
	}
	step()
	step()
	mustAppend(t, s, 41, 300, 1)
	step()
	step()
	if want := []uint64{40, 1, 41, 2}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	if b := r.Backlog(); !b.WaitingSince.IsZero() || b.Samples != 37 {
		t.Fatalf("the newest is delivered, the backlog is not: %+v", b)
	}
	// A restart in the middle neither repeats nor forgets anything.
	s.Close()
	s = openSpool(t, Config{Dir: dir, SegmentBytes: 2 << 10})
	r = openReader(t, s, "a")
	r.SetOrder(FreshFirst)
	for n := uint64(42); n <= 60; n++ {
		mustAppend(t, s, n, 300, 1)
	}
	rest := drain(t, r)
	if rest[0] != 60 || rest[1] != 3 {
		t.Fatalf("after the restart got %v", rest)
	}
	slices.Sort(rest)
	if want := append(fromTo(3, 39), fromTo(42, 60)...); !slices.Equal(rest, want) {
		t.Fatalf("after the restart got %v", rest)
	}
	if got := len(segmentPaths(s)); got != 1 {
		t.Fatalf("%d segments left", got)
	}
}

func TestARejectedRecordIsCountedAndNotGivenAgain(t *testing.T) {
	dir := t.TempDir()
	s := openSpool(t, Config{Dir: dir})
	r := openReader(t, s, "a")
	mustAppend(t, s, 1, 50, 9)
	mustAppend(t, s, 2, 50, 9)
	rec := take(t, r)
	r.Reject(rec.Seq, rec.Samples, "rejected")
	if got := droppedSamples(s, "a", "rejected"); got != 9 {
		t.Fatalf("%v samples counted as rejected, want 9", got)
	}
	s.Close()
	s = openSpool(t, Config{Dir: dir})
	if got := drain(t, openReader(t, s, "a")); !slices.Equal(got, []uint64{2}) {
		t.Fatalf("after the restart got %v", got)
	}
}

func TestASecondAgentWithTheSameDirectoryIsTurnedAway(t *testing.T) {
	dir := t.TempDir()
	s := openSpool(t, Config{Dir: dir})
	_, err := Open(Config{Dir: dir}, quiet(), nil)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "--data-dir") {
		t.Fatalf("second open: %v", err)
	}
	s.Close()
	openSpool(t, Config{Dir: dir})
}

func TestConfigErrorsNameTheFlag(t *testing.T) {
	for want, cfg := range map[string]Config{
		"Dir is empty":      {},
		"--spool.max-bytes": {Dir: "x", MaxBytes: 100},
		"--spool.max-age":   {Dir: "x", MaxAge: -1},
		"--spool.when-full": {Dir: "x", WhenFull: "drop-random"},
	} {
		if _, err := Open(cfg, quiet(), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
	s := openSpool(t, Config{Dir: t.TempDir()})
	openReader(t, s, "a")
	if _, err := s.Reader("a"); err == nil || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("second reader of one name: %v", err)
	}
}

func TestAppendersAndReadersRunSideBySide(t *testing.T) {
	s := openSpool(t, Config{Dir: t.TempDir(), SegmentBytes: 8 << 10, FsyncEvery: 5 * time.Millisecond})
	const appenders, each = 4, 300
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var group sync.WaitGroup
	runCtx, stop := context.WithCancel(ctx)
	running := make(chan struct{})
	go func() { defer close(running); s.Run(runCtx) }()
	for _, name := range []string{"a", "b"} {
		r := openReader(t, s, name)
		if name == "b" {
			r.SetOrder(FreshFirst)
		}
		group.Go(func() {
			seen := map[uint64]bool{}
			for len(seen) < appenders*each {
				rec, err := r.Next(ctx, nil)
				if err != nil {
					t.Errorf("receiver %s after %d records: %v", name, len(seen), err)
					return
				}
				n := number(t, rec.Payload)
				if seen[n] {
					t.Errorf("receiver %s got %d twice", name, n)
				}
				seen[n] = true
				r.Ack(rec.Seq)
			}
		})
	}
	for a := range appenders {
		group.Go(func() {
			for i := range each {
				if _, err := s.Append(numbered(uint64(a*each+i), 200), 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	stop()
	<-running
}

func TestAppendAllocatesNothing(t *testing.T) {
	s := openSpool(t, Config{Dir: t.TempDir()})
	openReader(t, s, "a")
	openReader(t, s, "b")
	payload := numbered(1, 4000)
	if got := testing.AllocsPerRun(200, func() {
		if _, err := s.Append(payload, 10); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Fatalf("Append makes %v allocations", got)
	}
}

func BenchmarkAppend(b *testing.B) {
	s, err := Open(Config{Dir: b.TempDir(), MaxBytes: 256 << 20}, quiet(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	payload := numbered(1, 100_000)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Append(payload, 1000); err != nil {
			b.Fatal(err)
		}
	}
}
