package ship

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPausesGrowWithinTheirBoundsAndSpread(t *testing.T) {
	b := backoff{min: 250 * time.Millisecond, max: 30 * time.Second}
	for failures := 1; failures < 100; failures++ {
		longest, shortest := b.delay(failures, 0, 0), b.delay(failures, 0, 0.999999)
		if shortest < b.min || longest > b.max || shortest > longest*6/10 {
			t.Fatalf("after %d failures: %s to %s", failures, shortest, longest)
		}
	}
	if got := b.delay(100, 0, 0); got != b.max {
		t.Fatalf("longest pause %s", got)
	}
	if got := b.delay(1, 10*time.Second, 0); got != 10*time.Second {
		t.Fatalf("with Retry-After 10: %s", got)
	}
	if got := b.delay(1, 10*time.Second, 0.9999); got <= 10*time.Second || got > 11*time.Second {
		t.Fatalf("with Retry-After 10, spread: %s", got)
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		" 7 ":                           7 * time.Second,
		"0.5":                           500 * time.Millisecond,
		"-3":                            0,
		"1e300":                         maxRetryAfter,
		"NaN":                           0,
		"86400":                         maxRetryAfter,
		"soon":                          0,
		"Fri, 02 Jan 2026 03:04:35 GMT": 30 * time.Second,
		"Fri, 02 Jan 2026 03:04:00 GMT": 0,
		"Fri, 02 Jan 2027 03:04:00 GMT": maxRetryAfter,
	} {
		if got := parseRetryAfter(value, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

func TestADownReceiverIsAskedEverMoreSeldomAndThatIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: times(40, says(503, "starting"))}
		log, text := logged()
		r := newRig(t, inProcess(t, s), log, 2)
		start := time.Now()
		r.run()
		time.Sleep(30 * time.Minute)
		r.stop()
		if got := s.tookAll(); !slices.Equal(got, []int{1, 2}) {
			t.Fatalf("took %v", got)
		}
		for i := 1; i < 41; i++ {
			pause := s.times[i].Sub(s.times[i-1])
			if pause < 250*time.Millisecond || pause > 30*time.Second || (i > 10 && pause < 15*time.Second) {
				t.Fatalf("pause %d: %s", i, pause)
			}
		}
		if took := s.times[41].Sub(start); took > 20*time.Minute {
			t.Fatalf("40 failures took %s", took)
		}
		if got := strings.Count(text(), "level="); got != 2 {
			t.Fatalf("%d log lines, want one for down and one for up again:\n%s", got, text())
		}
	})
}

func TestRetryAfterIsHonouredAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []http.HandlerFunc{
			says(429, "", "Retry-After", "45"),
			says(503, "", "Retry-After", "86400"),
		}}
		r := newRig(t, inProcess(t, s), quiet(), 1)
		r.run()
		time.Sleep(10 * time.Minute)
		r.stop()
		if first := s.times[1].Sub(s.times[0]); first < 45*time.Second || first > 50*time.Second {
			t.Fatalf("asked for 45 s, waited %s", first)
		}
		if second := s.times[2].Sub(s.times[1]); second < maxRetryAfter || second > maxRetryAfter*11/10 {
			t.Fatalf("asked for a day, waited %s", second)
		}
		if len(s.tookAll()) != 1 {
			t.Fatal("not delivered")
		}
	})
}

// The date of a receiver whose clock was an hour ahead meant two minutes, of one that was behind nothing.
func TestADateInRetryAfterIsByTheReceiversClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		for _, ahead := range []time.Duration{0, time.Hour, -time.Hour, 3000 * time.Hour} {
			s.steps = append(s.steps, func(w http.ResponseWriter, r *http.Request) {
				now := time.Now().Add(ahead).UTC()
				w.Header().Set("Date", now.Format(http.TimeFormat))
				w.Header().Set("Retry-After", now.Add(45*time.Second).Format(http.TimeFormat))
				w.WriteHeader(http.StatusServiceUnavailable)
			})
		}
		r := newRig(t, inProcess(t, s), quiet(), 1)
		r.run()
		time.Sleep(10 * time.Minute)
		r.stop()
		for i := range len(s.steps) {
			if pause := s.times[i+1].Sub(s.times[i]); pause < 45*time.Second || pause > 50*time.Second {
				t.Errorf("answer %d asked for 45 s, waited %s", i, pause)
			}
		}
		if len(s.tookAll()) != 1 {
			t.Fatal("not delivered")
		}
	})
}

func TestARejectionIsLoggedAtMostOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: times(1000, says(422, "no such tenant"))}
		log, text := logged()
		r := newRig(t, inProcess(t, s), log, 0)
		r.run()
		for n := range 30 {
			r.append(n)
			time.Sleep(5 * time.Second)
		}
		r.stop()
		if got := strings.Count(text(), "rejects batches"); got != 3 {
			t.Fatalf("%d log lines in 150 s, want 3:\n%s", got, text())
		}
		if !strings.Contains(text(), "batches=12 samples=120") {
			t.Fatalf("the lines do not count what lies between:\n%s", text())
		}
		if got := r.metric("plimsoll_agent_samples_dropped_total", "reason", "rejected"); got != 300 {
			t.Fatalf("%v samples counted, want 300", got)
		}
	})
}

func TestZstdIsTriedAgainAfterAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		upgraded := time.Now().Add(30 * time.Minute)
		s.steps = times(10000, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Content-Encoding") == "zstd" && time.Now().Before(upgraded) {
				says(415, "")(w, r)
				return
			}
			s.take(w, r)
		})
		r := newRig(t, inProcess(t, s), quiet(), 0)
		r.run()
		for n := range 9 {
			r.append(n)
			time.Sleep(10 * time.Minute)
		}
		r.stop()
		var used []string
		for _, h := range s.headers {
			used = append(used, h.Get("Content-Encoding"))
		}
		want := []string{"zstd", "snappy", "snappy", "snappy", "snappy", "snappy", "snappy", "zstd", "zstd", "zstd"}
		if !slices.Equal(used, want) {
			t.Fatalf("used %v", used)
		}
	})
}

func TestWhatWaitsIsSentAfterTheEndWithinABound(t *testing.T) {
	t.Run("receiver well", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &script{}
			r := newRig(t, inProcess(t, s), quiet(), 0)
			r.run()
			synctest.Wait()
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			for n := 1; n <= 3; n++ {
				r.append(n)
			}
			r.stop()
			r.shipper.Run(ctx) // also from the start
			if got := s.tookAll(); !slices.Equal(got, []int{1, 2, 3}) {
				t.Fatalf("took %v", got)
			}
			if r.shipper.State().Phase != Stopped {
				t.Fatalf("phase %s", r.shipper.State().Phase)
			}
		})
	})
	t.Run("receiver down", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &script{steps: times(1000, says(500, ""))}
			r := newRig(t, inProcess(t, s), quiet(), 5)
			r.run()
			time.Sleep(time.Minute)
			before, start := s.count(), time.Now()
			r.stop()
			if took := time.Since(start); took != 0 || s.count() != before+1 {
				t.Fatalf("stopping took %s and %d requests, want one last try", took, s.count()-before)
			}
			if got := r.shipper.State().BacklogSamples; got != 50 {
				t.Fatalf("%d samples left in the spool, want all 50", got)
			}
		})
	})
	t.Run("receiver slow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &script{}
			cfg := inProcess(t, s)
			inner := cfg.transport
			cfg.transport = transportFunc(func(req *http.Request) (*http.Response, error) {
				select {
				case <-time.After(2 * time.Second):
					return inner.RoundTrip(req)
				case <-req.Context().Done():
					req.Body.Close()
					return nil, req.Context().Err()
				}
			})
			r := newRig(t, cfg, quiet(), 10)
			r.run()
			synctest.Wait()
			start := time.Now()
			r.stop()
			if took := time.Since(start); took != 5*time.Second {
				t.Fatalf("stopping took %s, want the bound of 5 s", took)
			}
			if got := s.tookAll(); !slices.Equal(got, []int{1, 2}) {
				t.Fatalf("took %v", got)
			}
		})
	})
}

func TestFreshDataOvertakesTheBacklogOnceTheReceiverSaysItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		anyOrder := func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			w.Header().Set(AnyOrderHeader, "1")
			s.take(w, r)
		}
		s.steps = times(1000, anyOrder)
		r := newRig(t, inProcess(t, s), quiet(), 50)
		r.run()
		time.Sleep(10*time.Second + time.Millisecond)
		before := len(s.tookAll())
		r.append(51)
		time.Sleep(3 * time.Second)
		if lag := r.shipper.State().Lag; lag != 0 {
			t.Fatalf("lag %s with the newest delivered", lag)
		}
		time.Sleep(time.Minute)
		r.stop()
		got := s.tookAll()
		if at := slices.Index(got, 51); at < before || at > before+8 { // those under way, and those beside it
			t.Fatalf("had %d, took %v", before, got)
		}
		slices.Sort(got)
		for i, n := range got {
			if n != i+1 {
				t.Fatalf("took %v", got)
			}
		}
	})
}

func TestOrderStaysForAReceiverThatDoesNotSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		slow := func(w http.ResponseWriter, r *http.Request) { time.Sleep(time.Second); s.take(w, r) }
		s.steps = times(1000, slow)
		r := newRig(t, inProcess(t, s), quiet(), 20)
		r.run()
		time.Sleep(5 * time.Second)
		r.append(21)
		if lag := r.shipper.State().Lag; lag < 4*time.Second {
			t.Fatalf("lag %s while the backlog drains", lag)
		}
		time.Sleep(time.Minute)
		r.stop()
		if got := s.tookAll(); !slices.IsSorted(got) || len(got) != 21 {
			t.Fatalf("took %v", got)
		}
	})
}
