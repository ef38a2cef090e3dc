package e2e_test

import (
	"context"
	"maps"
	"os"
	"testing"
	"time"
)

// What an agent delivers of the hours it was cut off is history: that a container was killed for memory, crashed and ran at its limit two
// hours ago pages nobody, nor does the journal that is replayed after a crash of the collector. The same now does.
func TestReplayedHistoryPagesNobody(t *testing.T) {
	if os.Getenv("PLIMSOLL_SHOW") != "history" {
		t.Skip("takes a minute and a half: make show-history")
	}
	ctx := context.Background()
	hook := newWebhook(t)
	_, binary := buildPrograms(t)
	address, data := freePort(t), t.TempDir()
	begin := func() *program {
		c := start(t, "collector", "http://"+address, binary, "--listen="+address, "--data-dir="+data, "--alertmanager.config="+alertmanagerConfig(t, hook.URL))
		c.waitReady(t)
		return c
	}
	collector := begin()

	labels := []string{"idc", "east", "cluster", "c", "node", "n", "project", "shop", "namespace", "shop", "workload", "web", "container", "web", "id", "/docker/a", "image", "web:1", "name", "web"}
	born := time.Now().Add(-5 * time.Hour)
	// round is what an agent sends in a round: so many kills and exits so far, and so full a memory.
	round := func(at time.Time, kills, memory float64) {
		t.Helper()
		crashed := append([]string{"reason", "error"}, labels...)
		err := pushOf(ctx, collector.url, at, []pushed{
			{"plimsoll_agent_build_info", []string{"idc", "east", "cluster", "c", "node", "n", "version", "e2e"}, 1},
			{"container_oom_events_total", labels, kills},
			{"container_exits_total", crashed, kills},
			{"container_restarts_total", labels, kills},
			{"container_memory_working_set_bytes", labels, memory * 100e6},
			{"container_memory_unreclaimable_bytes", labels, memory * 100e6},
			{"container_spec_memory_limit_bytes", labels, 100e6},
			{"container_start_time_seconds", labels, float64(born.Unix())},
			{"container_last_seen", labels, float64(at.Unix())},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// live keeps the node present for a while.
	live := func(lasts time.Duration, kills float64) {
		for began := time.Now(); time.Since(began) < lasts; time.Sleep(time.Second) {
			round(time.Now(), kills, 0.2)
		}
	}
	live(3*time.Second, 12)
	now := time.Now()
	for at := now.Add(-4 * time.Hour); at.Before(now.Add(-20 * time.Minute)); at = at.Add(15 * time.Second) {
		kills := 0.0
		if back := now.Sub(at); back < 3*time.Hour { // twelve kills between three and two hours ago
			kills = min(12, float64(int((3*time.Hour-back)/(5*time.Minute))))
		}
		round(at, kills, 0.99)
	}
	live(35*time.Second, 12)
	collector.cmd.Process.Kill()
	<-collector.done
	collector = begin() // replays the journal with all of it
	live(25*time.Second, 12)
	for name := range maps.Keys(hook.count()) {
		if name != "Watchdog firing" {
			t.Errorf("history paged: %s", name)
		}
	}

	live(3*time.Second, 13)
	took := eventually(t, 20*time.Second, "a kill of now pages", func() error {
		round(time.Now(), 13, 0.2)
		_, err := hook.find("ContainerOOMKilled", "firing", map[string]string{"project": "shop", "workload": "web"})
		return err
	})
	t.Logf("four hours of history with 12 kills and a full memory, replayed once more: 0 notifications; a kill of now: one, after %s", took.Round(100*time.Millisecond))
}
