// Package chaos kills the agent's pipeline and the collector at random moments and counts, sample by sample, what is left.
//
// `make chaos` runs 60 rounds and the long parts; go test runs a few rounds.
package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// rounds is how many rounds to run, and whether someone asked for the long run.
func rounds(t *testing.T) (n int, long bool) {
	text := os.Getenv("PLIMSOLL_CHAOS_ROUNDS")
	if text == "" {
		return 5, false
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("PLIMSOLL_CHAOS_ROUNDS=%q: want a number", text)
	}
	return n, true
}

// random is a time up to most, from a source that a failure names.
func random(rnd *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(rnd.Int64N(int64(most)))
}

func newRandom(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// Kill -9 of the agent, the collector or both, at random moments under load, start-up and replay among them: nothing that
// the agent spooled is lost, nothing counts twice.
func TestKillNineLosesNothing(t *testing.T) {
	n, long := rounds(t)
	if !long {
		t.Parallel()
	}
	longest := 800 * time.Millisecond
	if long {
		longest = 3 * time.Second
	}
	rnd := newRandom(t)
	c := newCollector(t)
	between := newFaulty(t, c.url)
	a := newAgent(t, 10*time.Second, between.URL+"/api/v1/write")
	c.start()
	c.waitReady()
	a.start()

	kills := map[string]int{}
	began, loaded := time.Now(), time.Duration(0)
	for round := 1; round <= n; round++ {
		time.Sleep(100*time.Millisecond + random(rnd, longest))
		victim := []string{"agent", "collector", "both"}[(round+rnd.IntN(2))%3]
		kills[victim]++
		if victim != "collector" {
			a.kill()
		}
		if victim != "agent" {
			c.kill()
		}
		time.Sleep(random(rnd, 300*time.Millisecond))
		if victim != "agent" {
			c.start()
			for range rnd.IntN(3) {
				time.Sleep(random(rnd, 200*time.Millisecond))
				c.kill()
				kills["collector while it starts"]++
				c.start()
			}
		}
		if victim != "collector" {
			a.start()
		}
		if round%20 != 0 && round != n {
			continue
		}
		loaded += time.Since(began)
		got := c.verifyAtTheEnd(a)
		if long {
			rate := float64(got.expected) / loaded.Seconds() * 10
			late, again := between.arrivals()
			told.count(fmt.Sprintf("%d rounds of kill -9", round), got, "%.0f samples in 10 s, those while it was down among them; killed %v; %d batches came after a later one, %d came again", rate, kills, late, again)
			if rate < 20_000 {
				t.Errorf("%.0f samples in 10 s: this shows nothing of 20,000", rate)
			}
		}
		if !got.clean() {
			t.Fatalf("after %d rounds: expected, stored, lost, double, wrong, disordered: %v", round, got)
		}
		seen := c.node()
		if seen.Missing != 0 || seen.Late != 0 || seen.Changes != 0 || seen.LastSequence < uint64(len(a.spooled)) || seen.LastSequence > uint64(len(a.spooled)+len(a.unsure)) {
			t.Fatalf("of %d batches the collector says %+v", len(a.spooled), seen)
		}
		if round != n {
			a.start()
			began = time.Now()
		}
	}
	t.Logf("%d batches, kills %v, then %+v", len(a.spooled), kills, c.node())
}

// Kill -9 of the collector just when it begins a segment of the journal, removes one, or when its engine puts samples or index from
// memory on disk, instead of at any moment.
func TestKillNineWhileTheDiskIsWritten(t *testing.T) {
	if _, long := rounds(t); !long {
		t.Skip("takes two minutes: make chaos")
	}
	c := newCollector(t)
	a := newAgent(t, 10*time.Second, c.url+"/api/v1/write")
	c.start()
	c.waitReady()
	a.start()
	rnd := newRandom(t)
	kills := map[string]int{}
	places := []string{"journal", "engine/data/small", "engine/data/indexdb"}
	for range 5 {
		for _, place := range places {
			c.waitReady()
			if c.changes(place, 20*time.Second) {
				kills[place]++
			}
			time.Sleep(random(rnd, 5*time.Millisecond))
			c.kill()
			c.start()
		}
	}
	got := c.verifyAtTheEnd(a)
	told.count(fmt.Sprintf("%d kills while the disk is written", len(places)*5), got, "just when something changed in %v", kills)
	if !got.clean() {
		t.Error("see above")
	}
}

// The journal is trimmed while the collector runs, and a kill after that still loses nothing; without the journal the same
// kill does. The age of what is lost then shows how far the minute is on the safe side that engine.Mark waits.
func TestTheJournalIsTrimmedSafely(t *testing.T) {
	if _, long := rounds(t); !long {
		t.Skip("takes two minutes: make chaos")
	}
	c := newCollector(t)
	a := newAgent(t, 10*time.Second, c.url+"/api/v1/write")
	c.start()
	c.waitReady()
	a.start()
	time.Sleep(85 * time.Second)
	segments, err := filepath.Glob(filepath.Join(c.dir, "journal", "*"))
	if err != nil || len(segments) == 0 {
		t.Fatal("no journal")
	}
	if first := filepath.Base(segments[0]); first[:20] == "00000000000000000001" {
		t.Error("nothing was trimmed in 85 s")
	}
	c.kill()
	c.start()
	got := c.verifyAtTheEnd(a)
	told.count("85 s, the journal trimmed, killed", got, "%d segments of the journal were left", len(segments))
	if !got.clean() {
		t.Fatal("see above")
	}
	c.kill()

	for try := range 3 {
		c := newCollector(t)
		a := newAgent(t, 10*time.Second, c.url+"/api/v1/write")
		c.start()
		c.waitReady()
		a.start()
		time.Sleep(13*time.Second + time.Duration(try)*700*time.Millisecond)
		c.kill()
		a.kill()
		if err := os.RemoveAll(filepath.Join(c.dir, "journal")); err != nil {
			t.Fatal(err)
		}
		c.start()
		c.waitReady()
		got := c.verify(a)
		told.count("the same 13 s on, the journal taken away", got, "to show what it is for: the last %.1f s are lost", float64(got.lost)/series*batchEvery.Seconds())
		c.kill()
	}
}
