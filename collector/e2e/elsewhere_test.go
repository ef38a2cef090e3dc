package e2e_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
)

// peerEngine starts a real engine of Debian and returns the flags with which a collector uses it.
func peerEngine(t *testing.T, name, address, dir string) (p *program, flags []string) {
	t.Helper()
	binary, err := exec.LookPath(name)
	require(t, err == nil, name+" is not installed (apt-get install "+name+")")
	if name == "prometheus" {
		config := file(t, "prometheus.yml", "global: {scrape_interval: 1m}\n")
		p = start(t, name, "http://"+address, binary, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--web.enable-remote-write-receiver", "--log.level=error")
	} else {
		p = start(t, name, "http://"+address, binary, "-httpListenAddr="+address, "-storageDataPath="+filepath.Join(dir, "data"), "-retentionPeriod=1", "-search.latencyOffset=0s", "-loggerLevel=ERROR")
	}
	eventually(t, 30*time.Second, name+" answers", func() error {
		_, err := get(p.url + "/api/v1/query?query=1")
		return err
	})
	return p, []string{"--engine.write-url=" + p.url + "/api/v1/write", "--engine.query-url=" + p.url}
}

// TestAnEngineElsewhereKeepsAndAnswers: a real VictoriaMetrics and a real Prometheus in place of the engine inside.
func TestAnEngineElsewhereKeepsAndAnswers(t *testing.T) {
	t.Parallel()
	_, binary := buildPrograms(t)
	for _, name := range []string{"victoria-metrics", "prometheus"} {
		t.Run(name, func(t *testing.T) {
			address, dir := freePort(t), t.TempDir()
			peer, flags := peerEngine(t, name, address, dir)
			tokens := "tokens:\n"
			for who, may := range map[string]string{"root": "scopes: [admin]", "shop": "scopes: [read], projects: [shop]"} {
				tokens += fmt.Sprintf("- {name: %s, sha256: %x, %s}\n", who, sha256.Sum256([]byte(who)), may)
			}
			rules := file(t, "rules.yaml", "groups:\n- name: demo\n  interval: 1s\n  rules:\n  - alert: DemoTooMuch\n    expr: demo_total > 4\n")
			listen := freePort(t)
			h := &house{program: start(t, "collector", "http://"+listen, binary, append(flags, "--listen="+listen, "--data-dir="+t.TempDir(), "--rules.builtin=false", "--rules="+rules, "--auth.tokens-file="+file(t, "tokens.yaml", tokens))...)}
			h.waitReady(t)
			at := time.Now().Truncate(time.Second)
			h.push(t, "root", at, 204, "project", "shop", "cart")
			h.push(t, "root", at, 204, "project", "bank", secretWord)
			eventually(t, 30*time.Second, "both projects are there", func() error {
				got := h.ask(t, "root", attempt{method: "GET", target: "/api/v1/query?query=demo_total&time=" + fmt.Sprint(at.Unix()+1)}).body
				if !strings.Contains(got, "cart") || !strings.Contains(got, secretWord) {
					return fmt.Errorf("%s", got)
				}
				return nil
			})
			if got, err := get(peer.url + "/api/v1/series?match[]=demo_total"); err != nil || strings.Count(got, `"demo_total"`) != 2 {
				t.Errorf("the peer has %s (%v)", got, err)
			}
			eventually(t, 30*time.Second, "the rule fires", func() error {
				var alerts []any
				if err := json.Unmarshal([]byte(h.ask(t, "root", attempt{method: "GET", target: "/api/v2/alerts"}).body), &alerts); err != nil || len(alerts) != 1 {
					return fmt.Errorf("%d alerts (%v)", len(alerts), err)
				}
				return nil
			})
			h.tryToRead(t, at)
			for target, want := range map[string]string{"query?query=demo_total&time=" + fmt.Sprint(at.Unix()+1): `"cart"`, "label/project/values": `["shop"]`, "series?match[]=demo_total": `"cart"`, "labels": `"workload"`} {
				if got := h.ask(t, "shop", attempt{method: "GET", target: "/api/v1/" + target}); got.code != 200 || !strings.Contains(got.body, want) {
					t.Errorf("%s: %d %s", target, got.code, got.body)
				}
			}
			if got := h.ask(t, "shop", attempt{method: "GET", target: "/api/exits?since=1h"}); got.code != 200 || !strings.Contains(got.body, `"cart"`) {
				t.Errorf("exits: %d %s", got.code, got.body)
			}

			peer.stop()
			wr := &prompb.WriteRequest{Timeseries: series(at.Add(time.Second), "project", "shop", "cart")}
			h.write(t, "root", 503, wr)
			if got := h.ask(t, "root", attempt{method: "GET", target: "/api/v1/query?query=1"}); got.code != 503 {
				t.Errorf("a query without the engine: %d %s", got.code, got.body)
			}
			peerEngine(t, name, address, dir)
			h.write(t, "root", 204, wr)
		})
	}
}

// tryToRead makes the attempts on queries, series and labels with a token of shop. Nothing of bank may come.
func (h *house) tryToRead(t *testing.T, at time.Time) {
	t.Helper()
	tried := 0
	for _, a := range attempts() {
		u, err := url.Parse(a.target)
		if err != nil || !strings.Contains(u.Path, "/api/v1/") || a.method == "DELETE" || strings.Contains(u.Path, "write") {
			continue
		}
		tried++
		a.target = strings.ReplaceAll(a.target, "AT", fmt.Sprint(at.Unix()+1))
		a.body = strings.ReplaceAll(a.body, "AT", fmt.Sprint(at.Unix()+1))
		got := h.ask(t, "shop", a)
		if strings.Contains(got.body, secretWord) && !strings.Contains(a.target+a.body, secretWord) {
			t.Errorf("%s: %s %s tells %d %.600s", a.how, a.method, a.target, got.code, got.body)
		}
	}
	t.Logf("%d attempts", tried)
}
