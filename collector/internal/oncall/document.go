package oncall

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// document reads a YAML tree and collects what is wrong with it.
type document struct {
	file, dir string
	faults    []error
}

func (d *document) fault(at *yaml.Node, format string, args ...any) {
	d.faults = append(d.faults, fmt.Errorf("%s:%d: %s", d.file, at.Line, fmt.Sprintf(format, args...)))
}

// entry is a key of a mapping with its value.
type entry struct {
	key   *yaml.Node
	value *yaml.Node
}

// entries lists a mapping whose keys are free; each may occur once.
func (d *document) entries(n *yaml.Node, what string) []entry {
	n = target(n)
	if n.Kind != yaml.MappingNode {
		d.fault(n, "%s: want name: value lines", what)
		return nil
	}
	seen := map[string]int{}
	var all []entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if line, twice := seen[key.Value]; twice {
			d.fault(key, "%s: %q is already in line %d", what, key.Value, line)
			continue
		}
		seen[key.Value] = key.Line
		all = append(all, entry{key, target(n.Content[i+1])})
	}
	return all
}

// fields reads a mapping whose keys are known.
func (d *document) fields(n *yaml.Node, what string, known map[string]func(*yaml.Node)) {
	for _, e := range d.entries(n, what) {
		if read := known[e.key.Value]; read != nil {
			read(e.value)
			continue
		}
		hint := ""
		if _, ok := known[e.key.Value+"_file"]; ok {
			hint = fmt.Sprintf("; secrets come from files: %s_file", e.key.Value)
		}
		d.fault(e.key, "%s: unknown field %q (known: %s)%s", what, e.key.Value, strings.Join(slices.Sorted(maps.Keys(known)), ", "), hint)
	}
}

func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// text is a scalar that is not empty.
func (d *document) text(n *yaml.Node, what string) string {
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		d.fault(n, "%s: want a text", what)
		return ""
	}
	return n.Value
}

// list is one text or several.
func (d *document) list(n *yaml.Node, what string) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		if d.text(n, what) == "" {
			return nil
		}
		return []*yaml.Node{n}
	}
	var all []*yaml.Node
	for _, child := range n.Content {
		child = target(child)
		if d.text(child, what) != "" {
			all = append(all, child)
		}
	}
	if len(n.Content) == 0 {
		d.fault(n, "%s: empty list", what)
	}
	return all
}

func values(nodes []*yaml.Node) []string {
	texts := make([]string, len(nodes))
	for i, n := range nodes {
		texts[i] = n.Value
	}
	return texts
}

// duration is a Go duration between least and most.
func (d *document) duration(n *yaml.Node, what string, least, most time.Duration) time.Duration {
	v, err := time.ParseDuration(d.text(n, what))
	if err != nil || v < least || v > most {
		d.fault(n, "%s: %q: want a time between %s and %s, for example 90s or 12h", what, n.Value, least, most)
	}
	return v
}

func (d *document) zone(n *yaml.Node, what string) string {
	name := d.text(n, what)
	if _, err := time.LoadLocation(name); err != nil {
		d.fault(n, "%s: %q is no time zone; write for example Asia/Shanghai or UTC", what, name)
	}
	return name
}

// path is a file named relative to the page's folder.
func (d *document) path(n *yaml.Node, what string) string {
	name := d.text(n, what)
	if name != "" && !filepath.IsAbs(name) {
		name = filepath.Join(d.dir, name)
	}
	return name
}
