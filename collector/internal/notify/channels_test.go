package notify_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/plimsoll/plimsoll/collector/internal/notify"
)

// delivery is what a vendor's service got.
type delivery struct{ request, body string }

// service stands in for a vendor: judge says what is wrong with a request by the vendor's documentation, "" when nothing is.
func service(t *testing.T, answer string, status int, judge func(r *http.Request, body []byte) string) (string, chan delivery) {
	got := make(chan delivery, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if fault := judge(r, body); fault != "" {
			t.Errorf("the vendor refuses: %s\n%s", fault, body)
		}
		query := r.URL.Query()
		for _, varying := range []string{"timestamp", "sign"} {
			if query.Has(varying) {
				query.Set(varying, strings.ToUpper(varying))
			}
		}
		target := r.URL.Path
		if len(query) > 0 {
			target += "?" + query.Encode()
		}
		got <- delivery{r.Method + " " + target + "\nContent-Type: " + r.Header.Get("Content-Type"), string(body)}
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func mac(key, text string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// recent is whether a time of a signature is within the hour that vendors allow.
func recent(seconds int64) bool { return time.Since(time.Unix(seconds, 0)).Abs() < time.Hour }

// has lists the required fields, as a.b.c, that a JSON body has not.
func has(body []byte, fields ...string) string {
	var root any
	if err := json.Unmarshal(body, &root); err != nil {
		return err.Error()
	}
	for _, field := range fields {
		at := root
		for _, name := range strings.Split(field, ".") {
			if list, ok := at.([]any); ok && len(list) > 0 {
				at = list[0]
			}
			m, _ := at.(map[string]any)
			at = m[name]
		}
		if at == nil || at == "" {
			return "no " + field
		}
	}
	return ""
}

const signingKey = "SECthis is secret"

// channel is one way to people with the format its vendor documents.
type channel struct {
	name string
	// yaml is the channel in oncall.yaml; %s is the address of the service.
	yaml    string
	urlFile string // path and query of the address in the file "url"
	answer  string
	status  int
	judge   func(r *http.Request, body []byte) string
}

func channels() []channel {
	return []channel{
		// https://open.dingtalk.com/document/orgapp/custom-robot-access
		{name: "dingtalk", yaml: `dingtalk: {url_file: url, secret_file: key, mention: "13800000000"}`, urlFile: "/robot/send?access_token=T", answer: `{"errcode":0,"errmsg":"ok"}`, status: 200,
			judge: func(r *http.Request, body []byte) string {
				stamp, _ := strconv.ParseInt(r.URL.Query().Get("timestamp"), 10, 64)
				switch {
				case !recent(stamp / 1000):
					return "errcode 310000: timestamp"
				case r.URL.Query().Get("sign") != mac(signingKey, r.URL.Query().Get("timestamp")+"\n"+signingKey):
					return "errcode 310000: sign not match"
				case !bytes.Contains(body, []byte("@13800000000")):
					return "the mention is not in the text"
				}
				return has(body, "msgtype", "markdown.title", "markdown.text", "at.atMobiles")
			}},
		// https://developer.work.weixin.qq.com/document/path/91770
		{name: "wecom", yaml: `wecom: {url_file: url, mention: zhangsan}`, urlFile: "/cgi-bin/webhook/send?key=K", answer: `{"errcode":0,"errmsg":"ok"}`, status: 200,
			judge: func(_ *http.Request, body []byte) string { return has(body, "msgtype", "markdown.content") }},
		// https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot
		{name: "feishu", yaml: `feishu: {url_file: url, secret_file: key, mention: ou_1}`, urlFile: "/open-apis/bot/v2/hook/H", answer: `{"code":0,"data":{},"msg":"success"}`, status: 200,
			judge: func(_ *http.Request, body []byte) string {
				var m struct{ Timestamp, Sign string }
				if err := json.Unmarshal(body, &m); err != nil {
					return err.Error()
				}
				stamp, _ := strconv.ParseInt(m.Timestamp, 10, 64)
				if !recent(stamp) || m.Sign != mac(m.Timestamp+"\n"+signingKey, "") {
					return "code 19021: sign match fail or timestamp is not within one hour from current time"
				}
				return has(body, "msg_type", "card.header.title.content", "card.elements.tag", "card.elements.content")
			}},
		// https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
		{name: "webhook", yaml: `webhook: {url: %s/hook}`, status: 200,
			judge: func(_ *http.Request, body []byte) string {
				return has(body, "version", "groupKey", "status", "receiver", "alerts.labels.alertname", "alerts.startsAt")
			}},
		// https://api.slack.com/reference/messaging/attachments
		{name: "slack", yaml: `slack: {url_file: url, channel: "#oncall"}`, urlFile: "/services/T/B/X", answer: "ok", status: 200,
			judge: func(_ *http.Request, body []byte) string {
				return has(body, "channel", "attachments.title", "attachments.text", "attachments.fallback", "attachments.color")
			}},
		// https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
		{name: "pagerduty", yaml: `pagerduty: {routing_key_file: key, url: %s/v2/enqueue}`, answer: `{"status":"success"}`, status: 202,
			judge: func(_ *http.Request, body []byte) string {
				return has(body, "routing_key", "event_action", "dedup_key", "payload.summary", "payload.source", "payload.severity", "links.href")
			}},
		// https://docs.opsgenie.com/docs/alert-api#create-alert
		{name: "opsgenie", yaml: `opsgenie: {api_key_file: key, api_url: %s/}`, answer: `{"result":"Request will be processed"}`, status: 202,
			judge: func(r *http.Request, body []byte) string {
				if r.Header.Get("Authorization") != "GenieKey "+signingKey {
					return "Authorization: " + r.Header.Get("Authorization")
				}
				return has(body, "alias", "message", "description", "priority", "source")
			}},
		// https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
		{name: "msteams", yaml: `msteams: {url_file: url}`, urlFile: "/workflows/W", status: 202,
			judge: func(_ *http.Request, body []byte) string {
				return has(body, "type", "attachments.contentType", "attachments.content.type", "attachments.content.version", "attachments.content.body")
			}},
		// https://core.telegram.org/bots/api#sendmessage
		{name: "telegram", yaml: `telegram: {bot_token_file: token, chat_id: -1001, api_url: %s}`, status: 200,
			answer: `{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":-1001,"type":"group"}}}`,
			judge:  func(_ *http.Request, body []byte) string { return has(body, "chat_id", "text") }},
	}
}

// told is the alert that every channel tells.
func told(ends time.Time) *model.Alert {
	return &model.Alert{
		Labels: model.LabelSet{"alertname": "ContainerOOMLoop", "severity": "critical", "project": "shop", "idc": "bj1", "cluster": "c1", "node": "n-17",
			"namespace": "store", "workload": "web_api", "pod": "web-1", "container": "app"},
		Annotations: model.LabelSet{
			"summary":     "web_api/app was OOM-killed 4x in 1 h",
			"description": "The kernel killed 4 processes of web_api/app within an hour: 64 MiB in use & <limit> 64 MiB.",
			"runbook_url": "http://plimsoll:9750/runbooks/ContainerOOMLoop", "dashboard_url": "http://plimsoll:9750/d/cont-container?var-project=shop&from=now-1h&to=now",
			"threshold": "3 within 1 h, the last within 15 min",
			"usage":     "memory 63.9 MiB of 64 MiB, CPU 0.481 of 1 cores", "last_exit": "oom_killed, exit code 137 (signal 9), 2026-11-23 03:04:01 UTC, app on n-17",
			"last_release": "shop/web:2.1 replaced shop/web:2.0 at 2026-11-23 02:54:05 UTC, 10m0s before this began",
		},
		StartsAt: time.Date(2026, 11, 23, 3, 4, 5, 0, time.UTC), EndsAt: ends, GeneratorURL: "http://plimsoll:9750/vmui/",
	}
}

// toldOf is an alert of a node and one of the pipeline, as the pack and the evidence make them.
func toldOf(kind string, ends time.Time) *model.Alert {
	a := &model.Alert{StartsAt: time.Date(2026, 11, 23, 3, 4, 5, 0, time.UTC), EndsAt: ends, GeneratorURL: "http://plimsoll:9750/vmui/"}
	switch kind {
	case "node":
		a.Labels = model.LabelSet{"alertname": "NodeLost", "severity": "critical", "idc": "bj1", "cluster": "c1", "node": "n-17"}
		a.Annotations = model.LabelSet{
			"summary":     "node n-17 has been silent for 45s",
			"description": "Nothing comes from node n-17 in bj1/c1, neither samples nor the end of its connection, for 45s, while others of its cluster are heard. The node is down, its network is, or the agent hangs.",
			"threshold":   "2 rounds of samples and 5 s, 35 s at the default interval",
			"usage":       "memory 40 GiB of 128 GiB, CPU 3.2 of 32 cores, 41 containers (shop 20, bank 12, mail 9)",
			"agent":       "version 1.2, heard 2026-11-23 03:03:20 UTC, 45s ago",
			"runbook_url": "http://plimsoll:9750/runbooks/NodeLost", "dashboard_url": "http://plimsoll:9750/d/cont-fleet?var-idc=bj1&var-cluster=c1&from=now-1h&to=now",
		}
	case "pipeline":
		a.Labels = model.LabelSet{"alertname": "CollectorSamplesRejected", "severity": "warning", "collector": "col-1", "reason": "future"}
		a.Annotations = model.LabelSet{
			"summary":     "0.99% of samples rejected: future",
			"description": "Collector col-1 has rejected 0.99% of the samples it received for 15 minutes, reason future. They are not stored.",
			"threshold":   "more than 0.1% for 15 min",
			"usage":       "199 of 200 agents heard, 12345 samples/s, 600000 of 2000000 series, 40 GiB of disk free",
			"runbook_url": "http://plimsoll:9750/runbooks/CollectorSamplesRejected", "dashboard_url": "http://plimsoll:9750/d/cont-fleet?from=now-1h&to=now",
		}
	}
	return a
}

func TestAlertsOfNodesAndOfThePipelineSayAsMuch(t *testing.T) {
	for _, c := range channels() {
		for _, kind := range []string{"node", "pipeline"} {
			if !slices.Contains([]string{"webhook", "slack", "dingtalk"}, c.name) {
				continue
			}
			t.Run(c.name+" "+kind, func(t *testing.T) {
				t.Parallel()
				address, got := service(t, c.answer, c.status, func(*http.Request, []byte) string { return "" })
				text := strings.ReplaceAll(c.yaml, "%s", address)
				file := page(t, "timezone: Asia/Shanghai\nreceivers: {team: {"+text+"}}\nfallback: {critical: team, warning: team}\n")
				for name, secret := range map[string]string{"url": address + c.urlFile, "key": signingKey} {
					write(t, filepath.Join(filepath.Dir(file), name), secret+"\n")
				}
				alert := toldOf(kind, time.Now().Add(time.Hour))
				m, _, _ := open(t, notify.Config{OncallFile: file, ExternalURL: "http://plimsoll:9750", EventAlerts: func() []string { return []string{alert.Name()} }})
				put(t, m, alert)
				select {
				case d := <-got:
					golden(t, c.name+"-"+kind, d.request+"\n\n"+pretty(d.body))
					for name, fact := range alert.Annotations {
						if said := strings.ReplaceAll(string(fact), "&", `\u0026`); !strings.Contains(d.body, said) && !strings.Contains(d.body, string(fact)) {
							t.Errorf("the message does not say its %s, %q", name, fact)
						}
					}
				case <-time.After(10 * time.Second):
					t.Fatal("nothing came within 10 s")
				}
			})
		}
	}
}

// what every message must say: what, where, since when, value and limit, how it last ended, what was released, links.
func facts() []string {
	return []string{"ContainerOOMLoop", "4x in 1 h", "3 within 1 h, the last within 15 min", "shop", "bj1", "c1", "n-17", "store", "web_api", "web-1", "app", "critical", "64 MiB",
		"memory 63.9 MiB of 64 MiB, CPU 0.481 of 1 cores", "oom_killed, exit code 137 (signal 9), 2026-11-23 03:04:01 UTC, app on n-17", "shop/web:2.1 replaced shop/web:2.0",
		"/runbooks/ContainerOOMLoop", "/d/cont-container"}
}

var update = flag.Bool("update", false, "write the golden files")

func TestEveryChannelSpeaksItsVendorsFormat(t *testing.T) {
	for _, c := range channels() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			address, got := service(t, c.answer, c.status, c.judge)
			text := c.yaml
			if strings.Contains(text, "%s") {
				text = fmt.Sprintf(text, address)
			}
			file := page(t, "timezone: Asia/Shanghai\nreceivers: {team: {"+text+"}}\nfallback: {critical: team, warning: team}\n")
			for name, secret := range map[string]string{"url": address + c.urlFile, "key": signingKey, "token": "123:abc"} {
				write(t, filepath.Join(filepath.Dir(file), name), secret+"\n")
			}
			m, reg, _ := open(t, notify.Config{OncallFile: file, ExternalURL: "http://plimsoll:9750", EventAlerts: func() []string { return []string{"ContainerOOMLoop"} }})
			put(t, m, told(time.Now().Add(time.Hour)))
			select {
			case d := <-got:
				golden(t, c.name, d.request+"\n\n"+pretty(d.body))
				for _, fact := range facts() {
					if !strings.Contains(d.body, fact) {
						t.Errorf("the message does not say %q", fact)
					}
				}
				if !strings.Contains(d.body, "2026-11-23 11:04:05 CST") && c.name != "webhook" {
					t.Error("the message does not say since when, in the time of the page")
				}
			case <-time.After(10 * time.Second):
				t.Fatal("nothing came within 10 s")
			}
			eventually(t, func() error {
				if sent, failed := counters(t, reg, "team"); sent != 1 || failed != 0 {
					return fmt.Errorf("%v notifications, %v failed", sent, failed)
				}
				return nil
			})
		})
	}
}

// pretty indents JSON and takes out what differs from run to run.
func pretty(body string) string {
	var out bytes.Buffer
	if json.Indent(&out, []byte(body), "", "  ") != nil {
		out.WriteString(body)
	}
	text := out.String()
	for pattern, fixed := range map[string]string{
		`("timestamp": )"\d+"`:       `$1"TIMESTAMP"`,
		`("sign": )".*"`:             `$1"SIGN"`,
		`("dedup_key": )".*"`:        `$1"KEY"`,
		`("alias": )".*"`:            `$1"KEY"`,
		`("endsAt": )".*"`:           `$1"END"`,
		`("(ts|timestamp)": )\d+`:    `${1}0`,
		`http://127\.0\.0\.1:\d+`:    `http://vendor`,
		`(?m)^(Date|Message-Id): .*`: `$1: VARIES`,
		`[0-9a-f]{60}`:               `BOUNDARY`,
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, fixed)
	}
	return strings.TrimSpace(text) + "\n"
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, file, got)
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it):\n%s\nwant\n%s", file, got, want)
	}
}

// mailServer takes one mail by SMTP, https://www.rfc-editor.org/rfc/rfc5321.
func mailServer(t *testing.T) (string, chan string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	mails := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		fmt.Fprint(conn, "220 mail\r\n")
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			switch verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " "); verb {
			case "DATA":
				fmt.Fprint(conn, "354 go on\r\n")
				var mail strings.Builder
				for line, err = in.ReadString('\n'); err == nil && line != ".\r\n"; line, err = in.ReadString('\n') {
					mail.WriteString(strings.TrimSuffix(line, "\r\n") + "\n")
				}
				mails <- mail.String()
				fmt.Fprint(conn, "250 taken\r\n")
			case "QUIT":
				fmt.Fprint(conn, "221 bye\r\n")
				return
			default:
				fmt.Fprint(conn, "250 mail\r\n")
			}
		}
	}()
	return l.Addr().String(), mails
}

func TestEMailSaysTheSameInTextAndHTML(t *testing.T) {
	address, mails := mailServer(t)
	m, _, _ := open(t, notify.Config{ExternalURL: "http://plimsoll:9750", EventAlerts: func() []string { return []string{"ContainerOOMLoop"} }, OncallFile: page(t, fmt.Sprintf(`
email: {smarthost: %q, from: plimsoll@example.com, require_tls: false}
receivers: {team: {email: {to: [a@example.com, b@example.com]}}}
fallback: {critical: team, warning: team}
`, address))})
	put(t, m, told(time.Now().Add(time.Hour)))
	select {
	case mail := <-mails:
		head, rest, _ := strings.Cut(mail, "\n\n")
		lines := strings.Split(head, "\n") // in any order
		slices.Sort(lines)
		golden(t, "email", pretty(strings.Join(lines, "\n")+"\n\n"+rest))
		text, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(mail)))
		if err != nil {
			t.Fatal(err)
		}
		parts := bytes.SplitN(text, []byte("text/html"), 2)
		for i, part := range parts {
			for _, fact := range facts() {
				if !bytes.Contains(part, []byte(fact)) {
					t.Errorf("part %d does not say %q", i, fact)
				}
			}
		}
		if len(parts) != 2 || bytes.Contains(parts[1], []byte("<limit>")) {
			t.Error("no HTML, or a label's text is markup in it")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no mail within 10 s")
	}
}
