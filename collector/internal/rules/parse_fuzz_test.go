package rules

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
)

// FuzzRuleFile: any file is rules or faults that name their line.
func FuzzRuleFile(f *testing.F) {
	if err := prepareVmalert(&url.URL{}); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("groups:\n- name: a\n  interval: 15s\n  rules:\n  - alert: A\n    expr: up == 0\n    for: 1m\n    labels: {severity: page}\n    annotations: {summary: '{{ $labels.node }}'}\n  - record: r:s\n    expr: sum(rate(x[5m])) by (project)\n"))
	f.Add([]byte("groups: [{name: a, rules: [{alert: A, expr: 'up ==', for: x}]}]"))
	f.Add([]byte("groups: *a"))
	f.Fuzz(func(t *testing.T, text []byte) {
		defs, err := parse("rules.yaml", text)
		if err == nil {
			return
		}
		var fault *ParseError
		if !errors.As(err, &fault) || fault.File != "rules.yaml" || fault.Line < 0 {
			t.Errorf("%d rules and %v", len(defs), err)
		}
	})
}

// FuzzFilter: the parameters of /api/v1/rules.
func FuzzFilter(f *testing.F) {
	f.Add("type=alert&rule_name[]=A&exclude_alerts=true")
	f.Add("type=x")
	f.Add("%zz&exclude_alerts=maybe")
	f.Fuzz(func(t *testing.T, query string) {
		filter, err := parseFilter(&http.Request{Method: http.MethodGet, URL: &url.URL{RawQuery: query}})
		if err == nil {
			filter.group(&groupView{Name: "g", File: "f"})
		}
	})
}
