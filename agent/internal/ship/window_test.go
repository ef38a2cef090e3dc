package ship

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheWindowOpensByOneAndClosesToAHalf(t *testing.T) {
	now := time.Unix(1000, 0)
	second := func(int) time.Duration { return time.Second }
	var w window
	w.setMost(8)
	for range 100 {
		w.taken = int(w.width)
		w.succeeded()
	}
	if w.width != 8 {
		t.Fatalf("width %v after 100 batches, want the bound of 8", w.width)
	}
	began := now
	now = now.Add(time.Second)
	w.failed(began, now, second)
	if may, wait := w.maySend(now); w.width != 4 || may || wait != time.Second {
		t.Fatalf("after a failure: width %v, may send %v, wait %s", w.width, may, wait)
	}
	w.failed(began, now.Add(time.Millisecond), second)
	if w.width != 4 || w.failures != 1 {
		t.Fatalf("one that began before the failure counted: width %v, %d failures", w.width, w.failures)
	}
	for range 5 {
		began, now = now, now.Add(time.Second)
		w.failed(began, now, second)
	}
	if w.width != 1 || w.failures != 6 {
		t.Fatalf("width %v after %d failures", w.width, w.failures)
	}
	now = now.Add(time.Second)
	w.sent = 1
	if may, wait := w.maySend(now); may || wait != 0 {
		t.Fatal("a second request may begin beside the one under way")
	}
	w.setMost(1)
	w.taken = 1
	w.succeeded()
	if w.width != 1 {
		t.Fatalf("width %v past the bound", w.width)
	}
}

// atOnce counts how many requests are being served.
type atOnce struct {
	mu        sync.Mutex
	now, most int
}

func (c *atOnce) enter() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now++
	c.most = max(c.most, c.now)
	return c.now
}

func (c *atOnce) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now--
}

func TestAReceiverGetsAsManyRequestsAtOnceAsItStands(t *testing.T) {
	for _, c := range []struct {
		name               string
		order              Order
		stands, concurrent int
	}{
		{"any order", FreshFirst, 100, 6},
		{"in order", InOrder, 100, 1},
		{"busy with more than two", FreshFirst, 2, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{}
				var served atOnce
				refused := 0
				s.steps = times(1000, func(w http.ResponseWriter, r *http.Request) {
					defer served.leave()
					if served.enter() > c.stands {
						refused++
						says(429, "", "Retry-After", "1")(w, r)
						return
					}
					time.Sleep(100 * time.Millisecond)
					s.take(w, r)
				})
				cfg := inProcess(t, s)
				cfg.Order, cfg.Concurrency = c.order, 6
				r := newRig(t, cfg, quiet(), 100)
				began := time.Now()
				r.run()
				for !r.empty() {
					time.Sleep(100 * time.Millisecond)
				}
				took := time.Since(began)
				r.stop()
				got := s.tookAll()
				slices.Sort(got)
				if len(got) != 100 || got[99] != 100 || len(slices.Compact(got)) != 100 {
					t.Fatalf("took %v", got)
				}
				if served.most != c.concurrent {
					t.Fatalf("%d requests at once, want %d", served.most, c.concurrent)
				}
				if c.stands == 100 && took > 10*time.Second/time.Duration(c.concurrent)+3*time.Second {
					t.Fatalf("took %s", took)
				}
				if c.stands == 2 && (refused == 0 || refused > 40) {
					t.Fatalf("refused %d of %d requests", refused, s.count())
				}
			})
		})
	}
}

// A batch that its receiver fails on, again and again, holds back no other one.
func TestABatchThatFailsForEverHoldsBackNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		s.steps = times(10000, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get(SequenceHeader) == "3" {
				says(500, "a fault of its own")(w, r)
				return
			}
			w.Header().Set(AnyOrderHeader, "1")
			s.take(w, r)
		})
		log, text := logged()
		r := newRig(t, inProcess(t, s), log, 2)
		r.run()
		synctest.Wait()
		for n := 3; n <= 60; n++ {
			r.append(n)
			time.Sleep(15 * time.Second)
		}
		if got := s.tookAll(); len(got) != 59 || slices.Contains(got, 3) {
			t.Fatalf("took %v", got)
		}
		if n := s.count(); n > 59+1200 {
			t.Fatalf("%d requests", n)
		}
		if lines := slices.Collect(strings.Lines(text())); len(lines) > 40 {
			t.Fatalf("%d log lines in a quarter of an hour, the last: %v", len(lines), lines[len(lines)-3:])
		}
		r.stop()
		if got := r.shipper.State().BacklogSamples; got != 10 {
			t.Fatalf("%d samples wait, want those of the one batch", got)
		}
	})
}
