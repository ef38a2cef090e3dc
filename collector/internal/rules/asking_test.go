package rules

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/prometheus/client_golang/prometheus"
)

func TestATemplateThatAsksAQueryIsFound(t *testing.T) {
	for text, want := range map[string]bool{
		`plain, with the word query`:                                            false,
		`{{ $labels.pod }} {{ $value | humanize }} query`:                       false,
		`{{ "query" }} {{ $labels.query }}`:                                     false,
		`{{ query "up" | first | value }}`:                                      true,
		`{{ with query "up" }}{{ . | first | label "project" }}{{ end }}`:       true,
		`{{ range query "up" }}{{ .Labels.project }}{{ end }}`:                  true,
		`{{ if true }}{{ else }}{{ "up" | query }}{{ end }}`:                    true,
		`{{ define "x" }}{{ query . }}{{ end }}{{ template "x" "up" }}`:         true,
		`{{ template "x" (query "up") }}`:                                       true,
		`{{ printf "%v" (query (printf "up{pod=%q}" $labels.pod)) }}`:           true,
		`{{ $x := query "up" }}{{ (index $x 0).Value }}`:                        true,
		`{{ (query "up").Value }}`:                                              true,
		`{{ if eq (len (query "up")) 0 }}none{{ else if query "x" }}x{{ end }}`: true,
		`{{ broken`: true,
	} {
		if got := asking(map[string]string{"a": text}); slices.Contains(got, "a") != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestWhoseAnAlertIs(t *testing.T) {
	mine := filepath.Join(t.TempDir(), "mine.yaml")
	text := "groups: [{name: g, rules: [{alert: Mine, expr: up, annotations: {top: '{{ query \"up\" }}', s: x}, labels: {l: '{{ query \"up\" }}'}}, {alert: Quiet, expr: up}]}]"
	if err := os.WriteFile(mine, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	builtin := fstest.MapFS{"b.yaml": {Data: []byte("groups: [{name: g, rules: [{alert: Built, expr: up, annotations: {top: '{{ query \"up\" }}'}}, {alert: Quiet, expr: up}]}]")}}
	m, err := New(Config{Builtin: builtin, Globs: []string{mine}}, newTestbed().ports(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for alert, want := range map[string]struct {
		own    bool
		asking []string
	}{"Mine": {true, []string{"top"}}, "Quiet": {true, nil}, "Built": {false, nil}, "ByHand": {true, nil}} {
		if is, asking := m.Own(alert); is != want.own || !slices.Equal(asking, want.asking) {
			t.Errorf("%s: %v %v, want %v", alert, is, asking, want)
		}
	}
}
