package projectmap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// parser reads YAML nodes and collects what is wrong with them.
type parser struct {
	file   string
	faults Faults
}

func (p *parser) fault(line int, format string, args ...any) {
	if len(p.faults) < mostFaults {
		p.faults = append(p.faults, Fault{File: p.file, Line: max(line, 1), Text: fmt.Sprintf(format, args...)})
	}
}

// err is nil or the Faults.
func (p *parser) err() error {
	if len(p.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(p.faults, func(a, b Fault) int { return a.Line - b.Line })
	return p.faults
}

// document parses text, which must be one YAML document; nil when there is none or it is wrong.
func (p *parser) document(text []byte) *yaml.Node {
	if len(text) > maxFileBytes {
		p.fault(1, "the file has %d bytes, the most is %d", len(text), maxFileBytes)
		return nil
	}
	for line, content := range bytes.Split(text, []byte("\n")) {
		if !utf8.Valid(content) {
			p.fault(line+1, "the line is not UTF-8")
			return nil
		}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		p.syntax(err)
		return nil
	}
	switch err := decoder.Decode(&more); {
	case err == nil:
		p.fault(more.Line, "a second document: everything belongs into one, without ---")
	case !errors.Is(err, io.EOF):
		p.syntax(err)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

// syntax writes an error of the YAML library with its line as all others.
func (p *parser) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, what, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				line, text = n, what
				for _, message := range []string{"key", "'-'", "',' or", "node content"} {
					if strings.HasPrefix(text, "did not find expected "+message) {
						line++ // the library counts the lines of these from 0
					}
				}
			}
		}
	}
	p.fault(line, "not YAML: %s", text)
}

// field is one entry of a mapping.
type field struct {
	name  string
	line  int
	value *yaml.Node
}

// fields are the entries of a mapping as they stand there. What is no mapping, a name that comes twice, and references to
// other places of the file are faults.
func (p *parser) fields(n *yaml.Node, what string) []field {
	if n.Kind != yaml.MappingNode {
		p.fault(n.Line, "%s must be fields, `name: value`", what)
		return nil
	}
	var list []field
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			p.fault(key.Line, "%s: a field's name must be plain text", what)
		case seen[key.Value]:
			p.fault(key.Line, "%s: %q comes twice", what, key.Value)
		case value.Kind == yaml.AliasNode:
			p.fault(value.Line, "*%s: references are not followed, write the value out", value.Value)
		default:
			seen[key.Value] = true
			list = append(list, field{key.Value, key.Line, value})
		}
	}
	return list
}

// known are the entries of a mapping by name; a name not in names is a fault.
func (p *parser) known(n *yaml.Node, what string, names ...string) map[string]*yaml.Node {
	byName := map[string]*yaml.Node{}
	for _, f := range p.fields(n, what) {
		if !slices.Contains(names, f.name) {
			p.fault(f.line, "%s: unknown field %q; known are %s", what, f.name, strings.Join(names, ", "))
			continue
		}
		byName[f.name] = f.value
	}
	return byName
}

// list are the items of a sequence; n may be nil.
func (p *parser) list(n *yaml.Node, what string, most int) []*yaml.Node {
	switch {
	case n == nil || isNull(n):
		return nil
	case n.Kind != yaml.SequenceNode:
		p.fault(n.Line, "%s must be a list, each item after a dash", what)
		return nil
	case len(n.Content) > most:
		p.fault(n.Line, "%s: %d items, the most is %d", what, len(n.Content), most)
		return nil
	}
	var items []*yaml.Node
	for _, item := range n.Content {
		if item.Kind == yaml.AliasNode {
			p.fault(item.Line, "*%s: references are not followed, write the value out", item.Value)
			continue
		}
		items = append(items, item)
	}
	return items
}

// text is a plain value that is not empty; ok is false after a fault. n may be nil: empty, and no fault.
func (p *parser) text(n *yaml.Node, what string, maxBytes int) (text string, ok bool) {
	switch {
	case n == nil:
		return "", false
	case n.Kind != yaml.ScalarNode:
		p.fault(n.Line, "%s must be one plain value", what)
		return "", false
	case isNull(n) || strings.TrimSpace(n.Value) == "":
		p.fault(n.Line, "%s is empty", what)
		return "", false
	case len(n.Value) > maxBytes:
		p.fault(n.Line, "%s has %d bytes, the most is %d", what, len(n.Value), maxBytes)
		return "", false
	case strings.ContainsFunc(n.Value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		p.fault(n.Line, "%s holds a control character or a line break", what)
		return "", false
	}
	return strings.TrimSpace(n.Value), true
}

// number is a whole number between 1 and most, or fallback when n is nil.
func (p *parser) number(n *yaml.Node, what string, fallback, most int) int {
	text, ok := p.text(n, what, 20)
	if !ok {
		return fallback
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < 1 || value > most {
		p.fault(n.Line, "%s: %q is not a whole number from 1 to %d", what, text, most)
		return fallback
	}
	return value
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }
