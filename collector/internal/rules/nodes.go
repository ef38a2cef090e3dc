package rules

import (
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// each calls the function of every key of a mapping; unknown and doubled keys are faults.
func (p *parser) each(n *yaml.Node, what string, known map[string]func(*yaml.Node)) {
	for key, value := range p.pairs(n, what) {
		read, ok := known[key.Value]
		if !ok {
			p.fault(key, "%s has no field %q; it has %s", what, key.Value, fieldNames(known))
			continue
		}
		read(value)
	}
}

func fieldNames(known map[string]func(*yaml.Node)) string {
	var names []string
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (p *parser) pairs(n *yaml.Node, what string) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(*yaml.Node, *yaml.Node) bool) {
		n = resolve(n)
		if n.Kind != yaml.MappingNode {
			if n.Tag != "!!null" {
				p.fault(n, "%s must be a mapping", what)
			}
			return
		}
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if seen[key.Value] {
				p.fault(key, "%q stands twice", key.Value)
				continue
			}
			seen[key.Value] = true
			if !yield(key, n.Content[i+1]) {
				return
			}
		}
	}
}

func (p *parser) sequence(n *yaml.Node, what string) []*yaml.Node {
	n = resolve(n)
	if n.Kind != yaml.SequenceNode {
		if n.Tag != "!!null" {
			p.fault(n, "%s must be a list", what)
		}
		return nil
	}
	return n.Content
}

func (p *parser) text(n *yaml.Node) string {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode {
		p.fault(n, "must be a text")
		return ""
	}
	return n.Value
}

func (p *parser) duration(n *yaml.Node) time.Duration {
	d, err := model.ParseDuration(p.text(n))
	if err != nil {
		p.fault(n, "%v; durations are written 30s, 5m, 1h30m", err)
	}
	return time.Duration(d)
}

func (p *parser) decode(n *yaml.Node, into any) {
	if err := n.Decode(into); err != nil {
		p.fault(n, "%v", err)
	}
}

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// lineOf finds the line in the text of a YAML syntax error; 0 when it has none.
func lineOf(err error) int {
	found := regexp.MustCompile(`line (\d+)`).FindStringSubmatch(err.Error())
	if found == nil {
		return 0
	}
	line, _ := strconv.Atoi(found[1])
	return line
}
