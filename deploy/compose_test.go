package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestTheComposeFileStartsBoth(t *testing.T) {
	needDocker(t)
	compose := []string{"docker", "compose"}
	if exec.Command("docker", "compose", "version").Run() != nil {
		compose = []string{"docker-compose"}
		_, err := exec.LookPath("docker-compose")
		need(t, err == nil, "neither docker compose nor docker-compose here")
	}
	agent, collector := images(t)
	folder, port := secrets(t), freePort(t)
	project := fmt.Sprintf("plimsoll-deploy-test-%d", os.Getpid())
	environ := []string{
		"COMPOSE_PROJECT_NAME=" + project, "PLIMSOLL_AGENT_IMAGE=" + agent, "PLIMSOLL_COLLECTOR_IMAGE=" + collector,
		"PLIMSOLL_SECRETS=" + folder, "PLIMSOLL_PORT=" + port, "PLIMSOLL_AGENT_PORT=" + freePort(t),
		"PLIMSOLL_IDC=idc-7", "PLIMSOLL_CLUSTER=compose-test",
	}
	run := func(args ...string) string {
		return output(t, environ, compose[0], append(append(compose[1:], "--file", "compose/compose.yaml"), args...)...)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(run("logs", "--tail=40"))
		}
		run("down", "--volumes")
	})
	run("up", "--detach")

	url := "http://127.0.0.1:" + port
	eventually(t, time.Minute, "the collector is ready", func() error { _, err := ask(url+"/-/ready", ""); return err })
	// Compose names the service; idc and cluster come from the environment of the agent.
	expression := `container_memory_working_set_bytes{workload="collector",namespace="` + project + `",idc="idc-7",cluster="compose-test"}`
	eventually(t, time.Minute, expression, func() error {
		return has(url, read(t, filepath.Join(folder, "viewer-token")), expression)
	})
}
