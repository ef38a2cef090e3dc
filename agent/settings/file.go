package settings

import (
	"errors"
	"fmt"
	"io"
	"os"

	"go.yaml.in/yaml/v3"
)

// fromFile sets what neither a flag nor the environment gave.
func (s *Set) fromFile(path string, given map[string]bool) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	defer f.Close()
	var doc yaml.Node
	if err := yaml.NewDecoder(f).Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return fmt.Errorf("--config %s: %w", path, err)
	}
	seen := map[string]bool{}
	return s.fromNode(path, "", doc.Content[0], given, seen)
}

func (s *Set) fromNode(path, prefix string, node *yaml.Node, given, seen map[string]bool) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: expected `name: value` pairs", path, node.Line)
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		name := prefix + key.Value
		if value.Kind == yaml.MappingNode {
			if err := s.fromNode(path, name+".", value, given, seen); err != nil {
				return err
			}
			continue
		}
		if s.flags.Lookup(name) == nil || name == "config" {
			return fmt.Errorf("%s:%d: unknown setting %q%s", path, key.Line, name, s.proposal(name))
		}
		if seen[name] {
			return fmt.Errorf("%s:%d: %q is set twice", path, key.Line, name)
		}
		seen[name] = true
		if given[name] {
			continue
		}
		if err := s.setNode(path, name, value); err != nil {
			return err
		}
	}
	return nil
}

func (s *Set) setNode(path, name string, value *yaml.Node) error {
	items := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		if _, repeatable := s.flags.Lookup(name).Value.(*Strings); !repeatable {
			return fmt.Errorf("%s:%d: %q takes one value, not a list", path, value.Line, name)
		}
		items = value.Content
	}
	for _, item := range items {
		if item.Kind != yaml.ScalarNode {
			return fmt.Errorf("%s:%d: %q takes a plain value", path, item.Line, name)
		}
		if err := s.flags.Set(name, item.Value); err != nil {
			return fmt.Errorf("%s:%d: %s: invalid value %q: %w", path, item.Line, name, item.Value, err)
		}
	}
	return nil
}
