package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/projects"
	"github.com/plimsoll/plimsoll/agent/projectmap"
	"github.com/plimsoll/plimsoll/agent/settings"
)

func fileWith(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestContainersComeFromWhatDockerAndKubectlPrintAndFromLists(t *testing.T) {
	for sentence, c := range map[string]struct{ text, want string }{
		"docker inspect": {
			`[{"Id": "4f2d", "Name": "/shop-web-1", "Config": {"Image": "web:1", "Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}}},
			  {"Id": "77aa", "Name": "/k8s_POD_x", "Config": {"Image": "pause", "Labels": {"io.kubernetes.docker.type": "podsandbox"}}},
			  {"Id": "99", "Name": "/lone", "Config": {"Image": "i", "Labels": null}}]`,
			"compose shop/web shop-web-1 web:1, docker /lone lone i",
		},
		"kubectl get pods -A -o json": {
			`{"kind": "List", "items": [{"kind": "Pod", "metadata": {"name": "api-7d4b9c6f58-x2x5z", "namespace": "shop", "labels": {"app": "api"}, "annotations": {"owner": "ann"}},
			  "spec": {"initContainers": [{"name": "wait", "image": "busybox"}], "containers": [{"name": "app", "image": "api:3"}]}}]}`,
			"kubernetes shop/api api-7d4b9c6f58-x2x5z/wait busybox, kubernetes shop/api api-7d4b9c6f58-x2x5z/app api:3",
		},
		"one pod": {
			`{"kind": "Pod", "metadata": {"name": "db-0", "namespace": "shop"}, "spec": {"containers": [{"name": "db", "image": "db:1"}]}}`,
			"kubernetes shop/db db-0/db db:1",
		},
		"a list": {"- {stack: shop, workload: shop_web, image: 'web:1'}\n", "swarm shop/shop_web shop_web web:1"},
	} {
		all, err := containersIn(fileWith(t, c.text))
		if err != nil {
			t.Errorf("%s: %v", sentence, err)
		}
		var got []string
		for _, one := range all {
			got = append(got, one.Runtime+" "+one.Namespace+"/"+one.Workload+" "+nameOf(one)+" "+one.Image)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s:\n got %s\nwant %s", sentence, strings.Join(got, ", "), c.want)
		}
	}
	for _, text := range []string{"", "[]", "- {nmae: x}\n", `{"kind": "Node"}`} {
		if all, err := containersIn(fileWith(t, text)); err == nil {
			t.Errorf("%q: %v", text, all)
		}
	}
}

func TestTheReportSaysWhichRuleDecidedAndWhatIsOfNoUse(t *testing.T) {
	m, err := projectmap.Parse("map.yaml", []byte(`rules:
- {name: pay, match: {namespace: pay*}, project: payments, team: money}
- {name: late, match: {namespace: pay-eu}, project: other}
- {name: gone, match: {namespace: gone}, project: other}
tests:
- {given: {namespace: pay-eu}, project: other}
- {given: {namespace: pay-eu}, project: payments}
`))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	writeCoverage(&out, m, []projectmap.Container{{Name: "lone"}, {Name: "a", Namespace: "pay-eu", Workload: "api"}, {Name: "b", Namespace: "shop"}, {Name: "c", Namespace: "pay"}})
	code := writeFindings(&out, m)
	if code != exitError {
		t.Errorf("code %d although a test fails", code)
	}
	for _, want := range []string{
		"a          pay-eu     api       payments    money  rule pay\n",
		"b          shop       -         shop        -      default: namespace\n",
		"lone       -          -         unassigned  -      nothing matched\n",
		"Coverage of 4 containers:\n",
		"rule pay            2     2        50.0 %  2\n",
		"(unassigned)        -     1        25.0 %  -\n",
		"Unassigned: lone\n",
		"warning: line 3: rule late decided for none of these: the 1 it matches are taken by rules before it\n",
		"warning: line 4: rule gone matches none of these\n",
		"warning: map.yaml:3: rule late can never decide: the rule at line 2 matches all it matches\n",
		"map.yaml:6: test fails: project \"payments\", expected \"other\" (decided by rule pay)\n",
		"tests: 1 of 2 fail\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

func TestTheProjectMapOfTheFlags(t *testing.T) {
	const rules = "rules: [{match: {name: a}, project: mine}]\n"
	served := projectmapServer(t, rules)
	base := defaults()
	base.dataDir = t.TempDir()
	base.urls = settings.Strings{served + "/api/v1/write"}
	open := func(cfg config) (string, projects.Source, error) {
		k, err := openProjects(cfg, nil, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err != nil {
			return "", "", err
		}
		m, source := k.Map()
		return m.Decide(projectmap.Container{Name: "a"}).Project, source, nil
	}
	if project, source, err := open(base); err != nil || project != "mine" || source != projects.Collector {
		t.Errorf("collector: %q from %q, %v", project, source, err)
	}
	cfg := base
	cfg.projectMap = fileWith(t, "rules: [{match: {name: a}, project: local}]\n")
	if project, source, err := open(cfg); err != nil || project != "local" || source != projects.File {
		t.Errorf("file: %q from %q, %v", project, source, err)
	}
	cfg.projectMap = fileWith(t, "rulez: []\n")
	if _, _, err := open(cfg); err == nil || !strings.Contains(err.Error(), cfg.projectMap+":1: ") {
		t.Errorf("a broken file without a last good copy: %v", err)
	}
	if err := os.WriteFile(filepath.Join(cfg.dataDir, "project-map.yaml"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if project, source, err := open(cfg); err != nil || project != "mine" || source != projects.Copy {
		t.Errorf("a broken file with one: %q from %q, %v", project, source, err)
	}
	foreign := base
	foreign.dataDir = t.TempDir()
	foreign.urls = settings.Strings{"http://127.0.0.1:1/api/v1/push"}
	if project, source, err := open(foreign); err != nil || project != "unassigned" || source != projects.Builtin {
		t.Errorf("a receiver that is no collector: %q from %q, %v", project, source, err)
	}
}

// projectmapServer is a collector with a map.
func projectmapServer(t *testing.T, text string) (url string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/project-map" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set(projectmap.HashHeader, "any")
		w.Write([]byte(text))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestProjectMapCommandsNameWhatIsWrong(t *testing.T) {
	bad, failing := fileWith(t, "rules: x\n"), fileWith(t, "tests: [{given: {name: a}, project: b}]\n")
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"project-map"}, exitUsage},
		{[]string{"project-map", "print"}, exitUsage},
		{[]string{"project-map", "test", "--project-map=" + bad}, exitUsage},
		{[]string{"project-map", "test", "--project-map=" + failing}, exitError},
		{[]string{"project-map", "test", "--project-map=../deploy/project-map.example.yaml"}, exitOK},
		{[]string{"project-map", "test", "--project-map=" + failing, "--against=/nowhere"}, exitUsage},
		{[]string{"project-map", "show", "--project-map=" + bad, "--data-dir=" + t.TempDir()}, exitUsage},
		{[]string{"project-map", "show", "--project-map=../deploy/project-map.example.yaml", "--data-dir=" + t.TempDir()}, exitOK},
		{[]string{"once", "--project-map.interval=1ms"}, exitUsage},
	} {
		if code := command(c.args); code != c.code {
			t.Errorf("%v: code %d, want %d", c.args, code, c.code)
		}
	}
}
