package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	eventsOfAKind      = 60
	backgroundSeries   = 10_000 // one sample a second each
	backgroundPerWrite = 2_000
)

// TestEventsReachTheWebhookWithinSeconds prints the timeline of 60 OOM kills and 60 crashes: the kernel's or engine's event,
// the webhook's receipt. `make show-event-latency` runs it; it takes minutes and is left out otherwise.
func TestEventsReachTheWebhookWithinSeconds(t *testing.T) {
	if os.Getenv("PLIMSOLL_SHOW") != "event-latency" {
		t.Skip("takes minutes: make show-event-latency")
	}
	requireDocker(t)
	require(t, os.Geteuid() == 0, "needs root: the agent reads every container's counters")
	hook := newWebhook(t)
	agentBinary, collectorBinary := buildPrograms(t)
	page := filepath.Join(t.TempDir(), "oncall.yaml")
	if err := os.WriteFile(page, fmt.Appendf(nil, "receivers: {sre: {webhook: {url: %q}}}\nfallback: {critical: sre, warning: sre}\n", hook.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freePort(t)
	collector := start(t, "collector", "http://"+address, collectorBinary, "--listen="+address, "--data-dir="+t.TempDir(), "--oncall="+page)
	collector.waitReady(t)
	agentAddress := freePort(t)
	agent := start(t, "agent", "http://"+agentAddress, agentBinary, "--listen="+agentAddress, "--data-dir="+t.TempDir(),
		"--remote-write.url="+collector.url+"/api/v1/write", "--idc="+idc, "--cluster="+cluster, "--node="+node)
	agent.waitReady(t)

	usual := usualStack(t)
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	load.Go(func() { background(ctx, collector.url) })
	kernel := watchKernelKills(t)
	t.Cleanup(func() { stop(); load.Wait() })
	time.Sleep(10 * time.Second) // the load is on, the agent has seen its first interval

	prefix := fmt.Sprintf("latency-%06x-", rand.N(1<<24))
	containers := map[string][]container{}
	for i := range eventsOfAKind {
		// A container lives for a while before it goes, as a service that fails.
		life := fmt.Sprint(8 + i%10)
		containers["ContainerOOMKilled"] = append(containers["ContainerOOMKilled"],
			run(t, fmt.Sprintf("%soom-%02d", prefix, i), "--memory=16m", "--memory-swap=16m", image, "sh", "-c", "sleep "+life+"; exec tail /dev/zero"))
		containers["ContainerCrashed"] = append(containers["ContainerCrashed"],
			run(t, fmt.Sprintf("%scrash-%02d", prefix, i), image, "sh", "-c", "sleep "+life+"; exit 1"))
	}
	wait := 30 * time.Second
	if usual != nil {
		wait = 140 * time.Second // scrape, evaluation, a minute unseen, group wait
	}
	time.Sleep(wait)

	for alert, all := range containers {
		took := timeline(t, kernel, hook, alert, "container", all)
		t.Logf("%s: %s", alert, took)
		if len(took) != len(all) {
			t.Errorf("%s: %d of %d arrived", alert, len(took), len(all))
		}
		if usual != nil {
			t.Logf("%s, usual stack: %s", alert, timeline(t, kernel, usual, alert, "name", all))
		}
	}
	if s, err := one(collector.url, `sum(rate(plimsoll_collector_samples_ingested_total[1m]))`); err == nil {
		t.Logf("the collector took %.0f samples/s", s.Value.value)
	}
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

// timeline prints when each container's event happened and when its first notification came.
func timeline(t *testing.T, kernel *moments, hook *webhook, alert, label string, all []container) latencies {
	t.Helper()
	var took latencies
	for _, c := range all {
		happened, source := kernel.happened(t, c)
		n, err := hook.find(alert, "firing", map[string]string{label: c.name})
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

// moments are when something happened to a container, by id.
type moments struct {
	mu sync.Mutex
	of map[string]time.Time
}

// watchKernelKills notes when the kernel logs an OOM kill, by the container its cgroup belongs to, from /dev/kmsg
// (https://www.kernel.org/doc/Documentation/ABI/testing/dev-kmsg).
func watchKernelKills(t *testing.T) *moments {
	t.Helper()
	m := &moments{of: map[string]time.Time{}}
	kmsg, err := os.Open("/dev/kmsg")
	if err != nil {
		t.Logf("no kernel log (%v): the engine's time of death stands in", err)
		return m
	}
	t.Cleanup(func() { kmsg.Close() })
	if _, err := kmsg.Seek(0, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	kill := regexp.MustCompile(`oom-kill:.*task_memcg=\S*/(?:docker-)?([0-9a-f]{64})`)
	go func() {
		record := make([]byte, 8192)
		for {
			n, err := kmsg.Read(record) // one record; blocks for the next
			if errors.Is(err, syscall.EPIPE) {
				continue // some were overwritten before they were read
			}
			if err != nil {
				return
			}
			if found := kill.FindSubmatch(record[:n]); found != nil {
				m.mu.Lock()
				m.of[string(found[1])] = time.Now()
				m.mu.Unlock()
			}
		}
	}()
	return m
}

// happened is the kernel's moment or, where it has none, the moment the engine was told of the exit.
func (m *moments) happened(t *testing.T, c container) (time.Time, string) {
	t.Helper()
	m.mu.Lock()
	at, ok := m.of[c.id]
	m.mu.Unlock()
	if ok {
		return at, "kernel log"
	}
	at, err := time.Parse(time.RFC3339Nano, docker(t, "inspect", "--format={{.State.FinishedAt}}", c.id))
	if err != nil {
		t.Fatal(err)
	}
	return at, "exit time "
}
