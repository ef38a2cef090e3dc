// Package ruletest runs unit tests of rules, in promtool's format, on the engine that evaluates them in production.
//
// promtool runs the same files on Prometheus' engine: a rule that passes both means the same in both. The tests need a
// process that has not opened the collector's engine, because they open and close its storage themselves.
package ruletest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert-tool/unittest"
	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/collector/internal/rules"
)

// ErrFailed says that tests ran and some failed; w has the details.
var ErrFailed = errors.New("rule tests failed")

// UnitTest runs the tests of the files, which may be patterns, and writes what it finds to w. It is not for concurrent use.
func UnitTest(w io.Writer, patterns ...string) error {
	var files []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			return fmt.Errorf("no test file matches %q", pattern)
		}
		files = append(files, found...)
	}
	dir, err := os.MkdirTemp("", "plimsoll-rule-tests-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	failed := false
	for i, file := range files {
		text, err := convert(file)
		if err != nil {
			return err
		}
		converted := filepath.Join(dir, fmt.Sprintf("%03d.yaml", i))
		if err := os.WriteFile(converted, text, 0o600); err != nil {
			return err
		}
		out, bad, err := run(converted)
		if err != nil {
			return err
		}
		failed = failed || bad
		fmt.Fprintln(w, strings.TrimSpace(strings.ReplaceAll(out, converted, file)))
	}
	if failed {
		return ErrFailed
	}
	return nil
}

// convert reads a test of promtool and returns it for vmalert's tool, after the rule files it names were checked.
func convert(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: must be a mapping with rule_files and tests", file)
	}
	names := child(root.Content[0], "rule_files")
	if names == nil || len(names.Content) == 0 {
		return nil, fmt.Errorf("%s: rule_files names no file", file)
	}
	for _, name := range names.Content {
		path := name.Value
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(file), path)
		}
		if path, err = filepath.Abs(path); err != nil {
			return nil, err
		}
		if err := rules.Check(io.Discard, path); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, name.Line, err)
		}
		name.Value = path
	}
	if tests := child(root.Content[0], "tests"); tests != nil {
		for _, test := range tests.Content {
			for i := 0; i+1 < len(test.Content); i += 2 {
				switch test.Content[i].Value {
				case "promql_expr_test":
					test.Content[i].Value = "metricsql_expr_test"
				case "input_series":
					for _, series := range test.Content[i+1].Content {
						moveMoments(child(series, "series"), child(series, "values"))
					}
				}
			}
		}
	}
	return yaml.Marshal(&root)
}

// toolBegins is the moment tests start at in vmalert's tool, 2000-01-01; in promtool it is 1970-01-01. Unix seconds.
const toolBegins = 946684800

// moveMoments adds the difference to values that are moments themselves: series named *_timestamp_seconds, *_time_seconds.
func moveMoments(series, values *yaml.Node) {
	if series == nil || values == nil {
		return
	}
	name, _, _ := strings.Cut(series.Value, "{")
	if !strings.HasSuffix(name, "_timestamp_seconds") && !strings.HasSuffix(name, "_time_seconds") {
		return
	}
	first := regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?`)
	items := strings.Fields(values.Value)
	for i, item := range items { // 7, 7x3, 7+1x3, 7-1x3, _, stale
		items[i] = first.ReplaceAllStringFunc(item, func(number string) string {
			v, _ := strconv.ParseFloat(number, 64)
			return strconv.FormatFloat(v+toolBegins, 'f', -1, 64)
		})
	}
	values.Value = strings.Join(items, " ")
}

func child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// run calls vmalert's tool, which prints to the process's standard output and reads its arguments.
func run(file string) (out string, failed bool, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", false, err
	}
	stdout, args := os.Stdout, os.Args
	os.Stdout, os.Args = w, os.Args[:1]
	var said bytes.Buffer
	read := make(chan error, 1)
	go func() {
		_, err := said.ReadFrom(r)
		read <- err
	}()
	failed = unittest.UnitTest([]string{file}, true, nil, "", "", "ERROR")
	os.Stdout, os.Args = stdout, args
	w.Close()
	err = <-read
	r.Close()
	return said.String(), failed, err
}
