package chaos_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// newestSample is the newest timestamp that the collector has of the agent.
func (c *collector) newestSample() (newest time.Time, late uint64) {
	c.t.Helper()
	body, err := c.get("/api/nodes", nil)
	if err != nil {
		return newest, 0
	}
	var answer struct {
		Data []struct {
			Newest time.Time `json:"newest_sample"`
			node
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Data) != 1 {
		return newest, 0
	}
	return answer.Data[0].Newest, answer.Data[0].Late
}

// fresh waits until the collector has data no older than two intervals, and tells how many batches are late then.
func (c *collector) fresh(a *agent, within time.Duration) (after time.Duration, late uint64) {
	c.t.Helper()
	for began := time.Now(); time.Since(began) < within; time.Sleep(20 * time.Millisecond) {
		want := a.at(a.newest() - 2)
		if newest, late := c.newestSample(); a.newest() >= 0 && newest.UnixMilli() >= want {
			return time.Since(began), late
		}
	}
	c.t.Errorf("live data is not there %s after the recovery", within)
	return within, 0
}

// A receiver that fails in every way for ten minutes of the agent's time: nothing within the spool's bound is lost, what is new arrives
// soon after the recovery while the rest follows at its rate.
func TestAFailingReceiverLosesNothing(t *testing.T) {
	_, long := rounds(t)
	if !long {
		t.Parallel()
	}
	c := newCollector(t)
	between := newFaultyTLS(t, c.url)
	a := newAgent(t, 20*time.Minute, between.URL+"/api/v1/write")
	a.cfg.CAFile = between.caFile
	each := 350 * time.Millisecond
	if long {
		each = 9400 * time.Millisecond
		a.cfg.StepMillis, a.cfg.Backlog = 1000, 30<<10
	}
	c.start()
	c.waitReady()
	a.start()
	time.Sleep(time.Second)
	began := a.newest()
	for _, mode := range faults() {
		between.set(mode)
		first := a.newest()
		time.Sleep(each)
		if long {
			n := a.newest() - first
			told.tell("receiver: "+string(mode), "%s of the agent's time, %d batches, %d requests met it", time.Duration(n)*time.Second, n, between.counted(mode))
		}
	}
	failed := time.Duration(int64(a.newest()-began)*a.cfg.StepMillis) * time.Millisecond
	between.set("")
	after, late := c.fresh(a, 30*time.Second)
	drained := time.Now()
	if long {
		for time.Since(drained) < time.Minute {
			if _, late := c.newestSample(); late == 0 {
				break
			}
			c.fresh(a, 5*time.Second)
			time.Sleep(time.Second)
		}
	}
	drain := time.Since(drained)
	if err := a.finish(time.Minute); err != nil {
		t.Fatal(err)
	}
	c.killLast()
	got, seen := c.verify(a), c.node()
	if long {
		told.count(fmt.Sprintf("receiver failing in these %d ways", len(faults())), got, "%s; %.1f s after the recovery data was at most two intervals old, %d batches still to come; those within %.0f s, live data fresh all the while; %d came again",
			failed, after.Seconds(), late, drain.Seconds(), seen.Repeated)
		if late == 0 {
			t.Error("nothing was late: this shows nothing")
		}
	}
	if !got.clean() {
		t.Fatalf("expected, stored, lost, double, wrong, disordered: %v", got)
	}
	if seen.Missing != 0 || seen.Late != 0 || seen.Repeated == 0 {
		t.Errorf("the collector says %+v", seen)
	}
}

// Two receivers, one of which takes a byte a second: the other one has everything all the while.
func TestOneSlowReceiverHoldsBackNoOther(t *testing.T) {
	if _, long := rounds(t); !long {
		t.Skip("takes half a minute: make chaos; a test of the shippers shows the same on stand-ins")
	}
	well, slow := newCollector(t), newCollector(t)
	between := newFaulty(t, slow.url)
	a := newAgent(t, time.Minute, well.url+"/api/v1/write", between.URL+"/api/v1/write")
	for _, c := range []*collector{well, slow} {
		c.start()
		c.waitReady()
	}
	between.set("slow (1 byte/s)")
	a.start()
	const lasts = 20 * time.Second
	well.fresh(a, 30*time.Second)
	worst := time.Duration(0)
	for began := time.Now(); time.Since(began) < lasts; time.Sleep(50 * time.Millisecond) {
		if newest, _ := well.newestSample(); !newest.IsZero() {
			worst = max(worst, time.Duration(a.at(a.newest())-newest.UnixMilli())*time.Millisecond)
		}
	}
	if newest, _ := slow.newestSample(); !newest.IsZero() {
		t.Fatalf("the slow receiver has data of %s: it is not slow", newest)
	}
	between.set("")
	if err := a.finish(time.Minute); err != nil {
		t.Fatal(err)
	}
	well.killLast()
	slow.killLast()
	first, second := well.verify(a), slow.verify(a)
	told.count("two receivers, one takes 1 byte/s: the other", first, "for %s its data was at most %s old", lasts, worst)
	told.count("the slow one, after it recovered", second, "")
	if worst > 10*batchEvery { // a machine that is busy with other things takes its time
		t.Errorf("the receiver that is well had data %s old", worst)
	}
	if !first.clean() || !second.clean() {
		t.Fatalf("expected, stored, lost, double, wrong, disordered: %v and %v", first, second)
	}
}

// An agent that lost its disk starts a new spool: what the old one still had is missing, the new one is whole.
func TestAReinstalledAgentIsSeenAsSuch(t *testing.T) {
	if _, long := rounds(t); !long {
		t.Parallel()
	}
	c := newCollector(t)
	between := newFaulty(t, c.url)
	a := newAgent(t, 10*time.Second, between.URL+"/api/v1/write")
	c.start()
	c.waitReady()
	a.start()
	time.Sleep(time.Second)
	between.set("down")
	reached := c.node().LastSequence
	time.Sleep(time.Second)
	a.kill()
	if seen := c.node(); seen.Changes != 0 || seen.LastSequence != reached {
		t.Fatalf("before: %+v, had %d", seen, reached)
	}
	a.mu.Lock()
	gone := 0
	for k, seq := range a.spooled {
		if seq > reached {
			delete(a.spooled, k)
			gone++
		}
	}
	a.mu.Unlock()
	a.cfg.Dir = t.TempDir()
	between.set("")
	a.start()
	time.Sleep(time.Second)
	if err := a.finish(time.Minute); err != nil {
		t.Fatal(err)
	}
	c.killLast()
	got, seen := c.verify(a), c.node()
	if gone == 0 || !got.clean() {
		t.Fatalf("%d batches went with the disk; expected, stored, lost, double, wrong, disordered: %v", gone, got)
	}
	if seen.Changes != 1 || seen.Missing != 0 || seen.Late != 0 || seen.LastSequence == 0 || seen.LastSequence >= uint64(len(a.spooled)) {
		t.Fatalf("of a new spool the collector says %+v", seen)
	}
}
