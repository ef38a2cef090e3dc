package spool

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// The backlog comes at its rate, and what is new does not wait for it.
func TestTheBacklogComesAtItsRate(t *testing.T) {
	const perSecond, bytes = 10_000, 1000 - headerBytes
	for _, order := range []Order{FreshFirst, InOrder} {
		t.Run(string(order), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				s := openSpool(t, Config{Dir: dir})
				for n := uint64(1); n <= 200; n++ {
					mustAppend(t, s, n, bytes, 1)
				}
				s.Close()
				s = openSpool(t, Config{Dir: dir})
				r := openReader(t, s, "a")
				r.SetOrder(order)
				r.SetBacklogRate(perSecond)

				began := time.Now()
				var buf []byte
				for n := uint64(1); n <= 200; n++ {
					if n%20 == 0 && order == FreshFirst {
						fresh := mustAppend(t, s, 1000+n, bytes, 1)
						at := time.Now()
						if rec := take(t, r); rec.Seq != fresh || time.Since(at) != 0 {
							t.Fatalf("got %d after %s, want the new %d at once", rec.Seq, time.Since(at), fresh)
						}
					}
					rec, err := r.Next(context.Background(), buf)
					if err != nil || rec.Seq != n {
						t.Fatalf("got %d, %v, want %d", rec.Seq, err, n)
					}
					buf = rec.Payload
				}
				// A second's worth may go at once.
				if took := time.Since(began); took < 18*time.Second || took > 20*time.Second {
					t.Fatalf("200,000 bytes at 10,000 a second took %s", took)
				}
				if _, err := r.Next(ended(), nil); !errors.Is(err, context.Canceled) {
					t.Fatalf("%v", err)
				}
			})
		})
	}
}

// In order, a receiver that keeps up is not held back.
func TestTheRateDoesNotHoldBackWhatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openSpool(t, Config{Dir: t.TempDir()})
		r := openReader(t, s, "a")
		r.SetBacklogRate(1)
		began := time.Now()
		for n := uint64(1); n <= 100; n++ {
			mustAppend(t, s, n, 1000, 1)
			r.Ack(take(t, r).Seq)
		}
		if took := time.Since(began); took != 0 {
			t.Fatalf("100 new records took %s", took)
		}
	})
}
