package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// pages serves fixed texts by path.
func pages(t *testing.T, texts map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := texts[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, text)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

const agentPage = `# TYPE plimsoll_agent_containers gauge
plimsoll_agent_containers 5
# TYPE plimsoll_agent_samples_shipped_total counter
plimsoll_agent_samples_shipped_total{receiver="a"} 1000
plimsoll_agent_samples_shipped_total{receiver="b"} 500
# TYPE plimsoll_agent_source_up gauge
plimsoll_agent_source_up{source="cgroup"} 1
plimsoll_agent_source_up{source="docker"} 0
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 10
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 3.2e+07
`

const collectorAlerts = `{"status":"success","data":{"alerts":[
	{"state":"firing","labels":{"alertname":"ContainerOOMKilled","container":"a"}},
	{"state":"firing","labels":{"alertname":"ContainerOOMKilled","container":"b"}},
	{"state":"pending","labels":{"alertname":"NodeDown"}}]}}`

func TestThePictureComesFromTheMetricsAndTheAPI(t *testing.T) {
	agent := map[string]string{"/metrics": agentPage}
	w := newWatcher(addresses{
		agent: pages(t, agent),
		collector: pages(t, map[string]string{
			"/metrics":       "process_cpu_seconds_total 2\nprocess_resident_memory_bytes 8e+07\n",
			"/api/v1/query":  `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"321"]}]}}`,
			"/api/v1/alerts": collectorAlerts,
		}),
	}, []string{"PLIMSOLL_AGENT_DOCKER_HOST=unix:///run/other.sock"})

	now := time.Unix(1700000000, 0)
	p := w.look(context.Background(), now)
	if len(p.faults) > 0 {
		t.Fatalf("faults: %q", p.faults)
	}
	if p.containers != 5 || p.shipped != 1500 || p.series != 321 || p.agent.rssBytes != 3.2e7 || p.collector.rssBytes != 8e7 {
		t.Errorf("got %+v", p)
	}
	if want := []string{"ContainerOOMKilled (2)"}; !slices.Equal(p.firing, want) {
		t.Errorf("firing %q, want %q: pending does not fire, and equal names are counted", p.firing, want)
	}
	if want := []string{"Docker: not reachable at unix:///run/other.sock; showing this node and its cgroups"}; !slices.Equal(p.degraded, want) {
		t.Errorf("degraded %q, want %q", p.degraded, want)
	}

	agent["/metrics"] = strings.NewReplacer("cpu_seconds_total 10", "cpu_seconds_total 10.5", `{receiver="a"} 1000`, `{receiver="a"} 3000`).Replace(agentPage)
	p = w.look(context.Background(), now.Add(10*time.Second))
	if p.agent.cpuCores != 0.05 || p.shippedPerSecond != 200 {
		t.Errorf("over 10 s: %v cores and %v samples/s, want 0.05 and 200", p.agent.cpuCores, p.shippedPerSecond)
	}
}

func TestRatesAreOfTheLastHalfMinute(t *testing.T) {
	w, began := &watcher{}, time.Unix(1700000000, 0)
	var p picture
	for second := 0; second <= 90; second += 2 {
		// The agent ships 1,500 samples every 15 s, but only from the first minute on.
		shipped := 0.0
		if second >= 60 {
			shipped = 1500 * float64((second-60)/15+1)
		}
		w.rate(&p, totals{at: began.Add(time.Duration(second) * time.Second), shipped: shipped})
	}
	if p.shippedPerSecond != 100 {
		t.Errorf("%v samples/s, want 100: neither the burst of the last look nor the quiet minute before", p.shippedPerSecond)
	}
	if len(w.past) > 17 {
		t.Errorf("%d looks are kept for 30 s of one in 2 s", len(w.past))
	}
}

func TestAnEmptyEngineHasNoSeriesAndIsNoFault(t *testing.T) {
	w := newWatcher(addresses{
		agent: pages(t, map[string]string{"/metrics": ""}),
		collector: pages(t, map[string]string{
			"/metrics": "", "/api/v1/query": `{"data":{"result":[]}}`, "/api/v1/alerts": `{"data":{"alerts":[]}}`,
		}),
	}, nil)
	if p := w.look(context.Background(), time.Now()); p.series != 0 || len(p.faults) != 0 {
		t.Errorf("got %+v", p)
	}
}

func TestWhoDoesNotAnswerIsNamed(t *testing.T) {
	w := newWatcher(addresses{agent: "http://127.0.0.1:1", collector: pages(t, nil)}, nil)
	p := w.look(context.Background(), time.Now())
	got := strings.Join(p.faults, "\n")
	for _, want := range []string{"agent: ", "connection refused", "/api/v1/alerts answers 404"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in the faults:\n%s", want, got)
		}
	}
}
