// Package e2e_test drives the two built binaries against a live dockerd and looks at them through HTTP only.
package e2e_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/grafana/grafanatest"
	"github.com/plimsoll/plimsoll/collector/internal/grafana/paneltest"
	"github.com/plimsoll/plimsoll/dashboards"
)

const (
	interval = 5 * time.Second
	idc      = "test-idc"
	cluster  = "test-cluster"
	node     = "test-node"
)

// TestThePipelineRunsEndToEnd: real containers, agent, remote write, collector, PromQL, an alert at a webhook, dashboards in a real Grafana.
func TestThePipelineRunsEndToEnd(t *testing.T) {
	t.Parallel()
	requireDocker(t)
	require(t, os.Geteuid() == 0, "needs root: the agent reads every container's network counters")
	grafana := grafanatest.Start(t)
	hook := newWebhook(t)
	agentBinary, collectorBinary := buildPrograms(t)

	address := freePort(t)
	collector := start(t, "collector", "http://"+address, collectorBinary,
		"--listen="+address, "--data-dir="+t.TempDir(), "--alertmanager.config="+alertmanagerConfig(t, hook.URL),
		"--rules="+checkoutRule(t), "--rules="+recordedAtOnce(t), "--grafana.url="+grafana.URL, "--grafana.token-file="+grafana.TokenFile(t, "Admin"), "--grafana.interval=3s")
	collector.waitReady(t)
	agentAddress := freePort(t)
	agent := start(t, "agent", "http://"+agentAddress, agentBinary,
		"--listen="+agentAddress, "--data-dir="+t.TempDir(), "--remote-write.url="+collector.url+"/api/v1/write",
		"--interval="+interval.String(), "--idc="+idc, "--cluster="+cluster, "--node="+node)
	agent.waitReady(t)

	prefix := fmt.Sprintf("e2e-%06x-", rand.N(1<<24))
	const work = "while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; done"
	busy := run(t, prefix+"busy", "--cpus=0.5", image, "sh", "-c", work)
	hog := run(t, prefix+"hog", "--memory=256m", image, "sh", "-c", "x=$(head -c 40000000 /dev/zero | tr '\\0' x); while :; do sleep 1; done")
	short := run(t, prefix+"short", image, "sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
	labelled := run(t, prefix+"labelled", "--label=project=checkout", "--label=com.docker.compose.project=shop", "--label=com.docker.compose.service=api", image, "sleep", "600")
	started := time.Now()
	oom := run(t, prefix+"oom", "--memory=16m", "--memory-swap=16m", image, "sh", "-c", "sleep 2; tail /dev/zero")

	t.Run("every container's series carry the right labels", func(t *testing.T) {
		for _, want := range []map[string]string{
			{"name": busy.name, "container": busy.name, "workload": busy.name, "project": "unassigned", "image": image},
			{"name": hog.name, "container": hog.name, "workload": hog.name, "project": "unassigned", "image": image},
			{"name": short.name, "container": short.name, "workload": short.name, "project": "unassigned", "image": image},
			{"name": labelled.name, "container": labelled.name, "workload": "api", "namespace": "shop", "project": "checkout", "image": image},
			{"name": oom.name, "container": oom.name, "workload": oom.name, "project": "unassigned", "image": image},
		} {
			want["idc"], want["cluster"], want["node"] = idc, cluster, node
			for _, metric := range []string{"container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "container_start_time_seconds"} {
				eventually(t, 30*time.Second, metric+" of "+want["name"], func() error {
					s, err := one(collector.url, fmt.Sprintf(`last_over_time(%s{name="%s"}[2m])`, metric, want["name"]))
					if err != nil {
						return err
					}
					for k, v := range want {
						if s.Metric[k] != v {
							t.Fatalf("%s: %s=%q, want %q in %v", metric, k, s.Metric[k], v, s.Metric)
						}
					}
					return nil
				})
			}
		}
		s, err := one(collector.url, fmt.Sprintf(`container_memory_usage_bytes{id="/",node="%s"}`, node))
		if err != nil || s.Metric["container"] != "" {
			t.Errorf("the node's own series: %v %v", s, err)
		}
	})

	t.Run("an OOM kill reaches the webhook", func(t *testing.T) {
		eventually(t, 60*time.Second, "ContainerOOMKilled fires", func() error {
			n, err := hook.find("ContainerOOMKilled", "firing", map[string]string{"container": oom.name, "idc": idc, "cluster": cluster, "project": "unassigned"})
			if err == nil {
				t.Logf("%.1f s from docker run (the kill comes 2 s after it) to the webhook: %s", n.received.Sub(started).Seconds(), n.Annotations["summary"])
			}
			return err
		})
	})

	t.Run("CPU and memory are what the kernel's files say", func(t *testing.T) {
		accuracy(t, collector.url, busy, hog)
	})

	t.Run("a removed container's series end within one interval", func(t *testing.T) {
		expr := fmt.Sprintf(`container_memory_working_set_bytes{name="%s"}`, labelled.name)
		if len(mustQuery(t, collector.url, expr)) != 1 {
			t.Fatal("the container has no series before it is removed")
		}
		eventually(t, 30*time.Second, "the alert on the container fires", func() error {
			_, err := hook.find("CheckoutRuns", "firing", map[string]string{"project": "checkout", "container": labelled.name})
			return err
		})
		docker(t, "rm", "-f", labelled.name)
		took := eventually(t, interval, "the series end", func() error {
			if left := mustQuery(t, collector.url, expr); len(left) > 0 {
				return fmt.Errorf("still %d series", len(left))
			}
			return nil
		})
		t.Logf("ended %.1f s after docker rm", took.Seconds())
	})

	t.Run("Grafana has the folder and the dashboards and a second publish changes nothing", func(t *testing.T) {
		var before map[string]int
		eventually(t, 60*time.Second, "dashboards are in Grafana", func() error {
			if before = published(t, grafana); len(before) < 2 {
				return fmt.Errorf("folder Plimsoll has %v", before)
			}
			return nil
		})
		rounds := func() float64 {
			s, err := one(collector.url, `plimsoll_collector_grafana_publish_success_total{target="datasource"}`)
			if err != nil {
				return 0
			}
			return s.Value.value
		}
		first := rounds()
		eventually(t, 60*time.Second, "two more rounds of publishing", func() error {
			if now := rounds(); now < first+2 {
				return fmt.Errorf("%v rounds, then %v", first, now)
			}
			return nil
		})
		if after := published(t, grafana); !maps.Equal(before, after) {
			t.Fatalf("dashboard versions %v became %v", before, after)
		}
		t.Logf("dashboards and their versions: %v", before)
	})

	t.Run("every panel's query returns data through Grafana", func(t *testing.T) {
		boards, err := dashboards.Load(dashboards.FS())
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, board := range boards {
			eventually(t, 60*time.Second, board.Title, func() error {
				queries, err := board.Queries(t.Context(), instant(collector.url))
				if err != nil {
					return err
				}
				var missing []string
				for _, a := range grafana.Ask(t, "plimsoll", queries) {
					if a.Values == 0 {
						missing = append(missing, fmt.Sprintf("%s %s: %s %s", a.Panel, a.RefID, a.Expr, a.Error))
					}
				}
				if len(missing) == 0 {
					total += len(queries)
				} else {
					return fmt.Errorf("no data for %d of %d queries: %s", len(missing), len(queries), strings.Join(missing, "; "))
				}
				return nil
			})
		}
		t.Logf("%d queries of %d dashboards", total, len(boards))
	})

	t.Run("the alert is resolved when its cause is gone", func(t *testing.T) {
		eventually(t, 30*time.Second, "resolved", func() error {
			_, err := hook.find("CheckoutRuns", "resolved", map[string]string{"project": "checkout", "container": labelled.name})
			return err
		})
	})

	t.Run("both programs stop cleanly", func(t *testing.T) {
		t.Logf("RSS: agent %d MiB, collector %d MiB", agent.rssBytes(t)>>20, collector.rssBytes(t)>>20)
		for _, p := range []*program{agent, collector} {
			took, code := p.stop()
			t.Logf("%s stopped in %.1f s", p.name, took.Seconds())
			if code != 0 {
				t.Errorf("%s: exit code %d", p.name, code)
			}
		}
	})
}

// recordedAtOnce is the pattern of copies of the recording rules that are evaluated every second: panels need not wait for minutes.
func recordedAtOnce(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, file := range paneltest.Recording(t) {
		if err := os.WriteFile(filepath.Join(dir, name), file.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "*.yaml")
}

// published maps the dashboards of Grafana's folder Plimsoll to their versions.
func published(t *testing.T, g *grafanatest.Server) map[string]int {
	t.Helper()
	var hits []struct{ UID, FolderTitle string }
	g.Do(t, "GET", "/api/search?type=dash-db", nil, &hits)
	versions := map[string]int{}
	for _, hit := range hits {
		if hit.FolderTitle != "Plimsoll" {
			continue
		}
		var board struct{ Dashboard struct{ Version int } }
		g.Do(t, "GET", "/api/dashboards/uid/"+hit.UID, nil, &board)
		versions[hit.UID] = board.Dashboard.Version
	}
	return versions
}

// accuracy compares what was stored with the kernel's files at the same moments.
func accuracy(t *testing.T, collectorURL string, busy, hog container) {
	usageFile := busy.kernelFile(t, "cpuacct.usage", "cpu.stat")
	memoryFile := hog.kernelFile(t, "memory.usage_in_bytes", "memory.current")
	stopCPU := watch(func() float64 { return cpuSeconds(t, usageFile) })
	stopMemory := watch(func() float64 { return memoryStat(t, memoryFile, "") })
	began := time.Now()
	time.Sleep(4*interval + time.Second)
	cpu, memory := stopCPU(), stopMemory()
	window := fmt.Sprintf("%ds", int(time.Since(began).Seconds()))

	var stored []point
	eventually(t, 20*time.Second, "stored CPU samples", func() error {
		s, err := queryAt(collectorURL, fmt.Sprintf(`container_cpu_usage_seconds_total{name="%s"}[%s]`, busy.name, window), cpu[len(cpu)-1].at)
		if err == nil && (len(s) != 1 || len(s[0].Values) < 4) {
			err = fmt.Errorf("got %v", s)
		}
		if err == nil {
			stored = s[0].Values
		}
		return err
	})
	first, last := stored[0], stored[len(stored)-1]
	seconds := last.at.Sub(first.at).Seconds()
	got, want := (last.value-first.value)/seconds, (at(t, cpu, last.at)-at(t, cpu, first.at))/seconds
	t.Logf("CPU: stored %.4f cores, kernel %.4f cores over %.1f s (%+.2f %%)", got, want, seconds, 100*(got/want-1))
	if math.Abs(got/want-1) > 0.05 {
		t.Errorf("CPU rate is off by more than 5 %%: %v against %v cores", got, want)
	}
	if want < 0.05 || want > 0.6 { // a loaded machine gives less than the limit
		t.Errorf("a busy container with --cpus 0.5 used %v cores: the comparison says nothing", want)
	}

	s, err := queryAt(collectorURL, fmt.Sprintf(`container_memory_usage_bytes{name="%s"}[%s]`, hog.name, window), memory[len(memory)-1].at)
	if err != nil || len(s) != 1 {
		t.Fatalf("memory samples: %v %v", s, err)
	}
	for _, p := range s[0].Values {
		if kernel := at(t, memory, p.at); math.Abs(p.value/kernel-1) > 0.02 || kernel < 30e6 {
			t.Errorf("memory at %s: stored %.0f, kernel %.0f bytes", p.at.Format("15:04:05.000"), p.value, kernel)
		}
	}
	t.Logf("memory: %d samples within 2 %% of the kernel's file (%.1f MiB)", len(s[0].Values), s[0].Values[0].value/(1<<20))
}

// checkoutRule is an operator's own rule: it fires while a container of project checkout runs.
func checkoutRule(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.yaml")
	text := `groups:
- name: checkout
  interval: 2s
  rules:
  - alert: CheckoutRuns
    expr: container_threads{project="checkout"} > 0
    labels: {severity: info}
    annotations: {summary: "{{ $labels.container }} runs"}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func alertmanagerConfig(t *testing.T, hookURL string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "alertmanager.yml")
	text := strings.ReplaceAll(`route:
  receiver: hook
  group_by: [alertname, container]
  group_wait: 0s
  group_interval: 1s
receivers:
- name: hook
  webhook_configs:
  - url: URL
    send_resolved: true
`, "URL", hookURL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
