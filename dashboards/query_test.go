package dashboards

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
)

const page = `{"uid":"cont-x","title":"X","templating":{"list":[
	{"name":"datasource","type":"datasource","query":"prometheus"},
	{"name":"idc","type":"query","query":"label_values(machine_cpu_cores, idc)","includeAll":true,"multi":true,"allValue":".*","refresh":2},
	{"name":"container","type":"query","query":"query_result(count by (container) (started{idc=~\"$idc\"}))","regex":"/container=\"([^\"]+)\"/","refresh":2}]},
	"panels":[
	{"type":"row","title":"Folded","collapsed":true,"panels":[
		{"id":2,"type":"timeseries","title":"CPU","targets":[{"refId":"A","range":true,"expr":"sum(rate(cpu{idc=~\"$idc|\",container=\"$container\"}[$__rate_interval]))"}]}]},
	{"type":"row","title":"Open"},
	{"id":4,"type":"stat","title":"Count","targets":[{"refId":"A","instant":true,"expr":"count(cpu)"}]}]}`

func load(t *testing.T, files map[string]string) ([]Dashboard, error) {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return Load(fsys)
}

func TestQueriesHaveTheirVariablesWrittenIn(t *testing.T) {
	all, err := load(t, map[string]string{"x.json": page})
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	queries, err := all[0].Queries(t.Context(), func(_ context.Context, expr string) ([]map[string]string, error) {
		asked = append(asked, expr)
		return []map[string]string{{"container": "web"}, {"container": "worker"}, {}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(asked) != 1 || asked[0] != `count by (container) (started{idc=~".*"})` {
		t.Errorf("asked %q", asked)
	}
	want := []Query{
		{Dashboard: "cont-x", Panel: "CPU", PanelID: 2, RefID: "A", Expr: `sum(rate(cpu{idc=~".*|",container="web"}[1m]))`},
		{Dashboard: "cont-x", Panel: "Count", PanelID: 4, RefID: "A", Expr: `count(cpu)`, Instant: true},
	}
	if len(queries) != 2 || queries[0] != want[0] || queries[1] != want[1] {
		t.Errorf("got %+v", queries)
	}
	if all[0].Panels[0].Row != "Folded" || all[0].Panels[1].Row != "Open" {
		t.Errorf("rows of %+v", all[0].Panels)
	}
}

func TestCheckTellsEmptyFromFailed(t *testing.T) {
	fsys := fstest.MapFS{"x.json": &fstest.MapFile{Data: []byte(page)}}
	there := map[string]bool{ // what the fleet has
		`count by (container) (started{idc=~".*"})`: true,
		`count(cpu{})`:                true,
		`count(cpu{container="web"})`: true,
	}
	answer := func(_ context.Context, expr string) ([]map[string]string, error) {
		switch {
		case expr == "count(cpu)":
			return nil, errors.New("timeout")
		case there[expr]:
			return []map[string]string{{"container": "web"}}, nil
		}
		return nil, nil
	}
	findings, err := Check(t.Context(), fsys, answer, nil)
	if err != nil || len(findings) != 2 {
		t.Fatalf("%+v, %v", findings, err)
	}
	if f := findings[0]; f.OK() || f.Err != nil || f.Series != 0 || len(f.Missing) != 1 || f.Missing[0] != `no series cpu with idc=~".*|"` {
		t.Errorf("the empty one: %+v", f)
	}
	if f := findings[1]; f.OK() || f.Err == nil {
		t.Errorf("the failed one: %+v", f)
	}
	delete(there, `count(cpu{})`)
	delete(there, `count(cpu{container="web"})`)
	if findings, err = Check(t.Context(), fsys, answer, nil); err != nil || findings[0].Missing[0] != "no series cpu" {
		t.Errorf("%+v, %v", findings, err)
	}
	_, err = Check(t.Context(), fsys, func(context.Context, string) ([]map[string]string, error) { return nil, nil }, nil)
	if err == nil || !strings.Contains(err.Error(), `variable container: no series of count by (container) (started{idc=~".*"}) has the label container`) {
		t.Errorf("no container at all: %v", err)
	}
}

func TestRuntimesAreToldApart(t *testing.T) {
	runtimes, err := Runtimes(t.Context(), func(_ context.Context, expr string) ([]map[string]string, error) {
		k8s := []map[string]string{{"idc": "west", "cluster": "k.1", "node": "n1"}, {"idc": "west", "cluster": "k2", "node": "n2"}}
		switch {
		case strings.Contains(expr, "kubepods"):
			return k8s, nil
		case strings.Contains(expr, "name=~"):
			return nil, nil
		}
		return append(k8s, map[string]string{"node": "host1"}), nil
	})
	if err != nil || len(runtimes) != 2 {
		t.Fatalf("%+v, %v", runtimes, err)
	}
	if r := runtimes[0]; r.Name != "Kubernetes" || r.Nodes != 2 || r.At["idc"] != "west" || r.At["cluster"] != `k2|k\\.1` {
		t.Errorf("%+v", r)
	}
	if r := runtimes[1]; r.Name != "plain Docker" || r.Nodes != 1 || r.At["idc"] != "" || r.At["cluster"] != "" {
		t.Errorf("%+v", r)
	}
	if _, err := Runtimes(t.Context(), func(context.Context, string) ([]map[string]string, error) { return nil, nil }); err == nil {
		t.Error("an empty fleet has a runtime")
	}
}

func TestAFileThatIsNoDashboardIsNamed(t *testing.T) {
	f := func(files map[string]string, want string) {
		t.Helper()
		if _, err := load(t, files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", files, err, want)
		}
	}
	f(nil, "no dashboards")
	f(map[string]string{"a.json": `{`}, "dashboard a.json: ")
	f(map[string]string{"a.json": `{"title":"A"}`}, "uid is missing")
	f(map[string]string{"a.json": `{"uid":"a"}`}, "title is missing")
	f(map[string]string{"a.json": `{"uid":"a","title":"A","id":7}`}, "id is set")
	f(map[string]string{"a.json": `{"uid":"` + strings.Repeat("a", 41) + `","title":"A"}`}, "has 41 characters")
	f(map[string]string{"a.json": `{"uid":"a","title":"A"}`, "b.json": `{"uid":"a","title":"B"}`}, `uid "a" is also that of a.json`)
}

func TestExpand(t *testing.T) {
	f := func(expr, want string) {
		t.Helper()
		if got := Expand(expr, map[string]string{"idc": ".*", "__range": "1h"}); got != want {
			t.Errorf("%s gives %s, want %s", expr, got, want)
		}
	}
	f(`x{idc=~"$idc"}`, `x{idc=~".*"}`)
	f(`x{idc=~"${idc}|"}[$__range]`, `x{idc=~".*|"}[1h]`)
	f(`x{c="$cluster"}`, `x{c="$cluster"}`)
}
