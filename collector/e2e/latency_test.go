package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	eventsOfAKind      = 60
	backgroundSeries   = 10_000 // one sample a second each
	backgroundPerWrite = 2_000
)

// TestEventsReachTheWebhookWithinSeconds prints the timeline of 60 OOM kills, every other of which the container survives, 60 crashes, 20
// restart loops and 20 failing health checks: the kernel's or engine's event, the webhook's receipt. `make show-event-latency` runs it; it takes minutes and is left out otherwise.
func TestEventsReachTheWebhookWithinSeconds(t *testing.T) {
	if os.Getenv("PLIMSOLL_SHOW") != "event-latency" {
		t.Skip("takes minutes: make show-event-latency")
	}
	requireDocker(t)
	require(t, os.Geteuid() == 0, "needs root: the agent reads every container's counters")
	hook := newWebhook(t)
	agentBinary, collectorBinary := buildPrograms(t)
	address := freePort(t)
	collector := start(t, "collector", "http://"+address, collectorBinary, "--listen="+address, "--data-dir="+t.TempDir(), "--oncall="+oncallPage(t, hook.URL))
	collector.waitReady(t)
	agentAddress := freePort(t)
	agent := start(t, "agent", "http://"+agentAddress, agentBinary, "--listen="+agentAddress, "--data-dir="+t.TempDir(),
		"--remote-write.url="+collector.url+"/api/v1/write", "--idc="+idc, "--cluster="+cluster, "--node="+node)
	agent.waitReady(t)

	usual := usualStack(t)
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	load.Go(func() { background(ctx, collector.url) })
	seen := watchMoments(t)
	t.Cleanup(func() { stop(); load.Wait() })
	time.Sleep(10 * time.Second) // the load is on, the agent has seen its first interval

	prefix := fmt.Sprintf("latency-%06x-", rand.N(1<<24))
	dies, lives, crashes := kind{"OOM kill that ends the container", "ContainerOOMKilled", seen.killed, nil}, kind{"OOM kill the container survives", "ContainerOOMKilled", seen.killed, nil}, kind{"crash", "ContainerCrashed", seen.killed, nil}
	for i := range eventsOfAKind {
		// A container lives for a while before it goes, as a service that fails.
		life := fmt.Sprint(8 + i%10)
		oom, script := &dies, "sleep "+life+"; exec tail /dev/zero"
		if i%2 == 1 { // it lives long enough for a scrape to have seen it before
			oom, script = &lives, "sleep 3"+life[len(life)-1:]+"; tail /dev/zero; sleep 600"
		}
		oom.all = append(oom.all, run(t, fmt.Sprintf("%soom-%02d", prefix, i), "--memory=16m", "--memory-swap=16m", image, "sh", "-c", script))
		crashes.all = append(crashes.all, run(t, fmt.Sprintf("%scrash-%02d", prefix, i), image, "sh", "-c", "sleep "+life+"; exit 1"))
	}
	wait := 60 * time.Second
	if usual != nil {
		wait = 140 * time.Second // scrape, evaluation, a minute unseen, group wait
	}
	time.Sleep(wait)
	for _, k := range []kind{dies, lives, crashes} {
		took := k.timeline(t, hook, "container")
		t.Logf("%s: %s", k.what, took)
		if len(took) != len(k.all) {
			t.Errorf("%s: %d of %d arrived", k.what, len(took), len(k.all))
		}
		if usual != nil {
			t.Logf("%s, usual stack: %s, of %d", k.what, k.timeline(t, usual, "name"), len(k.all))
		}
		k.remove(t)
	}

	loops, sick := kind{"third restart within 15 min", "ContainerRestartLoop", seen.nth("start", 3), nil}, kind{"health check fails as often as it may", "ContainerUnhealthy", seen.nth("health_status: unhealthy", 0), nil}
	for i := range eventsOfAKind / 3 {
		loops.all = append(loops.all, run(t, fmt.Sprintf("%sloop-%02d", prefix, i), "--restart=on-failure:4", image, "sh", "-c", "sleep 1; exit 1"))
		sick.all = append(sick.all, run(t, fmt.Sprintf("%ssick-%02d", prefix, i), "--health-cmd=false", "--health-interval=4s", "--health-retries=2", image, "sleep", "600"))
	}
	time.Sleep(30 * time.Second)
	for _, k := range []kind{loops, sick} {
		took := k.timeline(t, hook, "container")
		t.Logf("%s: %s", k.what, took)
		if len(took) != len(k.all) {
			t.Errorf("%s: %d of %d arrived", k.what, len(took), len(k.all))
		}
		k.remove(t)
	}
	if s, err := one(collector.url, `sum(rate(plimsoll_collector_samples_ingested_total[1m]))`); err == nil {
		t.Logf("the collector took %.0f samples/s", s.Value.value)
	}
}

// oncallPage sends everything to a webhook.
func oncallPage(t *testing.T, url string) string {
	t.Helper()
	page := filepath.Join(t.TempDir(), "oncall.yaml")
	if err := os.WriteFile(page, fmt.Appendf(nil, "receivers: {sre: {webhook: {url: %q}}}\nfallback: {critical: sre, warning: sre}\n", url), 0o600); err != nil {
		t.Fatal(err)
	}
	return page
}

// latencies are what the events that arrived took, sorted.
type latencies []time.Duration

func (l latencies) String() string {
	if len(l) == 0 {
		return "0 arrived"
	}
	share := func(p float64) float64 { return l[min(len(l)-1, int(p*float64(len(l))))].Seconds() }
	return fmt.Sprintf("%d arrived; p50 %.2f s, p90 %.2f s, p99 %.2f s, slowest %.2f s", len(l), share(0.5), share(0.9), share(0.99), l[len(l)-1].Seconds())
}

// kind is a kind of event, the alert that tells of it, and the containers it happens to.
type kind struct {
	what, alert string
	happened    func(*testing.T, container) (at time.Time, source string)
	all         []container
}

// timeline prints when each container's event happened and when its first notification came.
func (k kind) timeline(t *testing.T, hook *webhook, label string) latencies {
	t.Helper()
	var took latencies
	for _, c := range k.all {
		happened, source := k.happened(t, c)
		n, err := hook.find(k.alert, "firing", map[string]string{label: c.name})
		if err != nil {
			t.Logf("%s   %s %s   webhook never", c.name, source, happened.UTC().Format("15:04:05.000"))
			continue
		}
		took = append(took, n.received.Sub(happened))
		t.Logf("%s   %s %s   webhook %s   %6.3f s", c.name, source, happened.UTC().Format("15:04:05.000"), n.received.UTC().Format("15:04:05.000"), n.received.Sub(happened).Seconds())
	}
	slices.Sort(took)
	return took
}

func (k kind) remove(t *testing.T) {
	t.Helper()
	args := []string{"rm", "-f"}
	for _, c := range k.all {
		args = append(args, c.id)
	}
	docker(t, args...)
}

// background writes 10,000 samples a second until ctx ends.
func background(ctx context.Context, collectorURL string) {
	var batches [][]pushed
	for i := 0; i < backgroundSeries; i += backgroundPerWrite {
		var batch []pushed
		for n := range backgroundPerWrite {
			batch = append(batch, pushed{"container_cpu_usage_seconds_total", []string{"project", "background", "idc", "far", "cluster", "load", "node", fmt.Sprintf("n%03d", (i+n)/100),
				"workload", fmt.Sprintf("w%02d", n%100), "container", fmt.Sprintf("c%05d", i+n), "cpu", "total"}, 0})
		}
		batches = append(batches, batch)
	}
	tick := time.NewTicker(time.Second / time.Duration(len(batches)))
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		batch := batches[i%len(batches)]
		for n := range batch {
			batch[n].value++
		}
		_ = push(ctx, collectorURL, batch) // the rate is printed at the end
	}
}
