package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// maxAnswerBytes bounds what is read of one answer; the agent's metrics of 1,000 containers are about 10 MiB.
const maxAnswerBytes = 64 << 20

// picture is what both programs said at one moment. A part whose source did not answer is in faults.
type picture struct {
	containers, unresolved int      // real containers the agent watches; those of them without a name yet
	shipped                float64  // samples acknowledged since the agent started
	shippedPerSecond       float64  // of rateWindow
	dropped                float64  // samples given up
	waitingBytes           float64  // sampled, on disk, not acknowledged
	series                 int      // in the engine, of the last five minutes
	firing                 []string // names of firing alerts, with their number when it is not one
	degraded               []string // sources of the agent that do not work, in a sentence each
	agent, collector       process
	rated                  bool     // there was an earlier look, so that rates are known
	faults                 []string // who did not answer, and why
}

// process is what one of the two costs.
type process struct {
	cpuCores float64 // of rateWindow
	rssBytes float64
}

// watcher asks both programs over HTTP only: their /metrics, and the collector's API.
type watcher struct {
	at         addresses
	dockerHost string
	client     *http.Client
	past       []totals // oldest first, of about rateWindow
}

// rateWindow is two of the agent's default intervals, as it ships once in each.
const rateWindow = 30 * time.Second

// totals are the counters of one look, for the rates of later ones.
type totals struct {
	at                             time.Time
	shipped                        float64
	agentSeconds, collectorSeconds float64 // of CPU
}

func newWatcher(at addresses, environ []string) *watcher {
	w := &watcher{at: at, dockerHost: "unix:///var/run/docker.sock", client: &http.Client{Timeout: 5 * time.Second}}
	for _, kv := range environ {
		if host, ok := strings.CutPrefix(kv, "PLIMSOLL_AGENT_DOCKER_HOST="); ok && host != "" {
			w.dockerHost = host
		}
	}
	return w
}

// look takes one picture.
func (w *watcher) look(ctx context.Context, now time.Time) picture {
	var p picture
	note := func(who string, err error) {
		if err != nil {
			p.faults = append(p.faults, who+": "+err.Error())
		}
	}
	agent, err := w.metrics(ctx, w.at.agent)
	note("agent", err)
	collector, err := w.metrics(ctx, w.at.collector)
	note("collector", err)

	p.containers = int(sum(agent, "plimsoll_agent_containers"))
	p.unresolved = int(sum(agent, "plimsoll_agent_containers_unresolved"))
	p.dropped = sum(agent, "plimsoll_agent_samples_dropped_total")
	p.waitingBytes = sum(agent, "plimsoll_agent_spool_pending_bytes")
	p.degraded = degraded(agent, w.dockerHost)
	p.shipped = sum(agent, "plimsoll_agent_samples_shipped_total")
	p.agent.rssBytes = sum(agent, "process_resident_memory_bytes")
	p.collector.rssBytes = sum(collector, "process_resident_memory_bytes")

	if agent != nil && collector != nil {
		w.rate(&p, totals{at: now, shipped: p.shipped,
			agentSeconds: sum(agent, "process_cpu_seconds_total"), collectorSeconds: sum(collector, "process_cpu_seconds_total")})
	}

	p.series, err = w.series(ctx)
	note("collector: count of series", err)
	p.firing, err = w.firing(ctx)
	note("collector: alerts", err)
	return p
}

// rate fills in what p needs an earlier look for, and keeps total for later ones.
func (w *watcher) rate(p *picture, total totals) {
	for len(w.past) > 1 && total.at.Sub(w.past[1].at) >= rateWindow {
		w.past = w.past[1:]
	}
	if len(w.past) > 0 {
		before := w.past[0]
		seconds := total.at.Sub(before.at).Seconds()
		p.rated = true
		p.shippedPerSecond = (total.shipped - before.shipped) / seconds
		p.agent.cpuCores = (total.agentSeconds - before.agentSeconds) / seconds
		p.collector.cpuCores = (total.collectorSeconds - before.collectorSeconds) / seconds
	}
	w.past = append(w.past, total)
}

// metrics reads a /metrics page.
func (w *watcher) metrics(ctx context.Context, base string) (map[string]*dto.MetricFamily, error) {
	body, err := w.get(ctx, base+"/metrics")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(io.LimitReader(body, maxAnswerBytes))
	if err != nil {
		return nil, fmt.Errorf("parse %s/metrics: %w", base, err)
	}
	return families, nil
}

// series counts the time series of the last five minutes.
func (w *watcher) series(ctx context.Context) (int, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]any `json:"value"` // seconds as a number, then the value as a string
			} `json:"result"`
		} `json:"data"`
	}
	query := url.Values{"query": {`count({__name__!=""})`}}
	if err := w.json(ctx, "/api/v1/query?"+query.Encode(), &answer); err != nil || len(answer.Data.Result) == 0 {
		return 0, err
	}
	n, err := strconv.ParseFloat(fmt.Sprint(answer.Data.Result[0].Value[1]), 64)
	if err != nil {
		return 0, fmt.Errorf("unexpected value: %w", err)
	}
	return int(n), nil
}

// firing names the alerts that fire, sorted. Those of severity none (the watchdog, which always fires) are not news.
func (w *watcher) firing(ctx context.Context) ([]string, error) {
	var answer struct {
		Data struct {
			Alerts []struct {
				State  string            `json:"state"`
				Labels map[string]string `json:"labels"`
			} `json:"alerts"`
		} `json:"data"`
	}
	if err := w.json(ctx, "/api/v1/alerts", &answer); err != nil {
		return nil, err
	}
	count := map[string]int{}
	for _, a := range answer.Data.Alerts {
		if a.State == "firing" && a.Labels["severity"] != "none" {
			count[a.Labels["alertname"]]++
		}
	}
	var names []string
	for name, n := range count {
		if n > 1 {
			name = fmt.Sprintf("%s (%d)", name, n)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (w *watcher) json(ctx context.Context, path string, into any) error {
	body, err := w.get(ctx, w.at.collector+path)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(io.LimitReader(body, maxAnswerBytes)).Decode(into); err != nil {
		return fmt.Errorf("answer of %s: %w", path, err)
	}
	return nil
}

func (w *watcher) get(ctx context.Context, from string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	response, err := w.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("%s answers %s", from, response.Status)
	}
	return response.Body, nil
}

// sum adds the values of all series of a metric; 0 when there is none.
func sum(families map[string]*dto.MetricFamily, name string) float64 {
	total := 0.0
	for _, m := range families[name].GetMetric() {
		total += value(m)
	}
	return total
}

func value(m *dto.Metric) float64 {
	return m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
}

// degraded says in a sentence each what the agent cannot see.
func degraded(families map[string]*dto.MetricFamily, dockerHost string) []string {
	var sentences []string
	for _, m := range families["plimsoll_agent_source_up"].GetMetric() {
		if value(m) != 0 {
			continue
		}
		for _, l := range m.GetLabel() {
			if l.GetName() == "source" {
				sentences = append(sentences, sentence(l.GetValue(), dockerHost))
			}
		}
	}
	slices.Sort(sentences)
	return sentences
}

func sentence(source, dockerHost string) string {
	switch source {
	case "docker":
		return "Docker: not reachable at " + dockerHost + "; showing this node and its cgroups"
	case "cgroup":
		return "cgroups: the tree cannot be read; showing this node only"
	}
	return source + ": not available"
}
