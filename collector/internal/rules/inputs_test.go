package rules

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestARuleIsArmedWhenEveryInputItNeedsHasSeries(t *testing.T) {
	describe := func(metric string) Input {
		switch metric {
		case "cpu_quota":
			return Input{StandIn: "cpu_usage"}
		case "fds":
			return Input{Hint: "agent group process is off"}
		}
		return Input{}
	}
	for _, c := range []struct {
		name, expr string
		there      []string // selectors with series
		want       []string // selectors that are missing
	}{
		{"both sides of an operator", `a / (b > 0)`, []string{"a"}, []string{"b"}},
		{"all of them there", `rate(a[5m]) and on (x) b > 1`, []string{"a", "b"}, nil},
		{"what is taken away need not be there", `a unless on (x) b`, []string{"a"}, nil},
		{"one of two is enough", `a or b`, []string{"b"}, nil},
		{"none of two", `a or b`, nil, []string{"a", "b"}},
		{"no input at all", `vector(1)`, nil, nil},
		{"absence is what it looks for", `absent(a)`, nil, nil},
		{"offsets and subqueries are of the same series", `a offset 1h + max_over_time(a[1d:5m])`, []string{"a"}, nil},
		{"a label counts", `a{id="/"}`, []string{"a"}, []string{`a{id="/"}`}},
		{"what is recorded needs what it is made from", `job:a:sum > 1`, nil, []string{"a"}},
		{"the source stands in for what is there only sometimes", `cpu_quota{container!=""} > 0`, []string{`cpu_usage{container!=""}`}, nil},
		{"each is named once", `fds / fds`, nil, []string{"fds"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bed := newTestbed()
			for _, selector := range c.there {
				bed.answer("count("+selector+")", 3)
			}
			g := bed.group(t, ruleFile("  - {alert: A, expr: '"+c.expr+"'}", "  - {record: 'job:a:sum', expr: sum(a)}"))
			in := newInputs(bed.ports().Query, describe)
			in.take([]*group{g})
			got, err := in.missing(t.Context(), parsed(c.expr), t0)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, m := range got {
				names = append(names, m.Selector)
			}
			if !slices.Equal(names, c.want) {
				t.Errorf("missing %q, want %q", names, c.want)
			}
		})
	}
}

func TestInputsThatWereSeenStayForAnHourAndAreSeldomAskedForAgain(t *testing.T) {
	bed := newTestbed()
	in := newInputs(bed.ports().Query, nil)
	bed.answer("count(a)", 1)
	lost := func(after time.Duration) bool {
		list, err := in.missing(t.Context(), parsed("a"), t0.Add(after))
		if err != nil {
			t.Fatal(err)
		}
		return len(list) > 0
	}
	if lost(0) || lost(30*time.Second) || lost(5*time.Minute) {
		t.Error("missing although it is there")
	}
	if len(bed.asked) != 1 {
		t.Errorf("asked %q", bed.asked)
	}
	bed.silence("count(a)")
	if lost(30*time.Minute) || lost(59*time.Minute) || !lost(61*time.Minute) {
		t.Error("not armed for exactly an hour after it was seen")
	}
	bed.failing["count(a)"] = true
	if _, err := in.missing(t.Context(), parsed("a"), t0.Add(2*time.Hour)); err == nil || !strings.Contains(err.Error(), "look for a") {
		t.Errorf("got %v", err)
	}
}

func TestTheAPISaysWhichRulesAreNotArmedAndWhy(t *testing.T) {
	bed := newTestbed()
	m, err := New(Config{
		Builtin:  fstest.MapFS{"r.yaml": {Data: []byte(ruleFile("  - {alert: FDs, expr: fds > 0.8}", "  - {alert: OOM, expr: oom > 0}"))}},
		Describe: func(string) Input { return Input{Hint: "agent group process is off"} },
	}, bed.ports(), slog.New(slog.DiscardHandler), bed.reg)
	if err != nil {
		t.Fatal(err)
	}
	get := func() string {
		rec := httptest.NewRecorder()
		m.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/api/v1/rules", nil))
		return rec.Body.String()
	}
	if strings.Contains(get(), `"armed"`) {
		t.Error("something is said before the inputs were looked for")
	}
	bed.answer("count(oom)", 1)
	running(t, m)
	eventually(t, "the inputs are known", func() bool { return strings.Contains(get(), `"armed":true`) })
	if body := get(); !strings.Contains(body, `"armed":false,"missing":[{"selector":"fds","hint":"agent group process is off"}]`) {
		t.Errorf("got %s", body)
	}
	for rule, want := range map[string]float64{"FDs": 1, "OOM": 0} {
		if got := bed.metric(t, "plimsoll_collector_rules_unarmed", "rule", rule); got != want {
			t.Errorf("%s: %v, want %v", rule, got, want)
		}
	}
}
