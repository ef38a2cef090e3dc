package e2e_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/klauspost/compress/snappy"
)

// The whole of bank's data carries this word, and no request of an attempt does.
const secretWord = "vault"

// house is a collector in which project shop has data, and bank as well unless it is the twin.
type house struct {
	*program
	bankSilence string
}

// openHouse starts a collector and fills it. Both houses get the same samples of shop at the same moment.
func openHouse(t *testing.T, binary string, withBank bool, at time.Time) *house {
	t.Helper()
	tokens := "tokens:\n"
	for name, what := range map[string]string{
		"root": "scopes: [admin]", "shop": "scopes: [read, silence], projects: [shop]", "shopnodes": "scopes: [read], projects: [shop], nodes: true",
		"bound": `scopes: [write], write: {idc: [east], node: ["n-*"], project: [shop]}`,
	} {
		tokens += fmt.Sprintf("- {name: %s, sha256: %x, %s}\n", name, sha256.Sum256([]byte(name)), what)
	}
	rules := `
groups:
- name: demo
  interval: 1s
  rules:
  - alert: DemoTooMuch
    expr: demo_total > 0
    labels: {severity: warning}
    annotations: {summary: "{{ $labels.workload }} has {{ $value }}"}
- name: shop
  interval: 1s
  rules:
  - alert: ShopTooMuch
    expr: demo_total{project="shop"} > 0
    labels: {severity: warning, project: shop}
- name: watchers
  interval: 1s
  rules:
  - alert: DemoWatched
    expr: demo_total{project="shop"} > 0 or demo_vault_total > 1e9
    annotations:
      summary: '{{ $labels.workload }} is watched'
      beside: '{{ range query "demo_total" }}{{ label "workload" . }} {{ end }}'
      most: '{{ with query "topk(1, demo_total)" }}{{ . | first | label "node" }}{{ end }}'
`
	projects := "rules:\n- {name: shops, match: {namespace: s}, project: shop}\n"
	if withBank {
		rules += `
- name: bank
  interval: 1s
  rules:
  - alert: BankTooMuch
    expr: demo_vault_total > 0
    labels: {severity: warning, project: bank}
    annotations: {summary: the vault is open}
  - record: bank:vault
    expr: sum(demo_vault_total)
`
		projects += "- {name: vaults, match: {namespace: v}, project: bank, team: vaulters}\n"
	}
	address := freePort(t)
	name := map[bool]string{true: "collector", false: "twin"}[withBank]
	h := &house{program: start(t, name, "http://"+address, binary, "--listen="+address, "--data-dir="+t.TempDir(), "--rules.builtin=false", "--rules="+file(t, "rules.yaml", rules),
		"--project-map="+file(t, "projects.yaml", projects), "--auth.tokens-file="+file(t, "tokens.yaml", tokens))}
	h.waitReady(t)
	if withBank { // first, so that what a rule asks about shop finds it
		h.push(t, "root", at, 204, "project", "bank", secretWord)
	}
	h.push(t, "root", at, 204, "project", "shop", "cart")
	h.pushNode(t, at)
	if withBank {
		h.bankSilence = h.silence(t, "bank")
	}
	want := map[bool]int{true: 5, false: 3}[withBank]
	eventually(t, 30*time.Second, name+" fires", func() error {
		var alerts []any
		if err := json.Unmarshal([]byte(h.ask(t, "root", attempt{method: "GET", target: "/api/v2/alerts"}).body), &alerts); err != nil || len(alerts) != want {
			return fmt.Errorf("%d alerts, want %d (%v)", len(alerts), want, err)
		}
		return nil
	})
	return h
}

// watched asks for the alert of a rule that fills annotations by queries.
func watched() attempt {
	return attempt{method: "GET", target: "/api/v2/alerts?filter=" + url.QueryEscape(`alertname="DemoWatched"`)}
}

// series of a project; every label but those that place it contains word.
func series(at time.Time, placeLabel, place, word string) []prompb.TimeSeries {
	value := float64(len(word))
	var all []prompb.TimeSeries
	for _, name := range []string{"demo_total", "demo_" + word + "_total", "container_start_time_seconds", "container_exit_code", "container_exit_cpu_seconds", "container_exits_total"} { // a change of the last makes all visible at once
		for i := range 2 {
			if i == 1 && !strings.HasPrefix(name, "container_s") {
				continue
			}
			ts := prompb.TimeSeries{Samples: []prompb.Sample{{Timestamp: at.Add(time.Duration(i*90-100) * time.Second).UnixMilli(), Value: value}}}
			if name != "container_start_time_seconds" {
				ts.Samples[0].Timestamp = at.UnixMilli()
			}
			for _, l := range [][2]string{{"__name__", name}, {"cluster", "c1"}, {"container", word}, {"id", "/" + word + fmt.Sprint(i)}, {"idc", "east"}, {"image", word + ":" + fmt.Sprint(i)}, {"node", "n-" + word}, {placeLabel, place}, {"reason", "error"}, {"workload", word}} {
				ts.Labels = append(ts.Labels, prompb.Label{Name: l[0], Value: l[1]})
			}
			all = append(all, ts)
		}
	}
	return all
}

func (h *house) push(t *testing.T, token string, at time.Time, want int, placeLabel, place, word string) string {
	t.Helper()
	return h.write(t, token, want, &prompb.WriteRequest{Timeseries: series(at, placeLabel, place, word), Metadata: []prompb.MetricMetadata{{MetricFamilyName: "demo_" + word + "_total", Help: "of the " + word}, {MetricFamilyName: "demo_total", Help: "counts the " + word}, {MetricFamilyName: "container_exit_code", Help: "of a " + word}}})
}

// pushNode sends what an agent tells of its node.
func (h *house) pushNode(t *testing.T, at time.Time) {
	t.Helper()
	wr := &prompb.WriteRequest{}
	for _, name := range []string{"plimsoll_agent_build_info", "demo_node_load"} {
		wr.Timeseries = append(wr.Timeseries, prompb.TimeSeries{Samples: []prompb.Sample{{Timestamp: at.UnixMilli(), Value: 1}},
			Labels: []prompb.Label{{Name: "__name__", Value: name}, {Name: "cluster", Value: "c1"}, {Name: "idc", Value: "east"}, {Name: "node", Value: "n-" + secretWord}}})
	}
	h.numbered(t, "root", 1, wr)
}

// numbered sends a batch of the node's agent.
func (h *house) numbered(t *testing.T, token string, number int, wr *prompb.WriteRequest) {
	t.Helper()
	got := h.ask(t, token, attempt{method: "POST", target: "/api/v1/write", body: string(snappy.Encode(nil, wr.MarshalProtobuf(nil))),
		header: []string{"Content-Encoding", "snappy", "X-Plimsoll-Agent", "spool-of-the-node", "X-Plimsoll-Sequence", fmt.Sprint(number), "X-Plimsoll-First-Sequence", "1"}})
	if got.code != 204 {
		t.Fatalf("batch %d with token %s: %d %s", number, token, got.code, got.body)
	}
}

func (h *house) write(t *testing.T, token string, want int, wr *prompb.WriteRequest) string {
	t.Helper()
	got := h.ask(t, token, attempt{method: "POST", target: "/api/v1/write", body: string(snappy.Encode(nil, wr.MarshalProtobuf(nil))), header: []string{"Content-Encoding", "snappy"}})
	if got.code != want {
		t.Fatalf("write with token %s: %d %s", token, got.code, got.body)
	}
	return got.body
}

// silence makes one for a project and returns its id.
func (h *house) silence(t *testing.T, project string) string {
	t.Helper()
	got := h.ask(t, "root", attempt{method: "POST", target: "/api/v2/silences", header: []string{"Content-Type", "application/json"},
		body: fmt.Sprintf(`{"matchers":[{"name":"project","value":%q,"isRegex":false},{"name":"alertname","value":"none","isRegex":false}],"startsAt":%q,"endsAt":%q,"createdBy":"root","comment":%q}`, project, soon(-1), soon(1), secretWord)})
	var made struct{ SilenceID string }
	if err := json.Unmarshal([]byte(got.body), &made); err != nil || made.SilenceID == "" {
		t.Fatalf("%d %s", got.code, got.body)
	}
	return made.SilenceID
}

func soon(hours int) string {
	return time.Now().Add(time.Duration(hours) * time.Hour).UTC().Format(time.RFC3339)
}

type reply struct {
	code int
	body string
}

func (h *house) ask(t *testing.T, token string, a attempt) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), a.method, h.url+a.target, bytes.NewReader([]byte(a.body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(a.header); i += 2 {
		if a.header[i] == "Authorization" && i == 0 {
			req.Header.Del("Authorization")
		}
		req.Header.Add(a.header[i], strings.Replace(a.header[i+1], "SHOP", token, 1))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", a.method, a.target, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, string(body)}
}

// plain leaves out of an answer what differs between two collectors and between two moments: times, ids given at random, and what
// is told of an alert when there was time to look for it.
func plain(r reply) string {
	body := r.body
	for _, p := range []string{`\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:\d\d)`, `\b1[0-9]{9}(\.\d+)?\b`, `\b1[0-9]{12}\b`, `"(executionTimeMsec|evaluationTime|interval|firingSeconds|released|neverActed)":[0-9a-z.-]+`, `127\.0\.0\.1:\d+`, `[0-9a-f]{8}-[0-9a-f-]{27}`, `/tmp/[^"]*/`, `"(last_exit|last_release|usage)":"[^"]*"`, `"plimsoll_collector_\w+"(:\[[^\]]*\])?`} {
		body = regexp.MustCompile(p).ReplaceAllString(body, "")
	}
	// Lists come in no order.
	parts := strings.FieldsFunc(body, func(r rune) bool { return strings.ContainsRune("{}[],\n", r) })
	slices.Sort(parts)
	return fmt.Sprint(r.code, " ", strings.Join(parts, " "))
}

// TestATokenOfOneProjectLearnsNothingOfAnother asks everything an attacker may think of of two collectors, one of which has no
// other project. No answer may contain what only the other project has, and both collectors must answer alike: who can not tell
// whether the other is there has learned nothing of it.
func TestATokenOfOneProjectLearnsNothingOfAnother(t *testing.T) {
	_, binary := buildPrograms(t)
	at := time.Now().Truncate(time.Second)
	houses := [2]*house{}
	var opening sync.WaitGroup
	for i := range houses {
		opening.Go(func() { houses[i] = openHouse(t, binary, i == 0, at) })
	}
	opening.Wait()
	house, twin := houses[0], houses[1]
	if house == nil || twin == nil {
		t.FailNow()
	}
	eventually(t, 20*time.Second, "the rule that asks a query names the other", func() error {
		if got := house.ask(t, "root", watched()).body; !strings.Contains(got, `"most":"n-vault"`) || !strings.Contains(got, "generatorURL") {
			return fmt.Errorf("it says %s", got)
		}
		return nil
	})
	before := house.ask(t, "root", attempt{method: "GET", target: "/api/v2/silence/" + house.bankSilence}).body
	if got := house.ask(t, "root", attempt{method: "GET", target: "/api/v1/query?query=demo_total&time=" + fmt.Sprint(at.Unix())}).body; !strings.Contains(got, secretWord) || !strings.Contains(got, "cart") {
		t.Fatalf("the data is not there: %s", got)
	}
	// What changes by itself, as new alerts do, may be seen by one of the two first.
	patience := time.Now().Add(25 * time.Second)
	leaks, differ, told := 0, 0, map[int]int{}
	var table strings.Builder
	for _, a := range attempts() {
		fill := strings.NewReplacer("AT", fmt.Sprint(at.Unix()), "BANK", house.bankSilence, "SOON", soon(1))
		asked := attempt{how: a.how, method: a.method, target: fill.Replace(a.target), header: a.header, body: fill.Replace(a.body)}
		got, without := house.ask(t, "shop", asked), twin.ask(t, "shop", asked)
		leak := strings.Contains(strings.ReplaceAll(got.body, asked.target, ""), secretWord) && !strings.Contains(asked.target+asked.body, secretWord)
		for !leak && plain(got) != plain(without) && time.Now().Before(patience) {
			time.Sleep(300 * time.Millisecond)
			got, without = house.ask(t, "shop", asked), twin.ask(t, "shop", asked)
		}
		verdict := "same as without"
		switch {
		case leak:
			verdict = "LEAK"
			leaks++
			t.Errorf("%s: %s %s tells %.600s", a.how, a.method, asked.target, got.body)
		case plain(got) != plain(without):
			verdict = "DIFFERS"
			differ++
			t.Errorf("%s: %s %s\nwith the other project:    %d %.600s\nwithout the other project: %d %.600s", a.how, a.method, asked.target, got.code, got.body, without.code, without.body)
		}
		told[got.code]++
		fmt.Fprintf(&table, "%4d  %-16s %-52.52s %s %.90s\n", got.code, verdict, a.how, a.method, a.target)
	}
	t.Logf("%d attempts, %d leaks, %d answers that differ from those of a collector without the other project, codes %v\n%s", len(attempts()), leaks, differ, told, table.String())

	if after := house.ask(t, "root", attempt{method: "GET", target: "/api/v2/silence/" + house.bankSilence}).body; !strings.Contains(after, `"state":"active"`) || plain(reply{body: after}) != plain(reply{body: before}) {
		t.Errorf("the other's silence was changed: %s", after)
	}
	var silences []struct {
		CreatedBy string
		Matchers  []struct{ Name, Value string }
	}
	if err := json.Unmarshal([]byte(house.ask(t, "root", attempt{method: "GET", target: "/api/v2/silences"}).body), &silences); err != nil || len(silences) == 0 {
		t.Fatal(err, silences)
	}
	for _, s := range silences {
		if own := fmt.Sprint(s.Matchers) == "[{project shop}]"; s.CreatedBy == "mallory" && !own {
			t.Errorf("a silence was made: %v", s)
		}
	}
	if got := house.ask(t, "root", attempt{method: "GET", target: "/api/v2/alerts"}).body; strings.Contains(got, "Forged") {
		t.Errorf("an alert was put: %s", got)
	}
}

// TestATokenReachesWhatIsItsOwn is the other half: a restriction that shows nothing keeps every secret.
func TestATokenReachesWhatIsItsOwn(t *testing.T) {
	_, binary := buildPrograms(t)
	at := time.Now().Truncate(time.Second)
	h := openHouse(t, binary, true, at)
	for target, want := range map[string]string{
		"/api/v1/query?query=demo_total": `"workload":"cart"`, "/api/v1/label/project/values": `["shop"]`, "/api/v1/series?match[]=demo_total": `"cart"`, "/api/v1/labels": `"workload"`,
		"/api/v1/export?match[]=demo_total": `"cart"`, "/api/v1/metadata": `"container_exit_code":[{`, "/api/exits": `"workload":"cart"`, "/api/releases": `"new_image":"cart:1"`, "/api/v1/alerts": `"DemoTooMuch"`,
		"/api/v1/rules": `"ShopTooMuch"`, "/api/v2/alerts": `"DemoTooMuch"`, "/api/v2/alerts/groups": `"ShopTooMuch"`, "/api/project-map?format=json": `"shop"`, "/api/v2/status": `"versionInfo"`, "/vmui/": "<html", "/prometheus/vmui/timezone": `"timezone"`, "/prometheus/vmui/custom-dashboards": "dashboards",
	} {
		eventually(t, 15*time.Second, target, func() error {
			if got := h.ask(t, "shop", attempt{method: "GET", target: target}); got.code != 200 || !strings.Contains(got.body, want) {
				return fmt.Errorf("%d %.300s, want %s", got.code, got.body, want)
			}
			return nil
		})
	}
	nodes := attempt{method: "GET", target: "/api/v1/query?query=demo_node_load"}
	if got := h.ask(t, "shop", nodes).body; strings.Contains(got, secretWord) {
		t.Errorf("a node's series without `nodes`: %s", got)
	}
	if got := h.ask(t, "shopnodes", nodes).body; !strings.Contains(got, secretWord) {
		t.Errorf("no node's series with `nodes`: %s", got)
	}
	if got := h.ask(t, "shopnodes", attempt{method: "GET", target: "/api/nodes"}); got.code != 200 || !strings.Contains(got.body, "n-"+secretWord) {
		t.Errorf("nodes: %d %s", got.code, got.body)
	}
	if got := h.ask(t, "shopnodes", attempt{method: "GET", target: "/api/v1/query?query=demo_total"}).body; strings.Contains(got, secretWord) {
		t.Errorf("with `nodes` another project shows: %s", got)
	}

	own := attempt{method: "POST", target: "/api/v2/silences", header: []string{"Content-Type", "application/json"},
		body: fmt.Sprintf(`{"matchers":[{"name":"project","value":"shop","isRegex":false}],"startsAt":%q,"endsAt":%q,"createdBy":"ann","comment":"sale"}`, soon(0), soon(1))}
	got := h.ask(t, "shop", own)
	var made struct{ SilenceID string }
	if json.Unmarshal([]byte(got.body), &made); got.code != 200 || made.SilenceID == "" {
		t.Fatalf("own silence: %d %s", got.code, got.body)
	}
	if got := h.ask(t, "shop", attempt{method: "GET", target: "/api/v2/silences"}).body; !strings.Contains(got, made.SilenceID) || strings.Contains(got, h.bankSilence) {
		t.Errorf("silences: %s", got)
	}
	if got := h.ask(t, "shop", attempt{method: "DELETE", target: "/api/v2/silence/" + made.SilenceID}); got.code != 200 {
		t.Errorf("end it: %d %s", got.code, got.body)
	}
	if got := h.ask(t, "root", attempt{method: "POST", target: "/-/reload"}); got.code != 200 {
		t.Errorf("reload: %d %s", got.code, got.body)
	}
	log := tail(h.log, 200)
	for _, want := range []string{`msg=audit who=shop what="POST /api/v2/silences"`, `matchers="[project=\"shop\"]"`, `made=` + made.SilenceID, `what="DELETE /api/v2/silence/` + made.SilenceID + `"`, `msg=audit who=root what="POST /-/reload" from=127.0.0.1:`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s:\n%s", want, log)
		}
	}

	if got := h.ask(t, "shop", watched()).body; !strings.Contains(got, "cart is watched") || !strings.Contains(got, "knows no projects") {
		t.Errorf("of an own rule's alert: %s", got)
	}

	if said := h.push(t, "bound", at.Add(time.Second), 400, "project", "bank", secretWord); !strings.Contains(said, `project is "bank", token "bound" may write "shop"`) {
		t.Errorf("a write against the token: %s", said)
	}
	h.push(t, "bound", at.Add(time.Second), 204, "project", "shop", "cart")
	h.numbered(t, "bound", 1000, &prompb.WriteRequest{Timeseries: series(at.Add(time.Second), "project", "shop", "cart")})
	if got := h.ask(t, "shopnodes", attempt{method: "GET", target: "/api/nodes"}).body; !strings.Contains(got, `"last_seq":1,`) || strings.Contains(got, `"gaps"`) || strings.Contains(got, "root") {
		t.Errorf("a token numbers the batches of another's agent, or is named: %s", got)
	}
	if got := h.ask(t, "root", attempt{method: "GET", target: "/api/v1/query?query=" + "demo_total%5B1h%5D&time=" + fmt.Sprint(at.Unix()+10)}).body; strings.Count(got, `"6"`)+strings.Count(got, `"5"`) > 2 {
		t.Errorf("samples of bank: %s", got)
	}
}
