package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// TestBadLabelsAreMendedAndCounted runs containers whose labels are wrong in every way the engine lets through, and breaks the agent's map.
func TestBadLabelsAreMendedAndCounted(t *testing.T) {
	requireDocker(t)
	require(t, os.Geteuid() == 0, "needs root: the agent reads every container's network counters")
	agentBinary, collectorBinary := buildPrograms(t)
	prefix := fmt.Sprintf("e2e-labels-%06x", rand.N(1<<24))
	mapFile := filepath.Join(t.TempDir(), "project-map.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(mapFile, []byte(strings.ReplaceAll(text, "PREFIX", prefix)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("rules: [{match: {label.PREFIX: '*'}, project: $1}]\npass_labels: [{label: PREFIX.extra, as: extra}]\n")
	address, agentAddress := freePort(t), freePort(t)
	collector := start(t, "collector", "http://"+address, collectorBinary, "--listen="+address, "--data-dir="+t.TempDir(), "--rules.builtin=false")
	collector.waitReady(t)
	flags := []string{"--listen=" + agentAddress, "--data-dir=" + t.TempDir(), "--remote-write.url=" + collector.url + "/api/v1/write", "--interval=1s", "--project-map=" + mapFile, "--project-map.interval=250ms",
		"--idc=" + idc, "--cluster=" + cluster, "--node=" + node, "--kubernetes=off"}
	agent := start(t, "agent", "http://"+agentAddress, agentBinary, flags...)
	agent.waitReady(t)
	before := agentFigures(t, agent)

	long := strings.Repeat("長い名前", 850) // 3,400 characters, 10 KB
	for name, labels := range map[string][]string{
		"-twice": {"io.kubernetes.pod.namespace=" + prefix, "io.kubernetes.pod.name=api-7d4b9c6f58-x2x5z", "io.kubernetes.container.name=c", "com.docker.swarm.service.name=other", "com.docker.swarm.task.name=other.1.x"},
		"-empty": {"com.docker.compose.project=" + prefix, "com.docker.compose.service=", "com.docker.swarm.service.name=", "io.kubernetes.pod.name=", prefix + "="},
		"-blank": {"com.docker.compose.project=" + prefix, "com.docker.compose.service=  \t "},
		"-long":  {prefix + "=" + long, prefix + ".extra=" + long},
		"-bytes": {prefix + "=a\x01b\nc\xffd"},
	} {
		args := []string{}
		for _, l := range labels {
			args = append(args, "--label="+l)
		}
		run(t, prefix+name, append(args, image, "sleep", "600")...)
	}
	series := func(name string) (map[string]string, error) {
		s, err := one(collector.url, fmt.Sprintf("container_memory_usage_bytes{name=%q}", prefix+name))
		return s.Metric, err
	}
	for name, want := range map[string]map[string]string{
		"-twice": {"namespace": prefix, "workload": "api", "pod": "api-7d4b9c6f58-x2x5z", "container": "c"}, // Kubernetes goes first
		"-empty": {"namespace": prefix, "workload": prefix + "-empty", "container": prefix + "-empty", "project": prefix},
		"-blank": {"namespace": prefix, "workload": prefix + "-blank", "container": prefix + "-blank", "project": prefix},
		"-long":  {"workload": prefix + "-long"},
		"-bytes": {"project": "a\uFFFDb\uFFFDc\uFFFDd"},
	} {
		eventually(t, 20*time.Second, prefix+name+" is shown right", func() error {
			labels, err := series(name)
			if err != nil {
				return err
			}
			for label, value := range want {
				if labels[label] != value {
					return fmt.Errorf("%s is %q, want %q: %v", label, labels[label], value, labels)
				}
			}
			return nil
		})
	}
	labels, err := series("-long")
	if err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{"project", "extra"} {
		if v := labels[label]; utf8.RuneCountInString(v) > 200 || !strings.HasPrefix(v, "長い名前") || !strings.Contains(v, "~") {
			t.Errorf("%s of 10 KB became %d characters: %q", label, utf8.RuneCountInString(v), v)
		}
	}
	after := agentFigures(t, agent)
	for metric, least := range map[string]float64{
		"plimsoll_agent_label_values_truncated_total": 2, "plimsoll_agent_label_values_sanitised_total": 1, "plimsoll_agent_containers_contradictory": 1,
	} {
		if grown := after[metric] - before[metric]; grown < least {
			t.Errorf("%s grew by %g, want at least %g", metric, grown, least)
		}
	}

	write("rules:\n- match: {label.PREFIX: '*'}\n  projekt: typo\n")
	eventually(t, 10*time.Second, "the agent says that the map is broken", func() error {
		if figures := agentFigures(t, agent); figures["plimsoll_agent_project_map_valid"] != 0 {
			return fmt.Errorf("it is valid")
		}
		return nil
	})
	if text := tail(agent.log, 1000); !strings.Contains(text, mapFile+":3: ") {
		t.Errorf("the agent's log does not name file and line:\n%s", tail(agent.log, 10))
	}
	if labels, err := series("-bytes"); err != nil || labels["project"] != "a\uFFFDb\uFFFDc\uFFFDd" {
		t.Errorf("under a broken map: %v %v", labels, err)
	}
	for _, command := range [][]string{{"doctor"}, {"project-map", "test"}} {
		if out, code := output(t, agentBinary, append(command, flags...)...); code == exitFine || !strings.Contains(out, mapFile+":3: ") {
			t.Errorf("%v ends with %d, without file and line:\n%s", command, code, out)
		}
	}
}

// agentFigures are the agent's own metrics without labels.
func agentFigures(t *testing.T, agent *program) map[string]float64 {
	t.Helper()
	text, err := get(agent.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	figures := map[string]float64{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.HasPrefix(name, "plimsoll_agent_") && !strings.Contains(name, "{") {
			figures[name] = number(t, value)
		}
	}
	return figures
}
