package grafana

import (
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/collector/internal/grafana/grafanatest"
	"github.com/plimsoll/plimsoll/dashboards"
)

// everything is what is shipped: the data source, the folder and ten dashboards.
const everything = 12

// TestAgainstGrafana runs every case in an organisation of its own of one real Grafana.
func TestAgainstGrafana(t *testing.T) {
	t.Parallel()
	server := grafanatest.Start(t)
	f := func(name string, test func(t *testing.T, g *grafanatest.Server)) {
		t.Run(name, func(t *testing.T) { test(t, server.InNewOrg(t)) })
	}
	f("into an empty Grafana come the data source, the folder and the dashboards", testEmpty)
	f("a second publish writes nothing", testTwice)
	f("a new collector finds what the one before published", testRestart)
	f("a dashboard edited by hand is put back and its version kept", testEdited)
	f("a dashboard moved to another folder is moved back", testMoved)
	f("a deleted dashboard comes back", testDeleted)
	f("a newer release updates, and prunes what it no longer ships", testRelease)
	f("pruning leaves what is not ours", testPruneIsCareful)
	f("a data source changed by hand is put back, and its own settings stay", testDatasourceRepaired)
	f("a read token of the collector reaches Grafana, and its successor too", testDatasourceToken)
	f("an Editor publishes dashboards and says what it may not do", testEditor)
	f("an Editor is content with a data source an administrator made", testEditorWithDatasource)
	f("a Viewer gets one error for each thing refused", testViewer)
	f("a wrong token is one clear error, and a right one is taken up at the next round", testWrongToken)
	f("somebody else's dashboard with our title is not taken over", testTitleTaken)
	f("a folder of the name that is there is used", testFolderAdopted)
	f("a Grafana under a sub-path that stores dashboards in another form is written to once", testOtherForm)
	f("a Grafana that is down is waited for, with one line in the log", testDown)
	f("what may be kept is kept: a dashboard edited by hand", testKept)
	f("read-only writes nothing and says what it would have", testReadOnly)
	f("a token revoked half-way is one clear error", testRevoked)
	f("a moment is annotated once, by whoever comes first, and gets its end", testAnnotatedOnce)
	f("a kill between the post and the diary doubles nothing", testAnnotatedAfterAKill)
	f("two collectors at once annotate once", testAnnotatedByTwo)
	f("what happens while the token is refused is told later", testAnnotationsRefused)
	f("a round posts at most so many, the next one goes on", testAnnotationsInRounds)
}

func publisher(t *testing.T, g *grafanatest.Server, tokenFile string, shipped fs.FS, change ...func(*Config)) (*Publisher, *prometheus.Registry) {
	t.Helper()
	cfg := Config{URL: g.URL, TokenFile: tokenFile, DatasourceURL: "http://127.0.0.1:9750"}
	for _, c := range change {
		c(&cfg)
	}
	reg := prometheus.NewRegistry()
	p, err := New(cfg, shipped, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	return p, reg
}

// publish is a round; where Grafana takes its own bookkeeping for somebody else's change it answers 412 and the next round looks again.
func publish(t *testing.T, p *Publisher) Report {
	t.Helper()
	r, err := p.Publish(t.Context())
	for again := 0; err != nil && strings.Contains(err.Error(), "412 Precondition Failed") && again < 2; again++ {
		r, err = p.Publish(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type onGrafana struct {
	Meta struct {
		Version   int64  `json:"version"`
		FolderUID string `json:"folderUid"`
	} `json:"meta"`
	Dashboard map[string]any `json:"dashboard"`
}

func dashboardOf(t *testing.T, g *grafanatest.Server, uid string) onGrafana {
	t.Helper()
	var d onGrafana
	if status := g.Do(t, "GET", "/api/dashboards/uid/"+uid, nil, &d); status != http.StatusOK {
		t.Fatalf("dashboard %s: status %d", uid, status)
	}
	return d
}

func wantReport(t *testing.T, got Report, created, updated, repaired, unchanged, skipped, pruned int) {
	t.Helper()
	text := func(a ...any) string {
		return fmt.Sprintf("created %d, updated %d, repaired %d, unchanged %d, skipped %d, pruned %d", a...)
	}
	have := text(got.Created, got.Updated, got.Repaired, got.Unchanged, got.Skipped, got.Pruned)
	if want := text(created, updated, repaired, unchanged, skipped, pruned); have != want {
		t.Errorf("%s; want %s", have, want)
	}
}

func testEmpty(t *testing.T, g *grafanatest.Server) {
	p, reg := publisher(t, g, g.TokenFile(t, "Admin"), dashboards.FS())
	wantReport(t, publish(t, p), everything, 0, 0, 0, 0, 0)

	var source struct {
		Type, URL, Access string
		JSONData          map[string]any
	}
	g.Do(t, "GET", "/api/datasources/uid/plimsoll", nil, &source)
	if source.Type != "prometheus" || source.URL != "http://127.0.0.1:9750" || source.Access != "proxy" ||
		source.JSONData["httpMethod"] != "POST" || source.JSONData["timeInterval"] != "15s" {
		t.Errorf("data source %+v", source)
	}
	var folder struct{ Title string }
	g.Do(t, "GET", "/api/folders/plimsoll", nil, &folder)
	if folder.Title != "Plimsoll" {
		t.Errorf("folder %+v", folder)
	}
	for _, uid := range []string{"cont-fleet", "cont-container"} {
		if d := dashboardOf(t, g, uid); d.Meta.FolderUID != "plimsoll" || d.Meta.Version != 1 {
			t.Errorf("%s: %+v", uid, d.Meta)
		}
	}
	if up := metric(t, reg, "up"); up != 1 {
		t.Errorf("plimsoll_collector_grafana_up is %v", up)
	}
	for _, target := range []string{"grafana", "datasource", "folder", "cont-fleet", "cont-container"} {
		if n := metric(t, reg, "publish_success_total", "target", target); n != 1 {
			t.Errorf("%v successes of %s", n, target)
		}
	}
	if n := metric(t, reg, "writes_total", "action", "created"); n != everything {
		t.Errorf("%v objects created", n)
	}
}

// metric reads one of the publisher's metrics; the labels are names and values in turn.
func metric(t *testing.T, reg *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "plimsoll_collector_grafana_"+name {
			continue
		}
		for _, m := range family.GetMetric() {
			var has []string
			for _, pair := range m.GetLabel() {
				has = append(has, pair.GetName(), pair.GetValue())
			}
			if slices.Equal(has, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric plimsoll_collector_grafana_%s%v", name, labels)
	return 0
}

func testTwice(t *testing.T, g *grafanatest.Server) {
	p, _ := publisher(t, g, g.TokenFile(t, "Admin"), dashboards.FS())
	publish(t, p)
	second := publish(t, p)
	wantReport(t, second, 0, 0, 0, everything, 0, 0)
	if second.Writes() != 0 {
		t.Errorf("%d writes", second.Writes())
	}
	for _, uid := range []string{"cont-fleet", "cont-container"} {
		if d := dashboardOf(t, g, uid); d.Meta.Version != 1 {
			t.Errorf("%s is at version %d", uid, d.Meta.Version)
		}
	}
}

func testRestart(t *testing.T, g *grafanatest.Server) {
	token := g.TokenFile(t, "Admin")
	p, _ := publisher(t, g, token, dashboards.FS())
	publish(t, p)
	again, _ := publisher(t, g, token, dashboards.FS())
	wantReport(t, publish(t, again), 0, 0, 0, everything, 0, 0)
}

func edit(t *testing.T, g *grafanatest.Server, uid, title, folder string) {
	t.Helper()
	d := dashboardOf(t, g, uid)
	d.Dashboard["title"] = title
	body := map[string]any{"dashboard": d.Dashboard, "folderUid": folder, "message": "my own view"}
	if status := g.Do(t, "POST", "/api/dashboards/db", body, nil); status != http.StatusOK {
		t.Fatalf("edit %s: status %d", uid, status)
	}
}

func testEdited(t *testing.T, g *grafanatest.Server) {
	p, _ := publisher(t, g, g.TokenFile(t, "Admin"), dashboards.FS())
	publish(t, p)
	edit(t, g, "cont-fleet", "Mine", "plimsoll")
	wantReport(t, publish(t, p), 0, 0, 1, everything-1, 0, 0)
	d := dashboardOf(t, g, "cont-fleet")
	if d.Dashboard["title"] != "Fleet overview" || d.Meta.Version != 3 {
		t.Errorf("title %v, version %d", d.Dashboard["title"], d.Meta.Version)
	}
	var versions []version
	g.Do(t, "GET", "/api/dashboards/uid/cont-fleet/versions", nil, &versions)
	if len(versions) != 3 || versions[1].Message != "my own view" || !strings.HasPrefix(versions[0].Message, messagePrefix) {
		t.Errorf("history %+v", versions)
	}
	wantReport(t, publish(t, p), 0, 0, 0, everything, 0, 0)
}

func testMoved(t *testing.T, g *grafanatest.Server) {
	p, _ := publisher(t, g, g.TokenFile(t, "Admin"), dashboards.FS())
	publish(t, p)
	g.Do(t, "POST", "/api/folders", map[string]any{"uid": "elsewhere", "title": "Elsewhere"}, nil)
	edit(t, g, "cont-fleet", "Fleet overview", "elsewhere")
	wantReport(t, publish(t, p), 0, 0, 1, everything-1, 0, 0)
	if d := dashboardOf(t, g, "cont-fleet"); d.Meta.FolderUID != "plimsoll" {
		t.Errorf("it is in %s", d.Meta.FolderUID)
	}
	wantReport(t, publish(t, p), 0, 0, 0, everything, 0, 0)
}

func testDeleted(t *testing.T, g *grafanatest.Server) {
	p, _ := publisher(t, g, g.TokenFile(t, "Admin"), dashboards.FS())
	publish(t, p)
	g.Do(t, "DELETE", "/api/dashboards/uid/cont-container", nil, nil)
	wantReport(t, publish(t, p), 1, 0, 0, everything-1, 0, 0)
}

// release is a set of dashboards: uid to title.
func release(set map[string]string) fstest.MapFS {
	files := fstest.MapFS{}
	for uid, title := range set {
		files[uid+".json"] = &fstest.MapFile{Data: []byte(fmt.Sprintf(`{"uid":%q,"title":%q,"tags":["plimsoll"],"schemaVersion":42,"panels":[]}`, uid, title))}
	}
	return files
}

func testRelease(t *testing.T, g *grafanatest.Server) {
	token := g.TokenFile(t, "Admin")
	first, _ := publisher(t, g, token, release(map[string]string{"cont-a": "A", "cont-b": "B", "cont-old": "Old"}))
	wantReport(t, publish(t, first), 5, 0, 0, 0, 0, 0)
	second, _ := publisher(t, g, token, release(map[string]string{"cont-a": "A, better", "cont-b": "B"}))
	wantReport(t, publish(t, second), 0, 1, 0, 3, 0, 1)
	if status := g.Do(t, "GET", "/api/dashboards/uid/cont-old", nil, nil); status != http.StatusNotFound {
		t.Errorf("the dashboard that is no longer shipped: status %d", status)
	}
	third, _ := publisher(t, g, token, release(map[string]string{"cont-a": "A, best", "cont-b": "B"}))
	wantReport(t, publish(t, third), 0, 1, 0, 3, 0, 0)
}

func testPruneIsCareful(t *testing.T, g *grafanatest.Server) {
	p, _ := publisher(t, g, g.TokenFile(t, "Admin"), release(map[string]string{"cont-a": "A"}))
	publish(t, p)
	put := func(uid, title, folder string, tags ...string) {
		t.Helper()
		body := map[string]any{"dashboard": map[string]any{"uid": uid, "title": title, "tags": tags}, "folderUid": folder}
		if status := g.Do(t, "POST", "/api/dashboards/db", body, nil); status != http.StatusOK {
			t.Fatalf("%s: status %d", uid, status)
		}
	}
	g.Do(t, "POST", "/api/folders", map[string]any{"uid": "theirs", "title": "Theirs"}, nil)
	put("copy-of-ours", "A copy", "plimsoll", "plimsoll")
	put("cont-untagged", "Untagged", "plimsoll")
	put("cont-elsewhere", "Elsewhere", "theirs", "plimsoll")
	put("cont-edited", "Edited", "plimsoll", "plimsoll")
	edit(t, g, "cont-edited", "Edited twice", "plimsoll")

	wantReport(t, publish(t, p), 0, 0, 0, 3, 1, 0)
	for _, uid := range []string{"copy-of-ours", "cont-untagged", "cont-elsewhere", "cont-edited"} {
		dashboardOf(t, g, uid)
	}
}

func testDatasourceRepaired(t *testing.T, g *grafanatest.Server) {
	p, _ := publisher(t, g, g.TokenFile(t, "Admin"), release(map[string]string{"cont-a": "A"}))
	publish(t, p)
	g.Do(t, "PUT", "/api/datasources/uid/plimsoll", map[string]any{
		"name": "Containers", "type": "prometheus", "access": "proxy", "url": "http://old:9750", "isDefault": true,
		"jsonData": map[string]any{"httpMethod": "GET", "manageAlerts": false},
	}, nil)
	wantReport(t, publish(t, p), 0, 0, 1, 2, 0, 0)
	var source struct {
		Name, URL string
		IsDefault bool
		JSONData  map[string]any
	}
	g.Do(t, "GET", "/api/datasources/uid/plimsoll", nil, &source)
	if source.URL != "http://127.0.0.1:9750" || source.JSONData["httpMethod"] != "POST" || source.JSONData["timeInterval"] != "15s" {
		t.Errorf("not repaired: %+v", source)
	}
	if source.Name != "Containers" || !source.IsDefault || source.JSONData["manageAlerts"] != false {
		t.Errorf("a person's own settings are gone: %+v", source)
	}
	wantReport(t, publish(t, p), 0, 0, 0, 3, 0, 0)
}

func testDatasourceToken(t *testing.T, g *grafanatest.Server) {
	path := filepath.Join(t.TempDir(), "read-token")
	write := func(token string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	p, _ := publisher(t, g, g.TokenFile(t, "Admin"), release(map[string]string{"cont-a": "A"}), func(c *Config) { c.DatasourceTokenFile = path })
	wantReport(t, publish(t, p), 3, 0, 0, 0, 0, 0)
	wantReport(t, publish(t, p), 0, 0, 0, 3, 0, 0)
	write("second")
	wantReport(t, publish(t, p), 0, 0, 1, 2, 0, 0)
	wantReport(t, publish(t, p), 0, 0, 0, 3, 0, 0)
	var source struct {
		JSONData         map[string]any
		SecureJSONFields map[string]bool
	}
	g.Do(t, "GET", "/api/datasources/uid/plimsoll", nil, &source)
	if source.JSONData["httpHeaderName1"] != "Authorization" || !source.SecureJSONFields["httpHeaderValue1"] {
		t.Errorf("data source %+v", source)
	}
}

func testEditor(t *testing.T, g *grafanatest.Server) {
	p, reg := publisher(t, g, g.TokenFile(t, "Editor"), dashboards.FS())
	r, err := p.Publish(t.Context())
	wantReport(t, r, everything-1, 0, 0, 0, 0, 0)
	if len(r.Problems) != 1 || r.Problems[0].Target != "datasource" || r.Problems[0].Reason != "forbidden" {
		t.Fatalf("problems %+v", r.Problems)
	}
	for _, part := range []string{"may not manage data sources", "uid plimsoll", "http://127.0.0.1:9750", "role Admin"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	if metric(t, reg, "up") != 0 || metric(t, reg, "publish_failures_total", "reason", "forbidden", "target", "datasource") != 1 {
		t.Error("the metrics say all is well")
	}
}

func testEditorWithDatasource(t *testing.T, g *grafanatest.Server) {
	admin, _ := publisher(t, g, g.TokenFile(t, "Admin"), dashboards.FS())
	publish(t, admin)
	p, _ := publisher(t, g, g.TokenFile(t, "Editor"), dashboards.FS())
	wantReport(t, publish(t, p), 0, 0, 0, everything, 0, 0)
}

func testViewer(t *testing.T, g *grafanatest.Server) {
	p, _ := publisher(t, g, g.TokenFile(t, "Viewer"), dashboards.FS())
	r, err := p.Publish(t.Context())
	if err == nil || r.Writes() != 0 || len(r.Problems) != 2 || r.Problems[1].Target != "folder" || r.Problems[1].Reason != "forbidden" {
		t.Errorf("%+v, %v", r, err)
	}
}

func testWrongToken(t *testing.T, g *grafanatest.Server) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("glsa_nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, _ := publisher(t, g, path, dashboards.FS())
	r, err := p.Publish(t.Context())
	if len(r.Problems) != 1 || r.Problems[0].Target != "grafana" || r.Problems[0].Reason != "unauthorized" {
		t.Fatalf("problems %+v", r.Problems)
	}
	for _, part := range []string{"401", path, "service account"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	if err := os.WriteFile(path, []byte(g.Token(t, "Admin")), 0o600); err != nil {
		t.Fatal(err)
	}
	wantReport(t, publish(t, p), everything, 0, 0, 0, 0, 0)
}

func testTitleTaken(t *testing.T, g *grafanatest.Server) {
	g.Do(t, "POST", "/api/folders", map[string]any{"uid": "plimsoll", "title": "Plimsoll"}, nil)
	body := map[string]any{"dashboard": map[string]any{"uid": "theirs", "title": "A"}, "folderUid": "plimsoll"}
	g.Do(t, "POST", "/api/dashboards/db", body, nil)
	p, _ := publisher(t, g, g.TokenFile(t, "Admin"), release(map[string]string{"cont-a": "A", "cont-b": "B"}))
	r, err := p.Publish(t.Context())
	wantReport(t, r, 2, 0, 0, 1, 0, 0)
	if len(r.Problems) != 1 || r.Problems[0].Target != "cont-a" || r.Problems[0].Reason != "conflict" {
		t.Errorf("%+v, %v", r.Problems, err)
	}
	if d := dashboardOf(t, g, "theirs"); d.Meta.Version != 1 {
		t.Errorf("their dashboard was written to: %+v", d.Meta)
	}
}

func testFolderAdopted(t *testing.T, g *grafanatest.Server) {
	g.Do(t, "POST", "/api/folders", map[string]any{"uid": "made-by-hand", "title": "Plimsoll"}, nil)
	p, _ := publisher(t, g, g.TokenFile(t, "Admin"), dashboards.FS())
	wantReport(t, publish(t, p), everything-1, 0, 0, 1, 0, 0)
	if d := dashboardOf(t, g, "cont-fleet"); d.Meta.FolderUID != "made-by-hand" {
		t.Errorf("it is in %s", d.Meta.FolderUID)
	}
	wantReport(t, publish(t, p), 0, 0, 0, everything, 0, 0)
}

func testKept(t *testing.T, g *grafanatest.Server) {
	token := g.TokenFile(t, "Admin")
	keep := func(c *Config) { c.Edits, c.Editable = Keep, true }
	p, _ := publisher(t, g, token, release(map[string]string{"cont-a": "A", "cont-b": "B"}), keep)
	wantReport(t, publish(t, p), 4, 0, 0, 0, 0, 0)
	if d := dashboardOf(t, g, "cont-a"); d.Dashboard["editable"] != true {
		t.Errorf("editable is %v", d.Dashboard["editable"])
	}
	edit(t, g, "cont-a", "Mine", "plimsoll")
	wantReport(t, publish(t, p), 0, 0, 0, 3, 1, 0)
	newer, reg := publisher(t, g, token, release(map[string]string{"cont-a": "A, better", "cont-b": "B, better"}), keep)
	wantReport(t, publish(t, newer), 0, 1, 0, 2, 1, 0)
	if d := dashboardOf(t, g, "cont-a"); d.Dashboard["title"] != "Mine" {
		t.Errorf("title %v", d.Dashboard["title"])
	}
	if n := metric(t, reg, "publish_skipped_total", "reason", "edited", "target", "cont-a"); n != 1 {
		t.Errorf("skipped %v times", n)
	}
}

func testReadOnly(t *testing.T, g *grafanatest.Server) {
	token := g.TokenFile(t, "Admin")
	look := func(c *Config) { c.ReadOnly = true }
	p, reg := publisher(t, g, token, release(map[string]string{"cont-a": "A"}), look)
	wantReport(t, publish(t, p), 0, 0, 0, 0, 3, 0)
	if status := g.Do(t, "GET", "/api/dashboards/uid/cont-a", nil, nil); status != http.StatusNotFound {
		t.Errorf("the dashboard is there: status %d", status)
	}
	if n := metric(t, reg, "publish_skipped_total", "reason", "read_only", "target", "cont-a"); n != 1 {
		t.Errorf("skipped %v times", n)
	}
	writer, _ := publisher(t, g, token, release(map[string]string{"cont-a": "A", "cont-old": "Old"}))
	publish(t, writer)
	edit(t, g, "cont-a", "Mine", "plimsoll")
	wantReport(t, publish(t, p), 0, 0, 0, 2, 2, 0)
	if d := dashboardOf(t, g, "cont-a"); d.Dashboard["title"] != "Mine" || d.Meta.Version != 2 {
		t.Errorf("written to: %+v", d.Meta)
	}
}

// Grafana refuses from the moment the service account's token is gone; the collector says so and goes on.
func testRevoked(t *testing.T, g *grafanatest.Server) {
	path, revoke := g.RevocableTokenFile(t, "Admin")
	p, reg := publisher(t, g, path, release(map[string]string{"cont-a": "A"}))
	publish(t, p)
	revoke()
	r, err := p.Publish(t.Context())
	if len(r.Problems) != 1 || r.Problems[0].Reason != "unauthorized" || !strings.Contains(err.Error(), path) || r.Writes() != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if metric(t, reg, "up") != 0 {
		t.Error("the metrics say all is well")
	}
	dashboardOf(t, g, "cont-a")
}
