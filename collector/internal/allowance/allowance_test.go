package allowance

import (
	"testing"
	"time"
)

// clock is a time that tests move.
type clock struct{ now time.Time }

func (c *clock) time() time.Time { return c.now }

func TestEachHasSoMuchAtOnceAndMoreWithTime(t *testing.T) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	table := New[string](3, 0.5, c.time)
	for i := range 3 {
		if wait := table.Spend("a"); wait != 0 {
			t.Fatalf("the %d. time: wait %s", i+1, wait)
		}
	}
	if wait := table.Spend("a"); wait != 2*time.Second || table.Wait("a") != wait {
		t.Errorf("with nothing left: %s, %s", wait, table.Wait("a"))
	}
	if table.Wait("b") != 0 || table.Spend("b") != 0 {
		t.Error("another has to wait")
	}
	c.now = c.now.Add(time.Second)
	if wait := table.Spend("a"); wait != time.Second {
		t.Errorf("what was asked for in vain counts: wait %s", wait)
	}
	c.now = c.now.Add(time.Second)
	if table.Spend("a") != 0 || table.Spend("a") == 0 {
		t.Error("after two seconds there is not one again")
	}
	c.now = c.now.Add(time.Hour)
	for range 3 {
		table.Spend("a")
	}
	if table.Wait("a") == 0 {
		t.Error("after an hour there is more than at once")
	}
	c.now = c.now.Add(-time.Minute)
	if wait := table.Wait("a"); wait != 2*time.Second {
		t.Errorf("a clock that went back: %s", wait)
	}
}

func TestATableIsBounded(t *testing.T) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	table := New[int](2, 1, c.time)
	for i := range mostKept {
		table.Spend(i)
	}
	c.now = c.now.Add(time.Second) // all have everything again
	table.Spend(0)
	table.Spend(0)
	table.Spend(mostKept)
	if len(table.kept) != 2 || table.Wait(0) == 0 {
		t.Errorf("%d are kept, the one who spent has to wait %s", len(table.kept), table.Wait(0))
	}
	for i := range 3 * mostKept {
		table.Spend(i)
		if len(table.kept) > mostKept {
			t.Fatalf("%d are kept", len(table.kept))
		}
	}
}
