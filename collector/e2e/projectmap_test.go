package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestANewProjectMapOnTheCollectorCorrectsWhatRuns: the map changes on the collector while agent and containers run.
func TestANewProjectMapOnTheCollectorCorrectsWhatRuns(t *testing.T) {
	requireDocker(t)
	require(t, os.Geteuid() == 0, "needs root: the agent reads every container's network counters")
	const every = time.Second
	name := fmt.Sprintf("e2e-map-%06x", rand.N(1<<24))
	mapFile := filepath.Join(t.TempDir(), "project-map.yaml")
	write := func(text string) {
		if err := os.WriteFile(mapFile, []byte(strings.ReplaceAll(text, "NAME", name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("rules: [{match: {name: NAME}, project: before}]\n")
	agentBinary, collectorBinary := buildPrograms(t)
	address, agentAddress := freePort(t), freePort(t)
	collector := start(t, "collector", "http://"+address, collectorBinary, "--listen="+address, "--data-dir="+t.TempDir(), "--project-map="+mapFile)
	collector.waitReady(t)
	run(t, name, image, "sleep", "600")
	dataDir := t.TempDir()
	agent := start(t, "agent", "http://"+agentAddress, agentBinary, "--listen="+agentAddress, "--data-dir="+dataDir, "--remote-write.url="+collector.url+"/api/v1/write",
		"--interval="+every.String(), "--peak-interval="+every.String(), "--project-map.interval="+every.String(), "--idc="+idc, "--cluster="+cluster, "--node="+node)
	agent.waitReady(t)

	// projects are the projects the container has series of in the engine now.
	projects := func(metric string) string {
		var all []string
		for _, s := range mustQuery(t, collector.url, fmt.Sprintf(`sum by (project, team) (%s{container="%s"})`, metric, name)) {
			all = append(all, s.Metric["project"]+"/"+s.Metric["team"])
		}
		return strings.Join(all, " ")
	}
	metrics := []string{"container_memory_usage_bytes", "container_restarts_total"}
	reaches := func(want string) {
		t.Helper()
		began := time.Now()
		for _, metric := range metrics {
			eventually(t, 20*time.Second, metric+" of project "+want, func() error {
				got := projects(metric)
				if strings.Contains(got, " ") && strings.Contains(got, want) && time.Since(began) > 10*every {
					return fmt.Errorf("two sets of series: %s", got)
				}
				if got != want {
					return fmt.Errorf("project is %q", got)
				}
				return nil
			})
		}
		t.Logf("project %s after %.1f s", want, time.Since(began).Seconds())
	}
	reload := func() (int, string) {
		resp, err := http.Post(collector.url+"/-/reload", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text := make([]byte, 1000)
		n, _ := resp.Body.Read(text)
		return resp.StatusCode, string(text[:n])
	}
	reaches("before/")

	write("rules: [{match: {name: NAME}, project: after, team: mine}]\n")
	if code, text := reload(); code != http.StatusOK {
		t.Fatalf("reload: %d %s", code, text)
	}
	reaches("after/mine")

	write("rules:\n- {match: {name: NAME}, projekt: typo}\n")
	if code, text := reload(); code != http.StatusInternalServerError || !strings.Contains(text, mapFile+":2: ") {
		t.Errorf("a broken map: %d %s", code, text)
	}
	time.Sleep(2 * every) // the agent looks again and finds the good one
	reaches("after/mine")
	if copied, err := os.ReadFile(filepath.Join(dataDir, "project-map.yaml")); err != nil || !strings.Contains(string(copied), "project: after") {
		t.Errorf("the agent's copy: %s %v", copied, err)
	}
	s, err := one(collector.url, fmt.Sprintf(`sum(count_over_time(container_memory_usage_bytes{container="%s",project="before"}[5m]))`, name))
	if err != nil || s.Value.value == 0 {
		t.Errorf("what was written under the old project is gone: %v %v", s, err)
	}
}
