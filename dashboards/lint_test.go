package dashboards

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"

	"github.com/plimsoll/plimsoll/agent/catalog"
)

// The rules of Grafana's dashboard-linter, on the files as they are committed. Left out are its job and instance
// rules alone: figures are pushed here, nothing has such labels. TestLint is one rule per subtest.
func TestLint(t *testing.T) {
	all, err := Load(FS())
	if err != nil {
		t.Fatal(err)
	}
	eachPanel := func(rule func(t *testing.T, p Panel)) func(*testing.T) {
		return func(t *testing.T) {
			for _, d := range all {
				for _, p := range d.Panels {
					t.Run(d.UID+"/"+p.Row+"/"+p.Title, func(t *testing.T) { rule(t, p) })
				}
			}
		}
	}
	eachTarget := func(rule func(t *testing.T, p Panel, q Target)) func(*testing.T) {
		return eachPanel(func(t *testing.T, p Panel) {
			for _, q := range p.Targets {
				rule(t, p, q)
			}
		})
	}

	t.Run("uid is fixed, ours and short; the dashboard is tagged and read-only", func(t *testing.T) {
		for _, d := range all {
			if !strings.HasPrefix(d.UID, "cont-") || len(d.UID) > 40 {
				t.Errorf("%s: uid %q does not begin with cont- or has more than 40 characters", d.File, d.UID)
			}
			if !slices.Contains(d.Tags, "plimsoll") {
				t.Errorf("%s: the tag plimsoll is missing: neither the publisher nor the header link would know it", d.File)
			}
			top := map[string]any{}
			if err := json.Unmarshal(d.JSON, &top); err != nil {
				t.Fatal(err)
			}
			if top["editable"] != false || top["schemaVersion"] != 42.0 {
				t.Errorf("%s: editable is %v, schemaVersion %v", d.File, top["editable"], top["schemaVersion"])
			}
			for _, key := range []string{"id", "version", "iteration"} {
				if _, set := top[key]; set {
					t.Errorf("%s: %s is set; it belongs to one Grafana", d.File, key)
				}
			}
			if d.Variables[0].Name != "datasource" || d.Variables[0].Type != "datasource" {
				t.Errorf("%s: the first variable is %+v, not the data source", d.File, d.Variables[0])
			}
		}
	})
	t.Run("variables are read again with the time range, and All matches a missing label", func(t *testing.T) {
		for _, d := range all {
			for _, v := range d.Variables[1:] {
				if v.Refresh != 2 || v.IncludeAll != v.Multi || v.IncludeAll && v.AllValue != ".*" {
					t.Errorf("%s: variable %+v", d.File, v)
				}
				if _, label, err := v.offered(); err != nil || label != v.Name {
					t.Errorf("%s: variable %s: label %q, %v", d.File, v.Name, label, err)
				}
			}
		}
	})
	t.Run("a panel is of a type every viewer draws", eachPanel(func(t *testing.T, p Panel) {
		if !slices.Contains([]string{"stat", "timeseries", "table", "bargauge", "text"}, p.Type) {
			t.Errorf("type %s is not in the promised subset", p.Type)
		}
	}))
	t.Run("a panel says what it is, what is normal and what to do", eachPanel(func(t *testing.T, p Panel) {
		parts := strings.Split(p.Description, "\n\n")
		if p.Title == "" || len(parts) != 3 || len(parts[0]) < 20 || !strings.HasPrefix(parts[1], "Normal: ") || !strings.HasPrefix(parts[2], "Do: ") {
			t.Errorf("title %q, description %q", p.Title, p.Description)
		}
	}))
	t.Run("a panel has a unit", eachPanel(func(t *testing.T, p Panel) {
		if p.Type != "text" && p.Unit == "" {
			t.Error("no unit")
		}
	}))
	t.Run("ids are unique", func(t *testing.T) {
		for _, d := range all {
			seen := map[int]string{}
			for _, p := range d.Panels {
				if other, taken := seen[p.ID]; taken || p.ID <= 0 {
					t.Errorf("%s: id %d of %q is that of %q", d.File, p.ID, p.Title, other)
				}
				seen[p.ID] = p.Title
			}
		}
	})
	t.Run("the panels of a line fill it", func(t *testing.T) {
		for _, d := range all {
			type place struct {
				row string
				y   int
			}
			lines := map[place][]Panel{}
			for _, p := range d.Panels {
				lines[place{p.Row, p.Y}] = append(lines[place{p.Row, p.Y}], p)
			}
			for at, line := range lines {
				x := 0
				for _, p := range line {
					if p.X != x || p.H != line[0].H {
						t.Errorf("%s, %s: %q is at %d,%d and %d high; beside it is room from %d, %d high", d.File, at.row, p.Title, p.X, p.Y, p.H, x, line[0].H)
					}
					x += p.W
				}
				if x != 24 {
					t.Errorf("%s, %s, line %d: widths add up to %d, not 24", d.File, at.row, at.y, x)
				}
			}
		}
	})
	t.Run("a panel asks something, of the chosen data source", eachPanel(func(t *testing.T, p Panel) {
		if p.Type == "text" {
			return
		}
		if len(p.Targets) == 0 {
			t.Error("no targets")
		}
		if p.Datasource != "${datasource}" {
			t.Errorf("data source of the panel is %q", p.Datasource)
		}
		for i, q := range p.Targets {
			if q.Datasource != "${datasource}" {
				t.Errorf("data source of target %s is %q", q.RefID, q.Datasource)
			}
			if q.RefID != string(rune('A'+i)) || q.Instant == q.Range {
				t.Errorf("target %d: refId %s, instant %v, range %v", i, q.RefID, q.Instant, q.Range)
			}
		}
	}))
	t.Run("a graph names its lines", eachTarget(func(t *testing.T, p Panel, q Target) {
		if (p.Type == "table") != (q.Format == "table") || p.Type == "timeseries" && (q.LegendFormat == "" || q.Instant) {
			t.Errorf("target %s of a %s: format %q, legend %q, instant %v", q.RefID, p.Type, q.Format, q.LegendFormat, q.Instant)
		}
	}))
	t.Run("an expression is valid, and a counter stands only inside rate or increase", func(t *testing.T) {
		for _, d := range all {
			values := Values()
			for _, v := range d.Variables {
				values[v.Name] = v.AllValue
			}
			for _, p := range d.Panels {
				for _, q := range p.Targets {
					expr := Expand(q.Expr, values)
					for _, fault := range faults(expr) {
						t.Errorf("%s, %q, target %s: %s in %s", d.File, p.Title, q.RefID, fault, expr)
					}
				}
			}
		}
	})
	t.Run("annotations are told apart, valid, and of the chosen data source", func(t *testing.T) {
		for _, d := range all {
			queries, err := d.AnnotationQueries(t.Context(), one)
			if err != nil || len(queries) == 0 {
				t.Fatalf("%s: %d annotations, %v", d.File, len(queries), err)
			}
			names := map[string]bool{}
			for i, q := range queries {
				for _, fault := range faults(q.Expr) {
					t.Errorf("%s, annotation %s: %s in %s", d.File, q.Panel, fault, q.Expr)
				}
				if names[q.Panel] || d.Annotations[i].Datasource != "${datasource}" {
					t.Errorf("%s, annotation %q: name or data source %q", d.File, q.Panel, d.Annotations[i].Datasource)
				}
				names[q.Panel] = true
			}
		}
	})
	t.Run("a title, a legend and a link are short and say something", eachPanel(func(t *testing.T, p Panel) {
		if len(p.Title) > 80 || strings.TrimSpace(p.Title) != p.Title {
			t.Errorf("title %q", p.Title)
		}
	}))
	t.Run("links lead to pages that are there and keep the time range", func(t *testing.T) {
		uids := map[string]bool{}
		for _, d := range all {
			uids[d.UID] = true
		}
		links := 0
		for _, d := range all {
			for _, found := range regexp.MustCompile(`"url": "([^"]+)"`).FindAllStringSubmatch(string(d.JSON), -1) {
				links++
				uid, rest, _ := strings.Cut(strings.TrimPrefix(found[1], "/d/"), "?")
				if !uids[uid] || !strings.Contains(rest, "${datasource:queryparam}") || !strings.HasSuffix(rest, "${__url_time_range}") {
					t.Errorf("%s: link %s", d.File, found[1])
				}
			}
		}
		if links < 100 {
			t.Errorf("%d links", links)
		}
	})
	t.Run("the same variables everywhere: idc, cluster and project come first on every page", func(t *testing.T) {
		for _, d := range all {
			var names []string
			for _, v := range d.Variables {
				names = append(names, v.Name)
			}
			if len(names) < 4 || !slices.Equal(names[:4], []string{"datasource", "idc", "cluster", "project"}) {
				t.Errorf("%s: %v", d.File, names)
			}
		}
	})
	t.Run("no job or instance is asked for, and nothing is joined with kube-state-metrics", eachTarget(func(t *testing.T, p Panel, q Target) {
		for _, banned := range []string{"job=", "job=~", "instance=", "kube_pod_", "kube_node_labels"} {
			if strings.Contains(q.Expr, banned) {
				t.Errorf("target %s: %s in %s", q.RefID, banned, q.Expr)
			}
		}
	}))
	t.Run("a page first shows twenty-five panels at most; the others are in folded rows", func(t *testing.T) {
		for _, d := range all {
			var top struct {
				Panels []struct{ Type string }
			}
			if err := json.Unmarshal(d.JSON, &top); err != nil {
				t.Fatal(err)
			}
			open := 0
			for _, p := range top.Panels {
				if p.Type != "row" {
					open++
				}
			}
			if open > 25 {
				t.Errorf("%s: %d panels are open", d.File, open)
			}
		}
	})
	t.Run("a rate looks back as far as the graph's step needs", eachTarget(func(t *testing.T, p Panel, q Target) {
		for _, piece := range strings.Split(q.Expr, "rate(")[1:] {
			_, after, _ := strings.Cut(piece, "[")
			window, _, _ := strings.Cut(after, "]")
			if window != "$__rate_interval" && window != "$__range" {
				t.Errorf("target %s: rate over [%s]", q.RefID, window)
			}
		}
	}))
}

// faults says what is wrong with an expression whose variables are written in.
func faults(expr string) []string {
	if strings.Contains(expr, "$") {
		return []string{"a variable without a value"}
	}
	parsed, err := metricsql.Parse(expr)
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	if metricsql.IsLikelyInvalid(parsed) {
		found = append(found, "an implicit conversion")
	}
	known, counters := vocabulary()
	inside := map[metricsql.Expr]bool{}
	metricsql.VisitAll(parsed, func(e metricsql.Expr) {
		f, ok := e.(*metricsql.FuncExpr)
		if !ok || !slices.Contains([]string{"rate", "irate", "increase"}, f.Name) {
			return
		}
		for _, arg := range f.Args {
			if rollup, ok := arg.(*metricsql.RollupExpr); ok {
				inside[rollup.Expr] = true
			}
		}
	})
	metricsql.VisitAll(parsed, func(e metricsql.Expr) {
		selector, ok := e.(*metricsql.MetricExpr)
		if !ok {
			return
		}
		name := metricName(selector)
		if !known[name] && !strings.HasPrefix(name, "plimsoll_") && !strings.HasPrefix(name, "process_") {
			found = append(found, "the unknown metric "+name)
		}
		counter := counters[name] || strings.HasSuffix(name, "_total")
		if counter && !inside[e] {
			found = append(found, "the counter "+name+" outside rate and increase")
		}
		if !counter && inside[e] {
			found = append(found, "rate or increase of "+name+", which is no counter")
		}
	})
	return found
}

// vocabulary is every metric the agent can send and every series the rules record that the dashboards use.
func vocabulary() (known, counters map[string]bool) {
	known, counters = map[string]bool{"ALERTS": true, "ALERTS_FOR_STATE": true}, map[string]bool{}
	for _, name := range recorded() {
		known[name] = true
	}
	for _, id := range catalog.IDs() {
		m := catalog.Lookup(id)
		known[m.Name] = true
		if m.Kind == catalog.Counter {
			counters[m.Name] = true
		}
	}
	return known, counters
}

// recorded are the series that the rules of the pack record.
func recorded() []string {
	files, err := filepath.Glob("../alerts/recording*.yaml")
	if err != nil || len(files) == 0 {
		panic("no recording rules beside the dashboards")
	}
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			panic(err)
		}
		for _, found := range regexp.MustCompile(`(?m)^ *- record: (\S+)$`).FindAllStringSubmatch(string(text), -1) {
			names = append(names, found[1])
		}
	}
	return names
}

func metricName(selector *metricsql.MetricExpr) string {
	for _, filters := range selector.LabelFilterss {
		for _, f := range filters {
			if f.Label == "__name__" {
				return f.Value
			}
		}
	}
	return ""
}

func TestFaultsAreFound(t *testing.T) {
	f := func(expr string, want ...string) {
		t.Helper()
		if got := faults(expr); !slices.Equal(got, want) {
			t.Errorf("%s: found %q, want %q", expr, got, want)
		}
	}
	f(`sum(rate(container_cpu_usage_seconds_total[1m]))`)
	f(`sum(container_cpu_usage_seconds_total)`, "the counter container_cpu_usage_seconds_total outside rate and increase")
	f(`rate(container_memory_rss[1m])`, "rate or increase of container_memory_rss, which is no counter")
	f(`sum(container_memory_colour)`, "the unknown metric container_memory_colour")
	f(`up{idc=~"$idc"}`, "a variable without a value")
	if got := faults(`sum(`); len(got) != 1 {
		t.Errorf("half an expression: %q", got)
	}
}

func TestEveryTableColumnThatIsNoCountHasAUnit(t *testing.T) {
	all, err := Load(FS())
	if err != nil {
		t.Fatal(err)
	}
	tables := 0
	for _, d := range all {
		for _, p := range d.Panels {
			if p.Type == "table" {
				tables++
				if p.Unit != "short" && p.Units == 0 {
					t.Errorf("%s, %q: unit %q for all columns", d.File, p.Title, p.Unit)
				}
			}
		}
	}
	if tables == 0 {
		t.Error("no tables were read")
	}
}

func TestVariableNamesAreKnownInEveryExpression(t *testing.T) {
	all, err := Load(FS())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		names := Values()
		for _, v := range d.Variables {
			names[v.Name] = "x"
		}
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				if left := variablePattern().FindString(Expand(q.Expr, names)); left != "" {
					t.Errorf("%s, %q, target %s: %s is none of %v", d.File, p.Title, q.RefID, left, slices.Sorted(maps.Keys(names)))
				}
			}
		}
	}
}
