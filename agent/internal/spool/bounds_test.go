package spool

import (
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// diskUse is what the segment files take, bytes.
func diskUse(t *testing.T, s *Spool) int64 {
	t.Helper()
	total := int64(0)
	for _, path := range segmentPaths(s) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	return total
}

func TestTheOldestGoWhenFullAndAreCountedExactly(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), MaxBytes: 64 << 10}
	s := openSpool(t, cfg)
	slow, fast := openReader(t, s, "slow"), openReader(t, s, "fast")
	var fastGot, slowGot []uint64
	samples := 0
	for n := uint64(1); n <= 300; n++ {
		mustAppend(t, s, n, 1000, int(n%7))
		samples += int(n % 7)
		if n == 60 {
			// The slow one has some acknowledged and one in flight in the
			// segments that will be dropped.
			for range 3 {
				rec := take(t, slow)
				slowGot = append(slowGot, number(t, rec.Payload))
				slow.Ack(rec.Seq)
			}
		}
		if n%10 == 0 {
			fastGot = append(fastGot, drain(t, fast)...)
		}
		if use := diskUse(t, s); use > cfg.MaxBytes || use != s.Status().Bytes {
			t.Fatalf("after %d: %d bytes on disk, %d accounted, bound %d", n, use, s.Status().Bytes, cfg.MaxBytes)
		}
	}
	if !slices.Equal(fastGot, fromTo(1, 300)) || droppedSamples(s, "fast", reasonFull) != 0 {
		t.Fatalf("the fast receiver lost records: %v", fastGot)
	}
	slowGot = append(slowGot, drain(t, slow)...)
	inOrder(t, 0, slowGot)
	if slowGot[len(slowGot)-1] != 300 || len(slowGot) < 45 {
		t.Fatalf("the slow receiver got %v", slowGot)
	}
	for _, n := range slowGot {
		samples -= int(n % 7)
	}
	if got := droppedSamples(s, "slow", reasonFull); got != float64(samples) {
		t.Fatalf("%v samples counted as dropped, %d were", got, samples)
	}
}

func TestARecordInFlightIsNotCountedAsDropped(t *testing.T) {
	s := openSpool(t, Config{Dir: t.TempDir(), MaxBytes: 64 << 10})
	r := openReader(t, s, "a")
	mustAppend(t, s, 1, 1000, 1)
	held := take(t, r)
	for n := uint64(2); n <= 200; n++ {
		mustAppend(t, s, n, 1000, 1)
	}
	r.Ack(held.Seq)
	got := drain(t, r)
	if dropped := droppedSamples(s, "a", reasonFull); dropped != float64(199-len(got)) {
		t.Fatalf("%v samples counted as dropped, %d were", dropped, 199-len(got))
	}
}

func TestTheNewestAreRefusedWhenFullUnderThatPolicy(t *testing.T) {
	s := openSpool(t, Config{Dir: t.TempDir(), MaxBytes: 64 << 10, WhenFull: DropNewest})
	a, b := openReader(t, s, "a"), openReader(t, s, "b")
	taken := uint64(0)
	refused := 0.0
	for n := uint64(1); n <= 100; n++ {
		if _, err := s.Append(numbered(n, 1000), 2); err == nil {
			taken = n
		} else if !errors.Is(err, ErrFull) {
			t.Fatal(err)
		} else {
			refused += 2
		}
	}
	if taken < 50 || droppedSamples(s, "a", reasonFull) != refused || droppedSamples(s, "b", reasonFull) != refused {
		t.Fatalf("took %d, refused %v samples", taken, refused)
	}
	if got := drain(t, a); !slices.Equal(got, fromTo(1, taken)) {
		t.Fatalf("a got %v", got)
	}
	if _, err := s.Append(numbered(0, 1000), 1); !errors.Is(err, ErrFull) {
		t.Fatalf("there is no room while b waits: %v", err)
	}
	if got := drain(t, b); !slices.Equal(got, fromTo(1, taken)) {
		t.Fatalf("b got %v", got)
	}
	mustAppend(t, s, 500, 1000, 1)
	if got := drain(t, a); !slices.Equal(got, []uint64{500}) {
		t.Fatalf("afterwards a got %v", got)
	}
}

func TestABatchThatCannotFitIsRefusedAndCounted(t *testing.T) {
	s := openSpool(t, Config{Dir: t.TempDir(), MaxBytes: 64 << 10})
	r := openReader(t, s, "a")
	if _, err := s.Append(make([]byte, 64<<10), 5); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	if got := droppedSamples(s, "a", reasonTooLarge); got != 5 {
		t.Fatalf("%v samples counted", got)
	}
	// One that is larger than a segment gets its own.
	mustAppend(t, s, 1, 60<<10, 5)
	if got := drain(t, r); !slices.Equal(got, []uint64{1}) {
		t.Fatalf("got %v", got)
	}
}

func TestWhatIsTooOldGoesAndIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openSpool(t, Config{Dir: t.TempDir(), MaxAge: time.Hour, Now: goClock})
		r := openReader(t, s, "a")
		for n := uint64(1); n <= 24; n++ { // two hours
			mustAppend(t, s, n, 300, 10)
			time.Sleep(5 * time.Minute)
			s.tick()
		}
		// Segments end after a sixteenth of the age, so the disk is freed too.
		if got := len(segmentPaths(s)); got > 17 {
			t.Fatalf("%d segments left", got)
		}
		got := drain(t, r)
		if !slices.Equal(got, fromTo(13, 24)) {
			t.Fatalf("got %v", got)
		}
		if counted := droppedSamples(s, "a", reasonAge); counted != 120 {
			t.Fatalf("%v samples counted, want 120", counted)
		}
	})
}

func TestAgeCountsAlsoForWhatWasRecovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := openSpool(t, Config{Dir: dir, MaxAge: time.Hour, Now: goClock})
		for n := uint64(1); n <= 10; n++ {
			mustAppend(t, s, n, 300, 10)
			time.Sleep(10 * time.Minute)
		}
		s.Close()
		s = openSpool(t, Config{Dir: dir, MaxAge: time.Hour, Now: goClock})
		r := openReader(t, s, "a")
		if got := drain(t, r); !slices.Equal(got, fromTo(5, 10)) {
			t.Fatalf("got %v", got)
		}
		if counted := droppedSamples(s, "a", reasonAge); counted != 40 {
			t.Fatalf("%v samples counted, want 40", counted)
		}
	})
}

// Whatever is appended, acknowledged, dropped and restarted in whatever order:
// per receiver, every record is delivered once or counted once.
func TestEverythingIsDeliveredOrCounted(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		cfg := Config{Dir: t.TempDir(), MaxBytes: 64 << 10, SegmentBytes: 4 << 10}
		if seed%2 == 1 {
			cfg.WhenFull = DropNewest
		}
		type receiver struct {
			r         *Reader
			inFlight  []Record
			delivered map[uint64]int
			counted   float64
		}
		receivers := map[string]*receiver{"a": {}, "b": {}, "c": {}}
		var s *Spool
		start := func() {
			s = openSpool(t, cfg)
			for name, rc := range receivers {
				rc.r = openReader(t, s, name)
				if name == "b" {
					rc.r.SetOrder(FreshFirst)
				}
				rc.inFlight = nil
				if rc.delivered == nil {
					rc.delivered = map[uint64]int{}
				}
			}
		}
		end := func() {
			for name, rc := range receivers {
				rc.counted += droppedSamples(s, name, reasonFull)
				if got := droppedSamples(s, name, reasonCorrupt) + droppedSamples(s, name, reasonLost); got != 0 {
					t.Fatalf("seed %d: %v samples of %s called corrupt or lost", seed, got, name)
				}
			}
			s.Close()
		}
		start()
		appended := uint64(0)
		for range 1500 {
			switch p := rng.IntN(100); {
			case p < 50:
				appended++
				if _, err := s.Append(numbered(appended, 100+rng.IntN(2000)), 1); err != nil && !errors.Is(err, ErrFull) {
					t.Fatal(err)
				}
			case p < 98:
				name := []string{"a", "a", "a", "b", "b", "c"}[rng.IntN(6)]
				rc := receivers[name]
				if rng.IntN(2) == 0 || len(rc.inFlight) == 0 {
					if rec, err := rc.r.Next(ended(), nil); err == nil {
						rc.inFlight = append(rc.inFlight, rec)
					}
				} else {
					i := rng.IntN(len(rc.inFlight))
					rec := rc.inFlight[i]
					rc.inFlight = slices.Delete(rc.inFlight, i, i+1)
					rc.delivered[number(t, rec.Payload)]++
					rc.r.Ack(rec.Seq)
				}
			case p < 99:
				s.tick()
			default:
				// A restart forgets what is in flight; only settle it so that
				// a drop of it, which nobody could count, cannot happen.
				for _, rc := range receivers {
					for _, rec := range rc.inFlight {
						rc.delivered[number(t, rec.Payload)]++
						rc.r.Ack(rec.Seq)
					}
				}
				end()
				start()
			}
		}
		for name, rc := range receivers {
			for _, rec := range rc.inFlight {
				rc.delivered[number(t, rec.Payload)]++
				rc.r.Ack(rec.Seq)
			}
			for _, n := range drain(t, rc.r) {
				rc.delivered[n]++
			}
			if b := rc.r.Backlog(); b != (Backlog{}) {
				t.Fatalf("seed %d: receiver %s: backlog at the end %+v", seed, name, b)
			}
		}
		end()
		for name, rc := range receivers {
			for n, times := range rc.delivered {
				if times != 1 {
					t.Fatalf("seed %d: receiver %s: record %d delivered %d times", seed, name, n, times)
				}
			}
			if missing := float64(appended) - float64(len(rc.delivered)); missing != rc.counted {
				t.Fatalf("seed %d: receiver %s: %v records missing, %v counted", seed, name, missing, rc.counted)
			}
		}
	}
}

func TestSpansAreASet(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var s spans
		have := map[uint64]bool{}
		for range 40 {
			lo := rng.Uint64N(60)
			hi := lo + rng.Uint64N(6)
			s.add(lo, hi)
			for n := lo; n <= hi; n++ {
				have[n] = true
			}
		}
		missing := s.appendMissing(nil, 0, 70)
		for n := range uint64(71) {
			in := slices.ContainsFunc(missing, func(r span) bool { return r.lo <= n && n <= r.hi })
			if s.covers(n, n) != have[n] || in == have[n] {
				t.Fatalf("seed %d: %d is wrong in %v, missing %v", seed, n, s, missing)
			}
		}
		for i := 1; i < len(s); i++ {
			if s[i].lo <= s[i-1].hi+1 {
				t.Fatalf("seed %d: ranges touch: %v", seed, s)
			}
		}
	}
}
