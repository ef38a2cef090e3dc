package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func units() []string { return []string{"plimsoll-agent.service", "plimsoll-collector.service"} }

func TestTheUnitsAreWellFormedAndHardened(t *testing.T) {
	needProgram(t, "systemd-analyze")
	makeTarget(t, "build")
	bin, err := filepath.Abs("../bin")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, unit := range units() {
		// verify asks for the program, which is not installed here.
		write(t, filepath.Join(folder, unit), strings.ReplaceAll(read(t, "systemd/"+unit), "/usr/local/bin", bin))
		if said := output(t, nil, "systemd-analyze", "verify", filepath.Join(folder, unit)); said != "" {
			t.Errorf("%s: %s", unit, said)
		}
	}
	// systemd's own figure, times ten: 0 is sealed, 100 an ordinary daemon of root. The agent is root on the host's network.
	for unit, most := range map[string]string{"plimsoll-agent.service": "21", "plimsoll-collector.service": "16"} {
		output(t, nil, "systemd-analyze", "security", "--offline=true", "--threshold="+most, filepath.Join(folder, unit))
	}
}

// A container with systemd as its first process is the machine: the units start there as on any host, sandbox and all.
func TestTheUnitsStartUnderSystemd(t *testing.T) {
	needDocker(t)
	for _, program := range []string{"systemctl", "ldd", "busybox"} {
		needProgram(t, program)
	}
	need(t, os.Geteuid() == 0, "not root")
	makeTarget(t, "build")
	machine := machineWithSystemd(t)
	port, agentPort := freePort(t), freePort(t)
	container(t, machine, "--network", "host", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--security-opt", "systempaths=unconfined",
		"--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--cap-add", "SYS_PTRACE", "--cap-add", "DAC_READ_SEARCH",
		"--tmpfs", "/run", "--tmpfs", "/tmp", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup", "--volume", "/var/run/docker.sock:/etc/plimsoll/docker.sock",
		"--env", "container=docker", machine, "/lib/systemd/systemd", "--log-target=console", "--show-status=false")
	inside := func(args ...string) string {
		return output(t, nil, "docker", append([]string{"exec", machine}, args...)...)
	}
	eventually(t, 20*time.Second, "systemd is up", func() error {
		return exec.Command("docker", "exec", machine, "systemctl", "is-active", "multi-user.target").Run()
	})
	inside("sh", "-c", "echo PLIMSOLL_COLLECTOR_LISTEN=127.0.0.1:"+port+" > /etc/plimsoll/collector.env")
	inside("sh", "-c", "echo PLIMSOLL_AGENT_LISTEN=127.0.0.1:"+agentPort+" > /etc/plimsoll/agent.env")
	inside("sh", "-c", "echo PLIMSOLL_AGENT_REMOTE_WRITE_URL=http://127.0.0.1:"+port+"/api/v1/write >> /etc/plimsoll/agent.env")
	inside("sh", "-c", "echo PLIMSOLL_AGENT_DOCKER_HOST=unix:///etc/plimsoll/docker.sock >> /etc/plimsoll/agent.env")
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(inside("sh", "-c", "systemctl status plimsoll-*; cat /var/log/plimsoll.log"))
		}
	})
	inside("systemctl", "start", units()[0], units()[1])

	eventually(t, time.Minute, "the collector is ready", func() error { _, err := ask("http://127.0.0.1:"+port+"/-/ready", ""); return err })
	eventually(t, time.Minute, "the agent is ready", func() error { _, err := ask("http://127.0.0.1:"+agentPort+"/-/ready", ""); return err })
	for _, expression := range []string{`container_memory_working_set_bytes{container="` + machine + `"}`, `machine_memory_bytes`, `plimsoll_agent_source_up{source="docker"} == 1`} {
		eventually(t, time.Minute, expression, func() error { return has("http://127.0.0.1:"+port, "", expression) })
	}
	for _, unit := range units() {
		pid := property(inside("systemctl", "show", "--property=MainPID", unit))
		status := inside("cat", "/proc/"+pid+"/status")
		for _, want := range []string{`NoNewPrivs:\s*1`, `Seccomp:\s*2`, `CapEff:\s*0{16}`} {
			if !regexp.MustCompile(want).MatchString(status) {
				t.Errorf("%s runs without %s:\n%s", unit, want, status)
			}
		}
		if strings.HasPrefix(unit, "plimsoll-collector") && regexp.MustCompile(`Uid:\s*0`).MatchString(status) {
			t.Error("the collector runs as root")
		}
		inside("systemctl", "stop", unit)
		if how := property(inside("systemctl", "show", "--property=Result", unit)); how != "success" {
			t.Errorf("%s stopped with %s", unit, how)
		}
		if code := property(inside("systemctl", "show", "--property=ExecMainStatus", unit)); code != "0" {
			t.Errorf("%s exited with %s", unit, code)
		}
	}
}

// property is the value of NAME=VALUE.
func property(line string) string {
	_, value, _ := strings.Cut(line, "=")
	return value
}

// machineWithSystemd makes an image with this host's systemd, our two programs and units, and removes it after the test.
func machineWithSystemd(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("plimsoll-deploy-test-systemd-%d", os.Getpid())
	root := t.TempDir()
	output(t, nil, "testdata/systemd-root.sh", root)
	for _, unit := range units() {
		write(t, filepath.Join(root, "etc/systemd/system", unit), read(t, "systemd/"+unit))
		// There is no journal in this machine.
		dropIn := filepath.Join(root, "etc/systemd/system", unit+".d")
		if err := os.Mkdir(dropIn, 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dropIn, "log.conf"), "[Service]\nStandardOutput=append:/var/log/plimsoll.log\n")
		output(t, nil, "cp", "../bin/"+strings.TrimSuffix(unit, ".service"), filepath.Join(root, "usr/local/bin"))
	}
	output(t, nil, "sh", "-c", "tar -C "+root+" -c . | docker import - "+name)
	t.Cleanup(func() { output(t, nil, "docker", "rmi", name) })
	return name
}
