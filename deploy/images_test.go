package deploy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// images builds both images under names of this test process and removes them after the test.
func images(t *testing.T) (agent, collector string) {
	t.Helper()
	prefix, tag := "plimsoll-deploy-test/", fmt.Sprint(os.Getpid())
	makeTarget(t, "images", "IMAGE_PREFIX="+prefix, "IMAGE_TAG="+tag)
	agent, collector = prefix+"plimsoll-agent:"+tag, prefix+"plimsoll-collector:"+tag
	t.Cleanup(func() { output(t, nil, "docker", "rmi", agent, collector) })
	return agent, collector
}

// container starts a container and removes it with its volumes after the test; its log is shown when the test fails.
func container(t *testing.T, name string, args ...string) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, output(t, nil, "docker", "logs", "--tail", "40", name))
		}
		output(t, nil, "docker", "rm", "--force", "--volumes", name)
	})
	output(t, nil, "docker", append([]string{"run", "--detach", "--name", name}, args...)...)
}

// hardened is how Dockerfile.agent and Dockerfile.collector say their images run.
func hardened() []string {
	return []string{"--read-only", "--security-opt", "no-new-privileges", "--cap-drop", "ALL"}
}

// hostView is what the agent's container gets of the host, as Dockerfile.agent says.
func hostView() []string {
	return []string{"--network", "host", "--pid", "host",
		"--volume", "/proc:/host/proc:ro", "--volume", "/sys:/host/sys:ro", "--volume", "/sys/fs/cgroup:/host/sys/fs/cgroup:ro",
		"--volume", "/var/run/docker.sock:/var/run/docker.sock"}
}

func TestTheAgentImageShipsIntoTheCollectorImage(t *testing.T) {
	needDocker(t)
	agentImage, collectorImage := images(t)
	folder := secrets(t)
	viewer := read(t, filepath.Join(folder, "viewer-token"))
	suffix := fmt.Sprint(os.Getpid())
	port, agentPort := freePort(t), freePort(t)
	collector := "http://127.0.0.1:" + port

	collectorName := "plimsoll-deploy-test-collector-" + suffix
	container(t, collectorName, slices.Concat(hardened(), []string{
		"--publish", "127.0.0.1:" + port + ":9750", "--volume", folder + "/tokens.yaml:/etc/plimsoll/tokens.yaml:ro", collectorImage})...)
	eventually(t, time.Minute, "the collector's container is ready", func() error { _, err := ask(collector+"/-/ready", ""); return err })
	if _, err := ask(collector+"/api/v1/query?query=up", ""); err == nil || !strings.Contains(err.Error(), " 401 ") {
		t.Errorf("a query without a token: got %v, want 401", err)
	}

	agentName := "plimsoll-deploy-test-agent-" + suffix
	container(t, agentName, slices.Concat(hardened(), hostView(), []string{
		"--volume", folder + "/token:/etc/plimsoll/token:ro", agentImage,
		"--remote-write.url=" + collector + "/api/v1/write", "--remote-write.token-file=/etc/plimsoll/token", "--listen=127.0.0.1:" + agentPort, "--interval=5s"})...)
	eventually(t, time.Minute, "the agent's container is ready", func() error { _, err := ask("http://127.0.0.1:"+agentPort+"/-/ready", ""); return err })

	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, expression := range []string{
		`machine_memory_bytes{node="` + host + `"}`,
		`container_cpu_usage_seconds_total{id="/",node="` + host + `"}`,
		`container_memory_working_set_bytes{container="` + collectorName + `"}`,
		`container_network_receive_bytes_total{container="` + collectorName + `"}`,
		`plimsoll_agent_source_up{source="docker"} == 1`,
	} {
		eventually(t, time.Minute, expression, func() error { return has(collector, viewer, expression) })
	}

	for _, name := range []string{agentName, collectorName} {
		began := time.Now()
		output(t, nil, "docker", "stop", "--time", "30", name)
		if code := output(t, nil, "docker", "inspect", "--format", "{{.State.ExitCode}}", name); code != "0" {
			t.Errorf("%s stopped with %s, want 0", name, code)
		}
		t.Logf("%s stopped after %.1f s", name, time.Since(began).Seconds())
	}
}

// Mounts and capabilities are right when the agent sees from its container what it sees as root of the host.
func TestTheAgentSeesTheSameFromItsContainerAsFromTheHost(t *testing.T) {
	needDocker(t)
	need(t, os.Geteuid() == 0, "not root, so the agent on the host sees less than in its container")
	output(t, nil, "docker", "image", "inspect", "plimsoll-bb:test")
	agentImage, _ := images(t)
	name := fmt.Sprintf("plimsoll-deploy-test-seen-%d", os.Getpid())
	// Another user's process: that is where a missing capability would show.
	container(t, name, "--user", "1234:1234", "plimsoll-bb:test", "sleep", "600")
	time.Sleep(time.Second)

	onHost := output(t, nil, "../bin/plimsoll-agent", "once", "--data-dir="+t.TempDir())
	inContainer := output(t, nil, "docker", slices.Concat([]string{"run", "--rm"}, hardened(), hostView(), []string{agentImage, "once"})...)
	want, got := names(onHost, name), names(inContainer, name)
	if len(want) < 20 {
		t.Fatalf("on the host the agent sees only %q of the container:\n%s", want, onHost)
	}
	if !slices.Equal(got, want) {
		t.Errorf("in its container the agent sees %d metrics of another container:\n%q\non the host %d:\n%q", len(got), got, len(want), want)
	}
	t.Logf("%d metrics from both sides", len(want))
}

// names are the metric names of the series of a container, sorted.
func names(text, container string) []string {
	line := regexp.MustCompile(`(?m)^(\w+)\{[^\n]*container="` + container + `"`)
	var found []string
	for _, m := range line.FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	slices.Sort(found)
	return slices.Compact(found)
}
