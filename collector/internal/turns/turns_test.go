package turns

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// busy tells whether somebody has a seat or waits for one.
func busy(seats *Turns) bool {
	taken, waiting := seats.Load()
	return taken+waiting > 0
}

// taken takes a seat that must be free.
func taken(t *testing.T, from *Turns, who string) (leave func()) {
	t.Helper()
	leave, err := from.Take(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	return leave
}

// waits has who wait in the background, notes its turn in log and gives the seat back.
func waits(t *testing.T, from *Turns, who string, mu *sync.Mutex, log *[]string) {
	go func() {
		leave, err := from.Take(t.Context(), who)
		if err != nil {
			return
		}
		mu.Lock()
		*log = append(*log, who)
		mu.Unlock()
		time.Sleep(time.Second)
		leave()
	}()
	synctest.Wait()
}

func TestOneWhoAsksForMuchWaitsForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seats := New(1, 1)
		leave := taken(t, seats, "greedy")
		var mu sync.Mutex
		var log []string
		for range 5 {
			waits(t, seats, "greedy", &mu, &log)
		}
		waits(t, seats, "modest", &mu, &log)
		waits(t, seats, "another", &mu, &log)
		leave()
		time.Sleep(time.Minute)
		synctest.Wait()
		// The greedy one had a turn before the two came, but nobody had one since: who came first of the others goes first.
		if got := strings.Join(log[:3], " "); got != "greedy modest another" && got != "modest another greedy" {
			t.Errorf("turns: %v", log)
		}
		if len(log) != 7 || len(seats.callers) != 0 || busy(seats) {
			t.Errorf("left behind: %v %+v", log, seats)
		}
	})
}

func TestOneCallerNeverHoldsAllSeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seats := New(4, 2)
		taken(t, seats, "greedy")
		taken(t, seats, "greedy")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := seats.Take(ctx, "greedy"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a third seat: %v", err)
		}
		taken(t, seats, "modest")()
		if got := fmt.Sprint(len(seats.callers), seats.taken); got != "1 2" {
			t.Errorf("callers and seats taken: %s", got)
		}
	})
}

func TestWhatWaitsForOneCallerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seats := New(1, 1)
		leave := taken(t, seats, "greedy")
		var mu sync.Mutex
		var log []string
		for range mostWaiting {
			waits(t, seats, "greedy", &mu, &log)
		}
		if _, err := seats.Take(t.Context(), "greedy"); !errors.Is(err, ErrCrowded) {
			t.Errorf("one more: %v", err)
		}
		waits(t, seats, "modest", &mu, &log)
		if taken, waiting := seats.Load(); taken != 1 || waiting != mostWaiting+1 {
			t.Errorf("%d taken, %d wait", taken, waiting)
		}
		leave()
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(log) != mostWaiting+1 || busy(seats) {
			t.Errorf("%d had their turn", len(log))
		}
	})
}

func TestWhoEndsWaitingLeavesNoSeatBehind(t *testing.T) {
	seats := New(2, 2)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%7)*100*time.Microsecond)
			defer cancel()
			if leave, err := seats.Take(ctx, fmt.Sprint(i%5)); err == nil {
				time.Sleep(50 * time.Microsecond)
				leave()
			}
		})
	}
	all.Wait()
	if busy(seats) || len(seats.callers) != 0 {
		t.Errorf("%d seats taken by %d callers after all left", seats.taken, len(seats.callers))
	}
}

func TestAContextSaysForWhom(t *testing.T) {
	if who := Who(As(t.Context(), "grafana")); who != "grafana" {
		t.Errorf("%q", who)
	}
	if who := Who(t.Context()); who != "" {
		t.Errorf("the program itself is %q", who)
	}
}
