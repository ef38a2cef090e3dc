package notify

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const wellFormed = `global:
  resolve_timeout: 5m
route:
  receiver: team
  group_by: [alertname]
  group_interval: 5m
  routes:
  - matchers: [severity="critical"]
    receiver: team
    active_time_intervals: [night]
  - matchers: [severity="warning"]
    receiver: chat
    repeat_interval: 4h
inhibit_rules:
- source_matchers: [severity="critical"]
  target_matchers: [severity="warning"]
  equal: [project]
time_intervals:
- name: night
  time_intervals:
  - times: [{start_time: "22:00", end_time: "24:00"}]
receivers:
- name: team
  webhook_configs:
  - url: http://hook/a
  pagerduty_configs:
  - routing_key: x
- name: chat
  slack_configs:
  - api_url: https://hooks.slack/x
    channel: "#a"
  email_configs:
  - to: a@b
    from: c@d
    smarthost: mail:25
`

// Alertmanager names no line for most faults of meaning.
func TestAFaultOfMeaningNamesItsLine(t *testing.T) {
	for _, c := range []struct{ from, to, at string }{
		{"    receiver: chat", "    receiver: nobody", "    receiver: nobody"},
		{"  receiver: team\n  group_by", "  receiver: absent\n  group_by", "  receiver: absent"},
		{"  receiver: team\n  group_by", "  group_by", "route:"},
		{"- name: chat", "- name: team", "- name: team\n  slack"},
		{"[night]", "[nigth]", "nigth"},
		{"  - url: http://hook/a", "  - send_resolved: true", "  - send_resolved"},
		{"    repeat_interval: 4h", "    repeat_interval: 0s", "repeat_interval: 0s"},
		{"  group_interval: 5m", "  group_interval: 0s", "group_interval: 0s"},
		{"  - routing_key: x", "  - severity: x", "  - severity: x"},
		{"http://hook/a", "ftp://hook/a", "ftp://"},
		{"  - matchers: [severity=\"warning\"]", "  - matchers: [severity]", "matchers: [severity]"},
		{"target_matchers: [severity=\"warning\"]", "target_matchers: ['severity=~\"(\"']", "target_matchers"},
		{"group_by: [alertname]", "group_by: [alertname, alertname]", "group_by"},
		{"group_by: [alertname]", "group_by: [alertname, '...']", "group_by"},
		{"  - api_url: https://hooks.slack/x\n    channel", "  - channel", "  - channel"},
		{"    smarthost: mail:25\n", "", "  - to: a@b"},
		{"    smarthost: mail:25\n", "    smarthost: mail\n", "    smarthost: mail"},
		{"    from: c@d\n", "", "  - to: a@b"},
		{"22:00", "26:00", "26:00"},
		{"- name: night", "- name: ''", "- name: ''"},
		{"  equal: [project]", "  equal: ['pro ject']", "equal"},
		{"  resolve_timeout: 5m", "  resolve_timeout: 5 minutes", "resolve_timeout"},
		{"  receiver: team\n  group_by", "  receiver: team\n  matchers: [a=\"b\"]\n  group_by", "  matchers: [a="},
	} {
		text := strings.Replace(wellFormed, c.from, c.to, 1)
		file := filepath.Join(t.TempDir(), "alertmanager.yml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		want := 1 + strings.Count(text[:strings.Index(text, c.at)], "\n")
		_, err := loadFile(file)
		var fault *ParseError
		if !errors.As(err, &fault) {
			t.Errorf("%q: %v", c.to, err)
			continue
		}
		if fault.Line != want {
			t.Errorf("%q: line %d, want %d: %v", c.to, fault.Line, want, fault.Err)
		}
	}
}
