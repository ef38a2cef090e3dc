package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/plimsoll/plimsoll/agent/wire"
)

// asProgram makes this test binary be the program: a process of its own, with its own engine and exit code.
const asProgram = "PLIMSOLL_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// process is a running collector.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	output *bytes.Buffer // complete once the process has ended
	url    string
}

func program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// start runs a collector over dir until the test ends, and waits until it is ready.
func start(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: program(append([]string{"--listen=127.0.0.1:0", "--data-dir=" + dir}, args...)...), output: new(bytes.Buffer)}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	up := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		address, chunk := regexp.MustCompile(`is up".* ui=(\S+)/ `), make([]byte, 4096)
		for {
			n, err := stderr.Read(chunk)
			p.output.Write(chunk[:n])
			if found := address.FindSubmatch(p.output.Bytes()); found != nil && len(up) == 0 && p.url == "" {
				up <- string(found[1])
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-read
		p.cmd.Wait()
		if t.Failed() {
			t.Logf("the collector said:\n%s", p.output)
		}
	})
	select {
	case p.url = <-up:
	case <-read:
		t.Fatalf("the collector did not start:\n%s", p.output)
	case <-time.After(30 * time.Second):
		t.Fatal("the collector did not start within 30 s")
	}
	p.eventually("/-/ready", func(code int, _ string) bool { return code == 200 })
	return p
}

// stop sends sig, waits for the end and returns the exit code.
func (p *process) stop(sig syscall.Signal) int {
	p.cmd.Process.Signal(sig)
	p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) get(path string) (int, string) {
	resp, err := http.Get(p.url + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// eventually asks until good says so, at most 20 s.
func (p *process) eventually(path string, good func(int, string) bool) {
	p.t.Helper()
	var code int
	var body string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if code, body = p.get(path); good(code, body) {
			return
		}
	}
	p.t.Fatalf("%s: in the end %d %s", path, code, body)
}

// series waits until expr yields want series.
func (p *process) series(expr string, want int) {
	p.t.Helper()
	p.eventually("/api/v1/query?query="+url.QueryEscape(expr), func(_ int, body string) bool {
		var answer struct {
			Data struct{ Result []json.RawMessage }
		}
		return json.Unmarshal([]byte(body), &answer) == nil && len(answer.Data.Result) == want
	})
}

func (p *process) write(encoding string, body []byte) {
	p.t.Helper()
	r, err := http.NewRequest("POST", p.url+"/api/v1/write", bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Encoding", encoding)
	r.Header.Set("Content-Type", "application/x-protobuf")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(resp.Body)
		p.t.Fatalf("%s: %s %s", encoding, resp.Status, text)
	}
}

func sample(name string, pairs ...string) []byte {
	labels := []wire.Label{{Name: "__name__", Value: name}}
	for i := 0; i+1 < len(pairs); i += 2 {
		labels = append(labels, wire.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	return wire.AppendSeries(nil, wire.AppendLabels(nil, labels), 1, time.Now().UnixMilli())
}

func TestWhatWasWrittenIsThereAfterAStopAndAfterAKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	zstandard, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, dir)
	p.write("snappy", snappy.Encode(nil, sample("first_total", "project", "shop")))
	p.write("zstd", zstandard.EncodeAll(sample("plimsoll_agent_build_info", "cluster", "c1", "idc", "east", "node", "n1", "version", "1.0"), nil))
	p.series(`first_total{project="shop"}`, 1)
	p.eventually("/api/nodes", func(_ int, body string) bool { return strings.Contains(body, `"node":"n1"`) })
	p.series(`plimsoll_collector_build_info{collector!=""}`, 1)
	for metric, kind := range map[string]string{"container_memory_working_set_bytes": "gauge", "plimsoll_collector_samples_ingested_total": "counter"} {
		if _, body := p.get("/api/v1/metadata?metric=" + metric); !strings.Contains(body, `"`+kind+`"`) {
			t.Errorf("metadata of %s: %s", metric, body)
		}
	}
	if code := p.stop(syscall.SIGTERM); code != exitOK {
		t.Fatalf("stopped with code %d:\n%s", code, p.output)
	}

	p = start(t, dir)
	p.series("last_over_time(first_total[1h])", 1)
	if _, body := p.get("/api/nodes"); !strings.Contains(body, `"node":"n1"`) {
		t.Errorf("the node is forgotten: %s", body)
	}
	p.write("snappy", snappy.Encode(nil, sample("second_total")))
	time.Sleep(crashWindow)
	p.stop(syscall.SIGKILL)

	p = start(t, dir)
	p.series("last_over_time(first_total[1h])", 1)
	p.series("last_over_time(second_total[1h])", 1)
}

// crashWindow is how long the engine may take to bring samples to disk: 2 s pending and 2 s in a part in memory, each
// looked at every 2 s.
const crashWindow = 9 * time.Second

func TestASecondCollectorOnTheSameDirectoryEndsAndSaysWhy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir)
	out, err := program("--listen=127.0.0.1:0", "--data-dir="+dir).CombinedOutput()
	if code := exitStatus(err); code != exitError || !strings.Contains(string(out), fmt.Sprintf("held by process %d", p.cmd.Process.Pid)) {
		t.Errorf("code %d:\n%s", code, out)
	}
	if code, _ := p.get("/-/healthy"); code != 200 {
		t.Errorf("the first is hurt: %d", code)
	}
}

func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	if ended, ok := err.(*exec.ExitError); ok {
		return ended.ExitCode()
	}
	return -1
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhatTheOperatorMustChangeEndsWithTwoAndNamesIt(t *testing.T) {
	t.Parallel()
	notADirectory := file(t, "file", "")
	badTokens := file(t, "tokens.yaml", "tokens:\n- {name: a, sha256: beef, scopes: [read]}\n")
	badRules := file(t, "rules.yaml", "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: 'sum('\n")
	badReceivers := file(t, "alertmanager.yml", "route:\n  receiver: nobody\nreceivers: []\n")
	badMap := file(t, "project-map.yaml", "rules:\n- match: {name: {regexp: '['}}\n  project: p\n")
	for want, args := range map[string][]string{
		badMap + ":2":                {"--project-map=" + badMap},
		"--auth.anonymous":           {"--listen=0.0.0.0:0"},
		"--retention=2h0m0s":         {"--retention=2h"},
		"not a directory":            {"--data-dir=" + notADirectory + "/below"},
		badTokens + ":2":             {"--auth.tokens-file=" + badTokens},
		badRules + ":5":              {"--rules=" + badRules},
		badReceivers:                 {"--alertmanager.config=" + badReceivers},
		"--limit.engine-memory=1":    {"--limit.engine-memory=1"},
		"--limit.label-value=100000": {"--limit.label-value=100000"},
	} {
		out, err := program(append([]string{"--listen=127.0.0.1:0", "--data-dir=" + t.TempDir()}, args...)...).CombinedOutput()
		if code := exitStatus(err); code != exitUsage || !strings.Contains(string(out), want) || strings.Contains(string(out), "panic") {
			t.Errorf("%v: code %d, want %q in\n%s", args, code, want, out)
		}
	}
}

func TestWrongUsageNamesWhatIsKnown(t *testing.T) {
	badConfig := file(t, "collector.yaml", "listen: 127.0.0.1:0\nretenton: 30d\n")
	for want, args := range map[string][]string{
		`unknown command "serve"`:          {"serve"},
		"did you mean --retention?":        {"--retenton=30d"},
		`--engine.query-url="" is not`:     {"--engine.write-url=http://x"},
		"--engine.token-file needs":        {"--engine.token-file=x"},
		badConfig + ":2":                   {"--config=" + badConfig},
		"check what? Known are config":     {"check"},
		`unknown command "check alerts"`:   {"check", "alerts"},
		"check project-map: give one file": {"check", "project-map"},
		"dashboards export: give one":      {"dashboards", "export"},
		"check rules: which files?":        {"check", "rules"},
		"alerts test: which files?":        {"alerts", "test"},
		"exclude each other":               {"--alertmanager.config=a", "--alertmanager.url=http://b"},
		`--grafana.url="grafana"`:          {"--grafana.url=grafana"},
		"--limit.labels must not be 0":     {"--limit.labels=0"},
		`--log.format="xml"`:               {"--log.format=xml"},
	} {
		var stdout, stderr bytes.Buffer
		if code := command(args, &stdout, &stderr); code != exitUsage || !strings.Contains(stderr.String(), want) {
			t.Errorf("%v: code %d, want %q in %s", args, code, want, stderr.String())
		}
	}
}

func TestCommandsThatOnlyLook(t *testing.T) {
	good := file(t, "rules.yaml", "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up == 0\n")
	dir := t.TempDir()
	for want, args := range map[string][]string{
		"rules, 9 tests":                       {"check", "project-map", "../deploy/project-map.example.yaml"},
		"plimsoll-collector " + version:        {"version"},
		"--limit.write-body":                   {"--help"},
		"1 groups, 1 rules":                    {"check", "rules", good},
		"the configuration is good":            {"check", "config", "--rules=" + good, "--retention=30d"},
		filepath.Join(dir, "fleet.json"):       {"dashboards", "export", dir},
		filepath.Join(dir, "cm", "fleet.yaml"): {"dashboards", "export", "--format=configmap", filepath.Join(dir, "cm")},
	} {
		var stdout, stderr bytes.Buffer
		if code := command(args, &stdout, &stderr); code != exitOK || !strings.Contains(stdout.String(), want) {
			t.Errorf("%v: code %d, want %q in %s%s", args, code, want, stdout.String(), stderr.String())
		}
	}
	failing := file(t, "project-map.yaml", "tests: [{given: {name: a}, project: b}]\n")
	var stdout, stderr bytes.Buffer
	if code := command([]string{"check", "project-map", failing}, &stdout, &stderr); code != exitError || !strings.Contains(stderr.String(), failing+":1: test fails") {
		t.Errorf("check project-map: code %d, %s", code, stderr.String())
	}
	if code := command([]string{"check", "config", "--rules=/nothing/*.yaml", "--retention=1h", "--listen=:1"}, &stdout, &stderr); code != exitUsage ||
		!strings.Contains(stderr.String(), "--retention") || !strings.Contains(stderr.String(), "--auth.anonymous") {
		t.Errorf("check config: code %d, %s", code, stderr.String())
	}
}

func TestAReloadThatFailsKeepsWhatWas(t *testing.T) {
	t.Parallel()
	rules := file(t, "rules.yaml", "groups:\n- name: mine\n  rules:\n  - alert: Mine\n    expr: vector(1)\n")
	p := start(t, t.TempDir(), "--rules="+rules, "--rules.builtin=false")
	if err := os.WriteFile(rules, []byte("groups: [oops"), 0o600); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(p.url+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 500 || !strings.Contains(string(text), rules) {
		t.Errorf("got %s %s", resp.Status, text)
	}
	if _, body := p.get("/api/v1/rules"); !strings.Contains(body, `"Mine"`) {
		t.Errorf("the rule is gone: %s", body)
	}
	if _, body := p.get("/metrics"); !strings.Contains(body, "plimsoll_collector_config_last_reload_successful 0") {
		t.Error("the failure is not in the metrics")
	}
}

// TestPrometheusWritesToUs: a Prometheus of another maker scrapes us and writes what it got back to us.
func TestPrometheusWritesToUs(t *testing.T) {
	t.Parallel()
	prometheus, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("no prometheus here")
	}
	p, dir := start(t, t.TempDir()), t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs: [{job_name: peer, static_configs: [{targets: ['%s']}]}]\nremote_write: [{url: '%s/api/v1/write', metadata_config: {send_interval: 1s}}]\n",
		strings.TrimPrefix(p.url, "http://"), p.url)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(prometheus, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "tsdb"), "--web.listen-address=127.0.0.1:0", "--log.level=warn")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	p.series(`up{job="peer"} == 1`, 1)
	p.series(`count(plimsoll_collector_write_requests_total{job="peer"}) > 1`, 1)
	p.eventually("/api/v1/metadata?metric=plimsoll_collector_samples_ingested_total", func(_ int, body string) bool { return strings.Contains(body, "counter") })
}
