package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// A panel that turns red at another figure than the alert fires at makes people distrust both.
func TestThresholdsThatNameAnAlertHaveItsFigure(t *testing.T) {
	figures := ruleFigures(t)
	file, err := parser.ParseFile(token.NewFileSet(), "thresholds.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, decl := range file.Decls {
		constants, ok := decl.(*ast.GenDecl)
		if !ok || constants.Tok != token.CONST {
			continue
		}
		for _, spec := range constants.Specs {
			constant := spec.(*ast.ValueSpec)
			rule := regexp.MustCompile(`^([A-Z][a-z]+[A-Z]\w+|[a-z_]+:\w+(?::\w+)?)`).FindString(constant.Comment.Text())
			if rule == "" {
				continue
			}
			have, known := figures[rule]
			if !known {
				t.Errorf("%s names %s, which is no rule", constant.Names[0], rule)
				continue
			}
			want := figure(t, constant.Values[0].(*ast.BasicLit).Value)
			if !slices.Contains(have, want) {
				t.Errorf("%s is %v, the rule %s has %v", constant.Names[0], want, rule, have)
			}
			compared++
		}
	}
	if compared < 20 {
		t.Errorf("%d constants compared: thresholds.go no longer says whose figures they are", compared)
	}
}

// figure reads a number, or a quoted duration in seconds.
func figure(t *testing.T, literal string) float64 {
	t.Helper()
	if text, err := strconv.Unquote(literal); err == nil {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		return d.Seconds()
	}
	v, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// ruleFigures are the figures each alert compares with, and those with which each recording rule compares or multiplies, with the
// interval at which it is recorded.
func ruleFigures(t *testing.T) map[string][]float64 {
	t.Helper()
	files, err := filepath.Glob("../../alerts/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rule files: %v", err)
	}
	compares, multiplies := regexp.MustCompile(`[<>]=? *([0-9.e]+)`), regexp.MustCompile(`([0-9.]+) \*`)
	figures := map[string][]float64{}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Groups []struct {
				Interval time.Duration
				Rules    []struct{ Alert, Record, Expr string }
			}
		}
		if err := yaml.Unmarshal(data, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, g := range file.Groups {
			for _, r := range g.Rules {
				found := compares.FindAllStringSubmatch(r.Expr, -1)
				if r.Record != "" {
					found = append(found, multiplies.FindAllStringSubmatch(r.Expr, -1)...)
					figures[r.Record] = append(figures[r.Record], g.Interval.Seconds())
				}
				for _, f := range found {
					if v, err := strconv.ParseFloat(strings.TrimSpace(f[1]), 64); err == nil {
						figures[r.Alert+r.Record] = append(figures[r.Alert+r.Record], v)
					}
				}
			}
		}
	}
	return figures
}
