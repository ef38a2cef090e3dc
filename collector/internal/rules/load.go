package rules

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert/config"
	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert/notifier"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/promutil"
	"github.com/VictoriaMetrics/metricsql"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// ParseError is a fault in a rule file.
type ParseError struct {
	File string
	Line int // 1 is the first; 0 when the fault has no place
	Err  error
}

func (e *ParseError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

func (e *ParseError) Unwrap() error { return e.Err }

// definition is a rule group as its file has it.
type definition struct {
	File        string
	Name        string
	Interval    time.Duration // 0: the default
	QueryOffset time.Duration // how far before now the group's queries look
	Limit       int           // 0: the default
	Rules       []config.Rule
	// Asking are the annotations of each alert, by its name, whose templates ask queries.
	Asking   map[string][]string
	Checksum uint64
}

func (d definition) key() string { return d.File + "\x00" + d.Name }

// builtinPrefix stands before the names of files of the built-in pack.
const builtinPrefix = "builtin:"

// Builtin tells whether a file is of the built-in pack.
func Builtin(file string) bool { return strings.HasPrefix(file, builtinPrefix) }

// load reads the built-in pack, then the user's files.
func load(cfg Config, log *slog.Logger) ([]definition, error) {
	var defs []definition
	var faults []error
	add := func(name string, data []byte) {
		got, err := parse(name, data)
		faults = append(faults, err)
		defs = append(defs, got...)
	}
	if cfg.Builtin != nil {
		names, err := fs.Glob(cfg.Builtin, "*.yaml")
		if err != nil {
			return nil, fmt.Errorf("rules: list the built-in pack: %w", err)
		}
		for _, name := range names {
			data, err := fs.ReadFile(cfg.Builtin, name)
			if err != nil {
				return nil, fmt.Errorf("rules: read built-in %s: %w", name, err)
			}
			add(builtinPrefix+name, data)
		}
	}
	files, err := expand(cfg.Globs, log)
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			faults = append(faults, fmt.Errorf("rules: %w", err))
			continue
		}
		add(name, data)
	}
	return defs, errors.Join(faults...)
}

// expand lists the files the patterns name, each once, in order.
func expand(patterns []string, log *slog.Logger) ([]string, error) {
	seen := map[string]bool{}
	var files []string
	for _, pattern := range patterns {
		names, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("rules: pattern %q: %w", pattern, err)
		}
		if len(names) == 0 && !strings.ContainsAny(pattern, `*?[\`) {
			return nil, fmt.Errorf("rules: no file %q", pattern)
		}
		if len(names) == 0 {
			log.Warn("no rule file matches", "pattern", pattern)
		}
		sort.Strings(names)
		for _, name := range names {
			if !seen[name] {
				seen[name] = true
				files = append(files, name)
			}
		}
	}
	return files, nil
}

// parse reads one rule file in the format of Prometheus; expressions may be MetricsQL. Every fault is a *ParseError.
func parse(file string, data []byte) ([]definition, error) {
	p := &parser{file: file, names: map[string]bool{}}
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return nil, &ParseError{File: file, Line: lineOf(err), Err: err}
	}
	if len(root.Content) == 0 {
		return nil, nil
	}
	p.each(root.Content[0], "the file", map[string]func(*yaml.Node){
		"groups": func(n *yaml.Node) {
			for _, item := range p.sequence(n, "groups") {
				p.group(item)
			}
		},
	})
	return p.defs, errors.Join(p.faults...)
}

// parser walks the nodes of one file and collects faults.
type parser struct {
	file   string
	names  map[string]bool
	defs   []definition
	faults []error
}

func (p *parser) fault(at *yaml.Node, format string, args ...any) {
	p.faults = append(p.faults, &ParseError{File: p.file, Line: at.Line, Err: fmt.Errorf(format, args...)})
}

func (p *parser) group(n *yaml.Node) {
	d := definition{File: p.file}
	var rules []*yaml.Node
	p.each(n, "a group", map[string]func(*yaml.Node){
		"name":         func(v *yaml.Node) { d.Name = p.text(v) },
		"interval":     func(v *yaml.Node) { d.Interval = p.duration(v) },
		"query_offset": func(v *yaml.Node) { d.QueryOffset = p.duration(v) },
		"limit":        func(v *yaml.Node) { p.decode(v, &d.Limit) },
		"rules":        func(v *yaml.Node) { rules = p.sequence(v, "rules") },
	})
	if d.Limit < 0 {
		p.fault(n, "group %q: limit %d is negative", d.Name, d.Limit)
	}
	switch {
	case d.Name == "":
		p.fault(n, "a group needs a name")
	case p.names[d.Name]:
		p.fault(n, "group %q stands twice in this file", d.Name)
	}
	p.names[d.Name] = true
	seen := map[uint64]bool{}
	for _, item := range rules {
		rule, ok := p.rule(item)
		if !ok {
			continue
		}
		rule.ID = config.HashRule(rule)
		if seen[rule.ID] {
			p.fault(item, "group %q: rule %q stands twice with the same expression and labels", d.Name, rule.Name())
		}
		seen[rule.ID] = true
		d.Rules = append(d.Rules, rule)
		if rule.Alert != "" {
			if d.Asking == nil {
				d.Asking = map[string][]string{}
			}
			d.Asking[rule.Alert] = append(d.Asking[rule.Alert], asking(rule.Annotations)...)
		}
	}
	d.Checksum = checksum(n)
	p.defs = append(p.defs, d)
}

func (p *parser) rule(n *yaml.Node) (config.Rule, bool) {
	before := len(p.faults)
	var r config.Rule
	var onlyAlerts *yaml.Node
	forAlerts := func(f func(*yaml.Node)) func(*yaml.Node) {
		return func(v *yaml.Node) { onlyAlerts = v; f(v) }
	}
	p.each(n, "a rule", map[string]func(*yaml.Node){
		"record":          func(v *yaml.Node) { r.Record = p.text(v) },
		"alert":           func(v *yaml.Node) { r.Alert = p.text(v) },
		"expr":            func(v *yaml.Node) { r.Expr = p.expression(v) },
		"labels":          func(v *yaml.Node) { r.Labels = p.labels(v) },
		"for":             forAlerts(func(v *yaml.Node) { r.For = promutil.NewDuration(p.duration(v)) }),
		"keep_firing_for": forAlerts(func(v *yaml.Node) { r.KeepFiringFor = promutil.NewDuration(p.duration(v)) }),
		"annotations":     forAlerts(func(v *yaml.Node) { r.Annotations = p.templates(v) }),
	})
	switch {
	case len(p.faults) > before:
	case (r.Record == "") == (r.Alert == ""):
		p.fault(n, "a rule has either record or alert")
	case r.Expr == "":
		p.fault(n, "rule %q needs an expr", r.Name())
	case r.Record != "" && !model.LegacyValidation.IsValidMetricName(r.Record):
		p.fault(n, "record %q is no metric name", r.Record)
	case r.Record != "" && onlyAlerts != nil:
		p.fault(onlyAlerts, "rule %q: for, keep_firing_for and annotations are for alerts", r.Record)
	}
	return r, len(p.faults) == before
}

func (p *parser) expression(n *yaml.Node) string {
	expr := strings.TrimSpace(p.text(n))
	if _, err := metricsql.Parse(expr); err != nil {
		p.fault(n, "expr: %v", err)
	}
	return expr
}

func (p *parser) labels(n *yaml.Node) map[string]string {
	labels := p.templates(n)
	for name := range labels {
		if !model.LegacyValidation.IsValidLabelName(name) || name == model.MetricNameLabel {
			p.fault(n, "%q is no label name a rule may set", name)
		}
	}
	return labels
}

// templates reads a mapping whose values may be templates.
func (p *parser) templates(n *yaml.Node) map[string]string {
	values := map[string]string{}
	for key, value := range p.pairs(n, "labels and annotations") {
		text := p.text(value)
		values[key.Value] = text
		if err := checkTemplate(text); err != nil {
			p.fault(value, "%s: %v", key.Value, err)
		}
	}
	return values
}

// checkTemplate finds what keeps text from being a template, on one line.
func checkTemplate(text string) error {
	if strings.Contains(text, "{{") && !strings.Contains(text, "}}") {
		return errors.New("template: {{ without }}") // vmalert takes it for plain text, Prometheus refuses it
	}
	err := notifier.ValidateTemplates(map[string]string{"": text})
	if err == nil {
		return nil
	}
	_, reason, _ := strings.Cut(err.Error(), "error parsing template: ")
	return errors.New(reason)
}

func checksum(n *yaml.Node) uint64 {
	h := fnv.New64a()
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		fmt.Fprintf(h, "%d %q;", n.Kind, n.Value)
		for _, child := range n.Content {
			walk(child)
		}
	}
	walk(n)
	return h.Sum64()
}
