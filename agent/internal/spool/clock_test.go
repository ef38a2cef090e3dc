package spool

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// clocks are set by the test.
type clocks struct{ Moment }

func newClocks() *clocks {
	return &clocks{Moment{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMilli(), 5 * 24 * time.Hour.Milliseconds()}}
}

func (c *clocks) read() Moment { return c.Moment }

func (c *clocks) pass(d time.Duration) {
	c.WallMillis += d.Milliseconds()
	c.UpMillis += d.Milliseconds()
}

func (c *clocks) set(by time.Duration) { c.WallMillis += by.Milliseconds() }

// The age bound once dropped the whole backlog when the clock was set forward by
// more than it, and kept it for ever when it was set back.
func TestSettingTheClockMakesNothingOlderOrYounger(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, 25 * time.Hour, 400 * 24 * time.Hour, -time.Hour, -25 * time.Hour, -20_000 * 24 * time.Hour} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("by %s, restart %t", by, restart), func(t *testing.T) {
				clock := newClocks()
				cfg := Config{Dir: t.TempDir(), MaxAge: 24 * time.Hour, Now: clock.read}
				s := openSpool(t, cfg)
				r := openReader(t, s, "a")
				for n := uint64(1); n <= 10; n++ {
					mustAppend(t, s, n, 300, 10)
					clock.pass(time.Hour)
					s.tick()
				}
				before := r.Backlog().WaitingSince
				clock.set(by)
				if moved := r.Backlog().WaitingSince.Sub(before).Abs(); moved > time.Minute {
					t.Errorf("the receiver is behind by %s more", moved)
				}
				if restart {
					s.Close()
					s = openSpool(t, cfg)
					r = openReader(t, s, "a")
				}
				for n := uint64(11); n <= 20; n++ {
					mustAppend(t, s, n, 300, 10)
					clock.pass(time.Hour)
					s.tick()
				}
				if got := droppedSamples(s, "a", reasonAge); got != 0 {
					t.Fatalf("%v samples are called too old after 20 hours of 24", got)
				}
				if use := s.Status().Bytes; use < 20*300 {
					t.Fatalf("%d bytes are left on disk", use)
				}
				clock.pass(9*time.Hour + 30*time.Minute)
				s.tick()
				if got := drain(t, r); !slices.Equal(got, fromTo(7, 20)) || droppedSamples(s, "a", reasonAge) != 60 {
					t.Fatalf("after 24 hours of 24, got %v, %v samples counted", got, droppedSamples(s, "a", reasonAge))
				}
			})
		}
	}
}

func TestTimeSpentSuspendedCounts(t *testing.T) {
	clock := newClocks()
	s := openSpool(t, Config{Dir: t.TempDir(), MaxAge: 24 * time.Hour, Now: clock.read})
	r := openReader(t, s, "a")
	mustAppend(t, s, 1, 300, 10)
	clock.pass(25 * time.Hour)
	mustAppend(t, s, 2, 300, 10)
	if got := drain(t, r); !slices.Equal(got, []uint64{2}) || droppedSamples(s, "a", reasonAge) != 10 {
		t.Fatalf("got %v, %v samples counted", got, droppedSamples(s, "a", reasonAge))
	}
}

// Over a reboot only the wall clock tells how long it took. One that is behind what
// was written, as on a machine that forgot the time, makes nothing old.
func TestAgeOverAReboot(t *testing.T) {
	for _, c := range []struct {
		off  time.Duration // by the wall clock, at the start
		set  time.Duration // right after it
		want []uint64
	}{
		{off: time.Hour, want: fromTo(1, 10)},
		{off: 20 * time.Hour, want: fromTo(7, 10)},
		{off: 40 * time.Hour, want: nil},
		{off: -20_000 * 24 * time.Hour, want: fromTo(1, 10)},
		{off: -20_000 * 24 * time.Hour, set: 20_000 * 24 * time.Hour, want: fromTo(1, 10)},
	} {
		clock := newClocks()
		cfg := Config{Dir: t.TempDir(), MaxAge: 24 * time.Hour, Now: clock.read}
		s := openSpool(t, cfg)
		s.boot = 1
		for n := uint64(1); n <= 10; n++ {
			mustAppend(t, s, n, 300, 10)
			clock.pass(time.Hour)
		}
		s.Close()
		clock.set(c.off)
		clock.UpMillis = 7000
		s = openSpool(t, cfg)
		r := openReader(t, s, "a")
		clock.set(c.set)
		s.tick()
		if got := drain(t, r); !slices.Equal(got, c.want) || droppedSamples(s, "a", reasonAge) != float64(10*(10-len(c.want))) {
			t.Errorf("off for %s: got %v, %v samples counted", c.off, got, droppedSamples(s, "a", reasonAge))
		}
	}
}

// A directory of an agent that kept no uptime in its segments is dated by the wall clock.
func TestSegmentsWithoutAnUptimeAreDated(t *testing.T) {
	clock := newClocks()
	cfg := Config{Dir: t.TempDir(), MaxAge: 24 * time.Hour, Now: clock.read}
	s := openSpool(t, cfg)
	s.boot = 0
	mustAppend(t, s, 1, 300, 10)
	clock.pass(8 * time.Hour)
	mustAppend(t, s, 2, 300, 10)
	s.Close()
	clock.pass(20 * time.Hour)
	s = openSpool(t, cfg)
	r := openReader(t, s, "a")
	s.tick()
	if got := drain(t, r); !slices.Equal(got, []uint64{2}) || droppedSamples(s, "a", reasonAge) != 10 {
		t.Fatalf("got %v, %v samples counted", got, droppedSamples(s, "a", reasonAge))
	}
}

func TestTheRealClocks(t *testing.T) {
	var upSeconds float64
	text, err := os.ReadFile("/proc/uptime")
	need(t, err == nil, "/proc/uptime")
	before := readClocks()
	if _, err := fmt.Sscan(string(text), &upSeconds); err != nil {
		t.Fatal(err)
	}
	if ahead := float64(before.UpMillis) - upSeconds*1000; ahead < -20 || ahead > 60_000 {
		t.Errorf("the machine is up %d ms, /proc/uptime says %v s", before.UpMillis, upSeconds)
	}
	if behind := time.Now().UnixMilli() - before.WallMillis; behind < 0 || behind > 60_000 {
		t.Errorf("the wall clock is behind by %d ms", behind)
	}
	if boot := readBoot(); boot == 0 || boot != readBoot() {
		t.Errorf("the run of the machine is %d, then %d", boot, readBoot())
	}
}
