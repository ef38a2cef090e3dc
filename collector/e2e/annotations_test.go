package e2e_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/grafana/grafanatest"
)

// TestEachMomentIsAnnotatedOnce: two collectors hear one agent and tell one Grafana of a release, an OOM storm and the alerts that
// follow, while one of them is killed with SIGKILL, and then is left without its memory of what it told.
func TestEachMomentIsAnnotatedOnce(t *testing.T) {
	if os.Getenv("PLIMSOLL_SHOW") != "annotations" {
		t.Skip("takes eight minutes: make show-annotations")
	}
	requireDocker(t)
	grafana := grafanatest.Start(t)
	token := grafana.TokenFile(t, "Admin")
	agentBinary, collectorBinary := buildPrograms(t)
	rules := recordedAtOnce(t)

	collect := func(name, address, dir string) *program {
		p := start(t, name, "http://"+address, collectorBinary, "--listen="+address, "--data-dir="+dir, "--rules="+rules,
			"--grafana.url="+grafana.URL, "--grafana.token-file="+token, "--grafana.interval=30s")
		p.waitReady(t)
		return p
	}
	address, dir := freePort(t), t.TempDir()
	first, second := collect("first", address, dir), collect("second", freePort(t), t.TempDir())
	agentAddress := freePort(t)
	agent := start(t, "agent", "http://"+agentAddress, agentBinary, "--listen="+agentAddress, "--data-dir="+t.TempDir(), "--interval=5s",
		"--idc="+idc, "--cluster="+cluster, "--node="+node, "--remote-write.url="+first.url+"/api/v1/write", "--remote-write.url="+second.url+"/api/v1/write")
	agent.waitReady(t)

	project := fmt.Sprintf("annotated-%06x", rand.N(1<<24))
	label := "--label=project=" + project
	newer := project + ":2"
	docker(t, "tag", image, newer)
	t.Cleanup(func() { docker(t, "rmi", newer) })
	old := run(t, project+"-web", label, image, "sleep", "900")
	time.Sleep(90 * time.Second) // what appears within a minute was there before anybody looked
	docker(t, "rm", "-f", old.id)
	run(t, project+"-web", label, newer, "sleep", "900")
	run(t, project+"-hog", label, "--memory=16m", "--memory-swap=16m", "--restart=on-failure:8", image, "sh", "-c", "sleep 1; tail /dev/zero")

	told := func() map[string]int {
		var all []struct {
			Tags []string
			Text string
		}
		grafana.Do(t, "GET", "/api/annotations?limit=1000&tags=project:"+project, nil, &all)
		counts := map[string]int{}
		for _, a := range all {
			kind := a.Tags[slices.IndexFunc(a.Tags, func(tag string) bool { return slices.Contains([]string{"release", "oom-storm", "alert"}, tag) })]
			counts[kind+" "+a.Text]++
		}
		return counts
	}
	whole := func() error {
		counts := told()
		for _, kind := range []string{"release", "oom-storm", "alert ContainerOOM"} {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(counts)), func(text string) bool { return strings.HasPrefix(text, kind) }) {
				return fmt.Errorf("no %s among %v", kind, counts)
			}
		}
		return nil
	}
	t.Logf("told after %s", eventually(t, 5*time.Minute, "a release, a storm and an alert in Grafana", whole))

	first.cmd.Process.Kill()
	<-first.done
	first = collect("first", address, dir)
	time.Sleep(130 * time.Second)
	first.cmd.Process.Kill()
	<-first.done
	if err := os.Remove(dir + "/grafana-annotations.json"); err != nil {
		t.Fatal(err)
	}
	collect("first", address, dir)
	time.Sleep(130 * time.Second)
	for text, n := range told() {
		t.Logf("%d x %s", n, text)
		if n != 1 {
			t.Errorf("%d annotations: %s", n, text)
		}
	}
}
