package ui

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/chromedp/chromedp"
	"github.com/klauspost/compress/snappy"
)

// startCollector runs the binary that make builds before it tests, with its data in a temporary folder, and gives its address and process.
func startCollector(t *testing.T, flags ...string) (address string, pid int) {
	t.Helper()
	const binary = "../../../bin/plimsoll-collector"
	if _, err := os.Stat(binary); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no collector: %v (make build)", err)
		}
		t.Skipf("no collector: %v (make build)", err)
	}
	cmd := exec.Command(binary, append([]string{"--listen=127.0.0.1:0", "--data-dir=" + t.TempDir()}, flags...)...)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	up := regexp.MustCompile(`ui=(http://[0-9.:]+)/`)
	var all strings.Builder
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		fmt.Fprintln(&all, lines.Text())
		if found := up.FindStringSubmatch(lines.Text()); found != nil {
			go io.Copy(io.Discard, said)
			return found[1], cmd.Process.Pid
		}
	}
	t.Fatalf("the collector did not start:\n%s", &all)
	return "", 0
}

// write sends series to a collector as an agent does; token may be empty.
func write(t *testing.T, collector, token string, batch *prompb.WriteRequest) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, collector+"/api/v1/write", bytes.NewReader(snappy.Encode(nil, batch.MarshalProtobuf(nil))))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Encoding", "snappy")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusNoContent {
		t.Fatalf("write: %s %s", answer.Status, text)
	}
}

// killed is one sample of what agents tell of a container of each of two projects, both of which were OOM-killed kills times.
func killed(at time.Time, kills float64) *prompb.WriteRequest {
	batch := &prompb.WriteRequest{}
	for _, project := range []string{"shop", "mail"} {
		for name, v := range map[string]float64{"container_oom_events_total": kills, "container_start_time_seconds": 1e9, "container_memory_working_set_bytes": 1e8, "container_cpu_usage_seconds_total": float64(at.Unix() % 1e6), "container_cpu_user_seconds_total": float64(at.Unix() % 1e6), "container_cpu_system_seconds_total": 1} {
			ts := prompb.TimeSeries{Samples: []prompb.Sample{{Value: v, Timestamp: at.UnixMilli()}}}
			for _, l := range [][2]string{{"__name__", name}, {"project", project}, {"idc", "bj"}, {"cluster", "c1"}, {"node", "n1"}, {"workload", project + "-web"}, {"container", project + "-web"}} {
				ts.Labels = append(ts.Labels, prompb.Label{Name: l[0], Value: l[1]})
			}
			batch.Timeseries = append(batch.Timeseries, ts)
		}
	}
	return batch
}

// followTheRedNumber leads from the red figure on the fleet page to the chart of a container that is the cause, counting the clicks.
func followTheRedNumber(t *testing.T, p *tab) {
	const figure = `.panel[data-title="Firing alerts"] a.figure.bad`
	for range 30 { // the engine shows new series after some seconds
		p.open("/?from=now-15m&to=now")
		if p.truth(`document.querySelector('` + figure + `')`) {
			break
		}
		time.Sleep(time.Second)
	}
	clicks := 0
	click := func(selector string) { clicks++; p.do(chromedp.Click(selector)) }
	click(figure)
	p.wait(`location.pathname === '/d/cont-incidents' && document.querySelector('.panel[data-title^="Firing alerts, newest"] tbody a[href*="var-container=shop-web"]')`)
	click(`.panel[data-title^="Firing alerts, newest"] tbody a[href*="var-container=shop-web"]`)
	p.wait(`location.pathname === '/d/cont-container' && location.search.includes('var-container=shop-web') && location.search.includes('from=now-15m')`)
	const chart = `.panel.timeseries[data-title="CPU"][data-state="drawn"]`
	for range 30 { // what was written seconds ago comes into the chart with the next refresh
		p.settle()
		if p.truth(`document.querySelector('` + chart + ` .legend')?.innerText.includes('user')`) { // the rate, not the limit alone
			break
		}
		time.Sleep(time.Second)
		p.do(chromedp.KeyEvent("r"))
	}
	if got := p.text(`document.querySelector('` + chart + ` .legend')?.innerText`); !strings.Contains(got, "user") {
		t.Errorf("the chart's legend says %q", got)
	}
	if clicks > 3 {
		t.Errorf("%d clicks from the red number to the chart", clicks)
	}
	t.Logf("%d clicks from the red number to the chart", clicks)
	p.shot("container-at-fault")
}

// TestTokensOfTheRealCollectorInABrowser: a token of one project shows that project alone; one that may only read is told so when it
// would silence; one that may silence does, and the Alertmanager inside knows it.
func TestTokensOfTheRealCollectorInABrowser(t *testing.T) {
	chromium := browser(t)
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	text := "tokens:\n"
	for name, grants := range map[string]string{"agents": "[write]", "shop-reads": "[read], projects: [shop]", "shop-silences": "[read, silence], projects: [shop]", "admin": "[admin]"} {
		text += fmt.Sprintf("- {name: %s, sha256: %x, scopes: %s}\n", name, sha256.Sum256([]byte(name)), grants)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	collector, _ := startCollector(t, "--auth.tokens-file="+file)
	write(t, collector, "agents", killed(time.Now(), 0))
	target, err := url.Parse(collector)
	if err != nil {
		t.Fatal(err)
	}
	p := newTab(t, chromium, httputil.NewSingleHostReverseProxy(target)) // in front of it, as the browser drops requests when interfaces come and go
	use := func(token string) {
		evaluate[bool](p, fmt.Sprintf(`(sessionStorage.setItem('plimsoll-token', %q), true)`, token))
	}
	p.open("/runbooks/")
	use("admin")
	for kills := 1.0; ; kills++ { // until both alerts fire
		write(t, collector, "agents", killed(time.Now(), kills))
		p.open("/alerts?q=ContainerOOM")
		if evaluate[int](p, `[...document.querySelectorAll('tbody tr')].filter(r => r.innerText.startsWith('critical')).length`) >= 2 {
			break
		}
		if kills == 30 {
			t.Fatal("no alert fires:\n" + p.text(`document.body.innerText`))
		}
		time.Sleep(500 * time.Millisecond)
	}

	followTheRedNumber(t, p)

	use("shop-reads")
	for _, path := range []string{"/?from=now-15m&to=now", "/d/cont-incidents?from=now-15m&to=now", "/alerts", "/exits", "/nodes"} {
		p.open(path)
		if got := p.text(`document.body.innerText`); strings.Contains(got, "mail") {
			t.Errorf("%s shows another project:\n%s", path, got)
		}
	}
	p.open("/?from=now-15m&to=now&var-project=mail")
	if got := p.text(`document.querySelector('.dashboard').innerText`); strings.Contains(got, "mail-web") {
		t.Errorf("asked for another project, the page shows:\n%s", got)
	}
	p.open("/alerts?q=ContainerOOM")
	silence := func() {
		p.do(chromedp.Click(`button.silence`))
		p.wait(`document.querySelector('dialog[open]')`)
		evaluate[bool](p, `(e => { e.value = 'ann'; return true })(document.querySelector('[name=owner]'))`)
		p.do(chromedp.Click(`dialog .primary`))
	}
	silence()
	p.wait(`document.querySelector('dialog .bad').innerText.startsWith('Not allowed: ') && document.querySelector('dialog .bad').innerText.includes('silence')`)
	p.shot("silence-not-allowed")

	use("shop-silences")
	p.open("/alerts?q=ContainerOOM")
	silence()
	p.wait(`document.querySelectorAll('#silences tbody tr').length === 1 && /Silenced [1-9]/.test(document.querySelector('.tabs').innerText)`)
	if got := p.text(`document.querySelector('#silences tbody').innerText`); !strings.Contains(got, "ann") || !strings.Contains(got, "shop") {
		t.Errorf("the silence is %s", got)
	}
	use("admin")
	p.open("/alerts")
	p.wait(`document.querySelectorAll('#silences tbody tr').length === 1`)
	p.do(chromedp.Click(`#silences tbody button`))
	p.wait(`document.querySelectorAll('#silences tbody tr').length === 0`)
	use("wrong")
	p.open("/alerts")
	p.wait(`document.querySelector('#token')?.innerText.includes('refused this token')`)
}
