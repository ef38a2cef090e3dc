package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// What people write on cAdvisor's metrics: OOM kills by the counter, crashes, which it has no metric for, by a container that
// was not seen for a minute. That minute is the rule's own.
const usualRules = `groups:
- name: usual
  rules:
  - alert: ContainerOOMKilled
    expr: increase(container_oom_events_total{name=~"latency-.*"}[5m]) > 0
  - alert: ContainerCrashed
    expr: time() - container_last_seen{name=~"latency-.*-crash-.*"} > 60
`

// usualStack starts cAdvisor's code, Prometheus and Alertmanager as Debian has them, at 15 s, grouped
// by container and otherwise with their defaults, sending to a webhook. It returns nil with a word in the log when one of them is not here.
func usualStack(t *testing.T) *webhook {
	t.Helper()
	cadvisor := filepath.Join(os.Getenv("HOME"), ".cache/plimsoll/cadvisor-v0.60.6/cadvisor")
	if _, err := os.Stat(cadvisor); err != nil {
		t.Logf("no comparison with the usual stack: no cAdvisor (%v)", err)
		return nil
	}
	for _, name := range []string{"prometheus", "prometheus-alertmanager"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Logf("no comparison with the usual stack: no %s (apt prometheus prometheus-alertmanager)", name)
			return nil
		}
	}
	hook, dir := newWebhook(t), t.TempDir()
	addresses := map[string]string{}
	for _, name := range []string{"cadvisor", "prometheus", "alertmanager"} {
		addresses[name] = freePort(t)
	}
	for name, text := range map[string]string{
		"rules.yml": usualRules,
		"prometheus.yml": fmt.Sprintf("global: {scrape_interval: 15s, evaluation_interval: 15s}\nrule_files: [rules.yml]\nalerting: {alertmanagers: [{static_configs: [{targets: [%q]}]}]}\nscrape_configs: [{job_name: cadvisor, static_configs: [{targets: [%q]}]}]\n",
			addresses["alertmanager"], addresses["cadvisor"]),
		"alertmanager.yml": fmt.Sprintf("route: {receiver: hook, group_by: [alertname, name]}\nreceivers: [{name: hook, webhook_configs: [{url: %q}]}]\n", hook.URL),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start(t, "cadvisor", "http://"+addresses["cadvisor"], cadvisor, "--listen="+addresses["cadvisor"])
	start(t, "alertmanager", "http://"+addresses["alertmanager"], "prometheus-alertmanager", "--config.file="+filepath.Join(dir, "alertmanager.yml"),
		"--storage.path="+filepath.Join(dir, "am"), "--web.listen-address="+addresses["alertmanager"], "--cluster.listen-address=")
	start(t, "prometheus", "http://"+addresses["prometheus"], "prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addresses["prometheus"])
	eventually(t, time.Minute, "the usual stack is up", func() error {
		for _, url := range []string{"http://" + addresses["cadvisor"] + "/metrics", "http://" + addresses["prometheus"] + "/-/ready", "http://" + addresses["alertmanager"] + "/-/ready"} {
			resp, err := http.Get(url)
			if err != nil {
				return err
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("%s: %s", url, resp.Status)
			}
		}
		return nil
	})
	return hook
}
