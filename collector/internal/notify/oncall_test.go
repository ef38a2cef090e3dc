package notify_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/plimsoll/plimsoll/collector/internal/notify"
)

func page(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "oncall.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const rota = `
timezone: Asia/Shanghai
receivers:
  pager: {webhook: {url: http://h/}}
  chat: {webhook: {url: http://h/}}
  mail: {webhook: {url: http://h/}}
  spare: {webhook: {url: http://h/}}
hours:
  office: {days: mon-fri, from: "09:00", to: "18:00"}
routes:
- team: shop
  projects: [shop, "shop-*"]
  critical: [chat, pager]
  warning: chat
  hours: office
  outside: {critical: pager, warning: none}
- {team: pay, projects: pay, clusters: c1, critical: mail}
fallback: {critical: [pager, mail], warning: mail}
`

func TestThePreviewSaysWhoIsToldAtAMoment(t *testing.T) {
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Time]string{
		time.Date(2026, 11, 23, 10, 0, 0, 0, shanghai): `who is told at 2026-11-23 10:00 CST (02:00 UTC), by project and severity:
PROJECT             TEAM   CRITICAL      WARNING   INFO
shop                shop   chat, pager   chat      nobody
shop-*              shop   chat, pager   chat      nobody
pay (cluster c1)    pay    mail          mail      nobody
any other project          pager, mail   mail      nobody
no project                 pager, mail   mail      nobody
receiver spare is told of nothing but failing notifications
`,
		time.Date(2026, 11, 22, 10, 0, 0, 0, shanghai): `who is told at 2026-11-22 10:00 CST (02:00 UTC), by project and severity:
PROJECT             TEAM   CRITICAL      WARNING   INFO
shop                shop   pager         nobody    nobody
shop-*              shop   pager         nobody    nobody
pay (cluster c1)    pay    mail          mail      nobody
any other project          pager, mail   mail      nobody
no project                 pager, mail   mail      nobody
receiver spare is told of nothing but failing notifications
`,
	} {
		var got bytes.Buffer
		if err := notify.Preview(&got, notify.Config{OncallFile: page(t, rota)}, at); err != nil {
			t.Fatal(err)
		}
		if got.String() != want {
			t.Errorf("at %s\n%s\nwant\n%s", at, got.String(), want)
		}
	}
}

// fires is an alert that fires for an hour.
func fires(labels model.LabelSet) *model.Alert {
	return &model.Alert{Labels: labels, StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour)}
}

func TestAnEventIsToldToTheTeamAtOnceAndTheRestToTheFallback(t *testing.T) {
	team, fallback, heartbeat := newWebhook(t), newWebhook(t), newWebhook(t)
	m, _, _ := open(t, notify.Config{
		EventAlerts: func() []string { return []string{"ContainerOOMKilled", "NodeGone"} },
		OncallFile: page(t, fmt.Sprintf(`
receivers:
  team: {webhook: {url: %q}}
  sre: {webhook: {url: %q}}
routes: [{projects: shop, critical: team, warning: team}]
fallback: {critical: sre, warning: sre}
watchdog: {url: %q, every: 10s}
`, team.URL, fallback.URL, heartbeat.URL)),
	})
	put(t, m, fires(model.LabelSet{"alertname": "ContainerOOMKilled", "project": "shop", "severity": "warning"}),
		fires(model.LabelSet{"alertname": "NodeGone", "severity": "critical"}), fires(model.LabelSet{"alertname": "NodeGone", "severity": "info", "node": "n"}),
		fires(model.LabelSet{"alertname": "Watchdog", "severity": "none"}))
	if n := team.next(t); n.Receiver != "team" || n.Alerts[0].Labels["project"] != "shop" {
		t.Errorf("the team got %+v", n)
	}
	if n := fallback.next(t); n.Receiver != "sre" || n.Alerts[0].Labels["severity"] != "critical" {
		t.Errorf("the fallback got %+v", n)
	}
	if n := heartbeat.next(t); n.Alerts[0].Labels["alertname"] != "Watchdog" {
		t.Errorf("the heartbeat got %+v", n)
	}
	select {
	case n := <-team.got:
		t.Errorf("the team also got %+v", n)
	case n := <-fallback.got:
		t.Errorf("the fallback also got %+v", n)
	case <-time.After(700 * time.Millisecond): // more than an event waits for company
	}
}

func TestThatAReceiverFailsIsToldToAnother(t *testing.T) {
	for failing, want := range map[string]string{"pager": "mail", "mail": "pager", "chat": "mail, pager"} {
		m, _, _ := open(t, notify.Config{OncallFile: page(t, rota)})
		put(t, m, fires(model.LabelSet{"alertname": "NotificationFailing", "receiver": model.LabelValue(failing), "severity": "warning"}))
		eventually(t, func() error {
			_, body := call(t, m, "GET", "/api/v2/alerts", "")
			var names []string
			for _, name := range []string{"chat", "mail", "pager", "spare"} {
				if strings.Contains(body, `{"name":"`+name+`"}`) {
					names = append(names, name)
				}
			}
			if got := strings.Join(names, ", "); got != want {
				return fmt.Errorf("that %s fails is told to %q, want %q: %s", failing, got, want, body)
			}
			return nil
		})
	}
}

func TestABrokenPageKeepsTheOldOneInForce(t *testing.T) {
	hook := newWebhook(t)
	good := fmt.Sprintf("receivers: {a: {webhook: {url: %q}}}\nfallback: {critical: a, warning: a}\n", hook.URL)
	file := page(t, good)
	m, _, _ := open(t, notify.Config{OncallFile: file, EventAlerts: func() []string { return []string{"X"} }})
	write(t, file, good+"fallbck: {}\n")
	if err := m.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), file+":3: ") {
		t.Errorf("error %v does not name file and line", err)
	}
	put(t, m, fires(model.LabelSet{"alertname": "X", "severity": "critical"}))
	hook.next(t)
}

func TestALostClusterIsOneNotification(t *testing.T) {
	t.Parallel() // it waits for what is grouped
	hook := newWebhook(t)
	m, _, _ := open(t, notify.Config{OncallFile: page(t, fmt.Sprintf("receivers: {sre: {webhook: {url: %q}}}\nfallback: {critical: sre, warning: sre}\n", hook.URL))})
	site := func(name string, more model.LabelSet) *model.Alert {
		return fires(more.Merge(model.LabelSet{"alertname": model.LabelValue(name), "idc": "bj1", "cluster": "c1"}))
	}
	for i := range 40 {
		node := model.LabelValue(fmt.Sprintf("n%02d", i))
		put(t, m, site("AgentAbsent", model.LabelSet{"node": node, "severity": "critical"}))
		for c := range 10 {
			put(t, m, site("ContainerUnhealthy", model.LabelSet{"project": model.LabelValue(fmt.Sprintf("p%d", c)), "node": node, "container": model.LabelValue(fmt.Sprint(c)), "severity": "warning"}))
		}
	}
	time.Sleep(2 * time.Second) // the cluster's own alert needs more proof
	put(t, m, site("ClusterTelemetryLost", model.LabelSet{"severity": "critical"}))
	if n := hook.within(t, 20*time.Second); len(n.Alerts) != 1 || n.Alerts[0].Labels["alertname"] != "ClusterTelemetryLost" {
		t.Errorf("got %+v", n)
	}
	select {
	case n := <-hook.got:
		t.Errorf("a second notification: %d alerts, the first %+v", len(n.Alerts), n.Alerts[0].Labels)
	case <-time.After(2 * time.Second):
	}
}
