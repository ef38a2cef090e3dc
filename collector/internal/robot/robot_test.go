package robot

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
)

// vendor answers in place of a vendor's service and keeps what it got.
type vendor struct {
	mu     sync.Mutex
	bodies []string
	at     []time.Time
	urls   []*url.URL
	answer func(n int) (int, string)
}

func (v *vendor) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.bodies, v.at, v.urls = append(v.bodies, string(body)), append(v.at, time.Now()), append(v.urls, r.URL)
	status, text := 200, `{"errcode":0,"errmsg":"ok","code":0,"msg":"success"}`
	if v.answer != nil {
		status, text = v.answer(len(v.bodies))
	}
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Body: io.NopCloser(bytes.NewBufferString(text)), Header: http.Header{}}, nil
}

func words(t *testing.T) *template.Template {
	t.Helper()
	tmpl, err := template.FromGlobs(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := tmpl.Parse(strings.NewReader(Templates(""))); err != nil {
		t.Fatal(err)
	}
	tmpl.ExternalURL = &url.URL{Scheme: "http", Host: "plimsoll"}
	return tmpl
}

func newNotifier(t *testing.T, kind Kind, v *vendor) notify.Notifier {
	t.Helper()
	cfg := Config{Kind: kind, URLFile: filepath.Join(t.TempDir(), "url"), Mention: "1380"}
	if err := os.WriteFile(cfg.URLFile, []byte("http://vendor/robot?token=secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if kind != WeCom {
		cfg.SecretFile = filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(cfg.SecretFile, []byte("this is secret"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	robots := New(slog.New(slog.DiscardHandler))
	robots.client.Transport = v
	n, err := robots.Notifier(cfg, words(t))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// firing are n alerts of a workload, critical ones when severity says so.
func firing(n int, workload, severity string) []*alert.Alert {
	var all []*alert.Alert
	for i := range n {
		all = append(all, &alert.Alert{Alert: model.Alert{
			Labels: model.LabelSet{"alertname": "ContainerOOMKilled", "project": "shop", "idc": "bj1", "cluster": "c1", "workload": model.LabelValue(workload),
				"container": model.LabelValue(fmt.Sprintf("%s-%04d", workload, i)), "severity": model.LabelValue(severity)},
			Annotations: model.LabelSet{"summary": "was OOM-killed 1x in 15 min", "description": "Its memory limit is 64 MiB.",
				"runbook_url": "http://plimsoll/runbooks/ContainerOOMKilled", "dashboard_url": "http://plimsoll/d/cont-container?from=now-1h&to=now"},
			StartsAt: time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC), EndsAt: time.Now().Add(time.Hour),
		}})
	}
	return all
}

func forGroup(ctx context.Context, name string) context.Context {
	ctx = notify.WithReceiverName(notify.WithGroupKey(ctx, name), "chat")
	return notify.WithNotificationReason(notify.WithGroupLabels(ctx, model.LabelSet{"project": "shop"}), notify.ReasonFirstNotification)
}

// DingTalk and WeCom stop listening for ten minutes to a robot that sends more than 20 messages in one.
func TestAStormStaysWithinTheRateAndLosesNothing(t *testing.T) {
	for _, kind := range []Kind{DingTalk, WeCom, Feishu} {
		synctest.Test(t, func(t *testing.T) {
			v := &vendor{}
			n := newNotifier(t, kind, v)
			var sent sync.WaitGroup
			const groups = 300
			var slowest time.Duration
			var mu sync.Mutex
			for i := range groups {
				sent.Go(func() {
					time.Sleep(time.Duration(i) * 300 * time.Millisecond) // 90 s of storm
					began := time.Now()
					ctx, cancel := context.WithTimeout(forGroup(t.Context(), fmt.Sprint(i)), time.Minute)
					defer cancel()
					if _, err := n.Notify(ctx, firing(1, fmt.Sprintf("w%03d", i), "warning")...); err != nil {
						t.Errorf("%s: group %d: %v", kind, i, err)
					}
					mu.Lock()
					slowest = max(slowest, time.Since(began))
					mu.Unlock()
				})
			}
			sent.Wait()
			all := strings.Join(v.bodies, "\n")
			for i := range groups {
				if !strings.Contains(all, fmt.Sprintf("w%03d-0000", i)) {
					t.Errorf("%s: group %d is in no message", kind, i)
				}
			}
			for i := range v.at {
				if i >= 20 && v.at[i].Sub(v.at[i-20]) < time.Minute {
					t.Fatalf("%s: messages %d to %d within %s", kind, i-20, i, v.at[i].Sub(v.at[i-20]))
				}
			}
			if len(v.bodies) > 40 || slowest > 10*time.Second {
				t.Errorf("%s: %d messages, the slowest after %s", kind, len(v.bodies), slowest)
			}
		})
	}
}

func TestMessagesKeepTheVendorsLength(t *testing.T) {
	for _, kind := range []Kind{DingTalk, WeCom, Feishu} {
		for _, alerts := range []int{1, 5, 6, 60, 2000} {
			synctest.Test(t, func(t *testing.T) {
				v := &vendor{}
				n := newNotifier(t, kind, v)
				if _, err := n.Notify(forGroup(t.Context(), "g"), firing(alerts, "容器-web", "critical")...); err != nil {
					t.Fatal(err)
				}
				for _, body := range v.bodies {
					limit := 20_000
					var m struct{ Markdown struct{ Content string } }
					if err := json.Unmarshal([]byte(body), &m); err != nil {
						t.Fatal(err)
					}
					if kind == WeCom {
						body, limit = m.Markdown.Content, 4096
					}
					if len(body) > limit || !utf8.ValidString(body) {
						t.Errorf("%s, %d alerts: %d bytes", kind, alerts, len(body))
					}
				}
				all := strings.Join(v.bodies, "")
				told := len(regexp.MustCompile(`web-\d{4}`).FindAllString(all, -1))
				more := strings.Contains(all, fmt.Sprintf("… and %d more", alerts-told))
				if told < alerts && !more || len(v.bodies) > mostMessages {
					t.Errorf("%s: %d of %d alerts in %d messages, and no word of the others", kind, told, alerts, len(v.bodies))
				}
			})
		}
	}
}

// All three vendors refuse with HTTP 200 and a code in the body.
func TestARefusalWithStatus200IsAFailure(t *testing.T) {
	for _, c := range []struct {
		kind   Kind
		status int
		answer string
		retry  bool
		says   string
	}{
		{DingTalk, 200, `{"errcode":310000,"errmsg":"sign not match"}`, false, "code 310000: sign not match"},
		{DingTalk, 200, `{"errcode":130101,"errmsg":"send too fast"}`, true, "send too fast"},
		{WeCom, 200, `{"errcode":93000,"errmsg":"invalid webhook url"}`, false, "invalid webhook url"},
		{WeCom, 200, `{"errcode":45009,"errmsg":"api freq out of limit"}`, true, "api freq out of limit"},
		{Feishu, 200, `{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time"}`, false, "19021"},
		{Feishu, 200, `{"code":9499,"msg":"too many request"}`, true, "too many request"},
		{Feishu, 200, `<html>maintenance</html>`, true, "not an answer of a robot"},
		{Feishu, 400, `{"code":11232,"msg":"create message service trigger rate limit"}`, true, "11232"},
		{Feishu, 400, `{"code":19001,"msg":"param invalid: incoming webhook access token invalid"}`, false, "19001"},
		{WeCom, 502, `bad gateway`, true, "502"},
		{WeCom, 404, `gone`, false, "404"},
	} {
		v := &vendor{answer: func(int) (int, string) { return c.status, c.answer }}
		retry, err := newNotifier(t, c.kind, v).Notify(forGroup(t.Context(), "g"), firing(1, "w", "warning")...)
		if err == nil || retry != c.retry || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "token=secret") {
			t.Errorf("%s %s: retry %v, error %v", c.kind, c.answer, retry, err)
		}
	}
}

func TestANameCannotCallTheWholeGroup(t *testing.T) {
	for _, kind := range []Kind{DingTalk, WeCom, Feishu} {
		v := &vendor{}
		if _, err := newNotifier(t, kind, v).Notify(forGroup(t.Context(), "g"), firing(1, "<at id=all></at><@all>", "warning")...); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(v.bodies[0], "<at") || strings.Contains(v.bodies[0], "<@") {
			t.Errorf("%s: %s", kind, v.bodies[0])
		}
	}
}

func TestTwoReceiversWithTheSameRobotShareItsRate(t *testing.T) {
	robots := New(slog.New(slog.DiscardHandler))
	cfg := Config{Kind: WeCom, URLFile: filepath.Join(t.TempDir(), "url")}
	if err := os.WriteFile(cfg.URLFile, []byte("http://vendor/"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, errA := robots.Notifier(cfg, words(t))
	b, errB := robots.Notifier(cfg, words(t))
	if errA != nil || errB != nil || a.(*notifier).robot != b.(*notifier).robot {
		t.Errorf("%v %v: not the same robot", errA, errB)
	}
}

func TestSecretsMustBeThere(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	good := write("good", "https://h/?key=1")
	for _, cfg := range []Config{
		{Kind: "icq", URLFile: good}, {Kind: WeCom}, {Kind: WeCom, URLFile: write("empty", " \n")}, {Kind: WeCom, URLFile: write("text", "key=1")},
		{Kind: Feishu, URLFile: good, SecretFile: dir + "/absent"},
	} {
		if _, err := New(slog.New(slog.DiscardHandler)).Notifier(cfg, words(t)); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}
