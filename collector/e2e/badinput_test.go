package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// refused runs a program that must not start and returns its exit code and what it said.
func refused(t *testing.T, binary string, args ...string) (code int, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, args...).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("%s %v: %v\n%s", filepath.Base(binary), args, err, out)
	}
	return exit.ExitCode(), string(out)
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWrongConfigurationIsExitCodeTwoAndOneErrorThatNamesIt(t *testing.T) {
	agent, collector := buildPrograms(t)
	f := func(name, binary string, args []string, want ...string) {
		t.Run(name, func(t *testing.T) {
			code, said := refused(t, binary, append(args, "--data-dir="+t.TempDir())...)
			if code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			for _, w := range want {
				if !strings.Contains(said, w) {
					t.Errorf("does not say %q:\n%s", w, said)
				}
			}
			if lines := strings.Count(strings.TrimSpace(said), "\n") + 1; lines > 4 {
				t.Errorf("%d lines for one fault:\n%s", lines, said)
			}
		})
	}
	f("agent: unknown flag", agent, []string{"--intervall=5s"}, "--intervall", "--interval")
	f("agent: interval that does not fit", agent, []string{"--interval=15s", "--peak-interval=2s", "--listen="}, "--interval", "--peak-interval")
	f("agent: receiver that is no URL", agent, []string{"--remote-write.url=collector:9750", "--listen="}, "--remote-write.url")
	f("agent: token file that is not there", agent, []string{"--remote-write.token-file=/nowhere/token", "--listen="}, "/nowhere/token")
	f("agent: no cgroup tree", agent, []string{"--root.cgroup=" + t.TempDir(), "--listen="}, "--root.cgroup", "cgroup")
	f("agent: listener open to everybody", agent, []string{"--listen=0.0.0.0:0"}, "--listen", "--auth.anonymous")
	f("agent: broken configuration file", agent, []string{"--config=" + file(t, "agent.yaml", "interval: 15s\nspool.max-bytes: plenty\n")}, "agent.yaml:2", "spool.max-bytes", "plenty")
	f("collector: unknown flag", collector, []string{"--retenton=1d"}, "--retenton", "--retention")
	f("collector: broken rule file", collector, []string{"--listen=127.0.0.1:0", "--rules=" + file(t, "mine.yaml", "groups:\n- name: a\n  rules:\n  - alert: B\n    expr: 'sum(('\n")}, "mine.yaml:5")
	f("collector: broken alertmanager.yml", collector, []string{"--listen=127.0.0.1:0", "--alertmanager.config=" + file(t, "am.yml", "route:\n  receiver: nobody\nreceivers:\n- name: somebody\n")}, "am.yml:", "nobody")
	f("collector: broken template", collector, []string{"--listen=127.0.0.1:0", "--alertmanager.config=" + file(t, "am.yml", "route: {receiver: a}\nreceivers: [{name: a}]\ntemplates:\n- "+file(t, "page.tmpl", "{{ define \"x\" }}\n{{ .Foo\n{{ end }}\n")+"\n")}, "am.yml:3", "page.tmpl:3")
	f("collector: secret that is not there", collector, []string{"--listen=127.0.0.1:0", "--alertmanager.config=" + file(t, "am.yml", "route: {receiver: a}\nreceivers:\n- name: a\n  pagerduty_configs:\n  - routing_key_file: /nowhere/key\n")}, "am.yml:5", "/nowhere/key")
	f("collector: secret of a robot that is not there", collector, []string{"--listen=127.0.0.1:0", "--oncall=" + file(t, "oncall.yaml", "receivers:\n  team:\n    dingtalk: {url_file: /nowhere/url}\nfallback: {critical: team, warning: team}\n")}, "oncall.yaml:3", "/nowhere/url")
	f("collector: route to nobody", collector, []string{"--listen=127.0.0.1:0", "--oncall=" + file(t, "oncall.yaml", "receivers:\n  team:\n    webhook: {url: http://x}\nfallback: {critical: team, warning: taem}\n")}, "oncall.yaml:4", "taem")
	f("collector: external Alertmanager without its token", collector, []string{"--listen=127.0.0.1:0", "--alertmanager.url=http://am:9093", "--alertmanager.token-file=/nowhere/token"}, "/nowhere/token")
	f("collector: broken tokens file", collector, []string{"--listen=127.0.0.1:0", "--auth.tokens-file=" + file(t, "tokens.yaml", "tokens:\n- name: a\n  sha256: short\n  scopes: [write]\n")}, "tokens.yaml:3", "sha256")
	f("collector: listener open to everybody", collector, []string{"--listen=0.0.0.0:0"}, "--auth.tokens-file", "--auth.anonymous")
	f("collector: Grafana that is no URL", collector, []string{"--listen=127.0.0.1:0", "--grafana.url=grafana"}, "--grafana.url")
}

// TestADeadSourceDegradesAndTheRestKeepsRunning: no engine, a receiver that comes late, Grafana away; all at once.
func TestADeadSourceDegradesAndTheRestKeepsRunning(t *testing.T) {
	t.Parallel()
	agentBinary, collectorBinary := buildPrograms(t)
	collectorAddress, agentAddress := freePort(t), freePort(t)
	agent := start(t, "agent", "http://"+agentAddress, agentBinary, "--listen="+agentAddress, "--data-dir="+t.TempDir(), "--docker.host=unix:///nowhere/docker.sock",
		"--interval=1s", "--node=lonely", "--idc=i", "--cluster=c", "--remote-write.url=http://"+collectorAddress+"/api/v1/write")
	agent.waitReady(t)
	metrics, err := get(agent.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`plimsoll_agent_source_up{source="docker"} 0`, `plimsoll_agent_source_up{source="cgroup"} 1`, `container_memory_usage_bytes{cluster="c",id="/",idc="i",node="lonely"}`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if log := tail(agent.log, 100); strings.Count(log, "/nowhere/docker.sock does not exist") != 1 {
		t.Errorf("the missing socket is not named just once:\n%s", log)
	}

	collector := start(t, "collector", "http://"+collectorAddress, collectorBinary, "--listen="+collectorAddress, "--data-dir="+t.TempDir(),
		"--grafana.url=http://"+freePort(t), "--grafana.interval=1s")
	collector.waitReady(t)
	eventually(t, 45*time.Second, "what was sampled before the collector was there arrives", func() error {
		_, err := one(collector.url, `container_memory_usage_bytes{id="/",node="lonely"}`)
		return err
	})
	eventually(t, 45*time.Second, "the dead engine and the absent Grafana show as metrics", func() error {
		if _, err := one(collector.url, `plimsoll_agent_source_up{source="docker",node="lonely"} == 0`); err != nil {
			return err
		}
		own, err := get(collector.url + "/metrics")
		if err == nil && !strings.Contains(own, "plimsoll_collector_grafana_up 0") {
			err = errors.New("plimsoll_collector_grafana_up is not 0")
		}
		return err
	})
	for name, c := range map[string]struct {
		body   []byte
		header map[string]string
		status int
		says   string
	}{
		"garbage for a snappy body": {[]byte("not snappy at all"), map[string]string{"Content-Encoding": "snappy"}, 400, "snappy"},
		"garbage for a message":     {snappyLiteral([]byte{0x0a, 0xff, 0xff}), map[string]string{"Content-Encoding": "snappy"}, 400, ""},
		"an unknown encoding":       {[]byte("x"), map[string]string{"Content-Encoding": "br"}, 415, "br"},
		"a body past the limit":     {make([]byte, 33<<20), map[string]string{"Content-Encoding": "snappy"}, 413, ""},
		"a decompression bomb":      {[]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0x00}, map[string]string{"Content-Encoding": "snappy"}, 413, ""},
	} {
		status, answer := post(t, collector.url+"/api/v1/write", c.body, c.header)
		if status != c.status || !strings.Contains(answer, c.says) || strings.TrimSpace(answer) == "" {
			t.Errorf("%s: %d %q, want %d and a reason that says %q", name, status, answer, c.status, c.says)
		}
	}
	if _, err := get(collector.url + "/-/healthy"); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

// snappyLiteral is the shortest block of snappy that holds b (length below 60).
func snappyLiteral(b []byte) []byte {
	return append([]byte{byte(len(b)), byte(len(b)-1) << 2}, b...)
}

func post(t *testing.T, url string, body []byte, header map[string]string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Sprint(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}
