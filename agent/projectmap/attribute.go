package projectmap

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// kind is a sort of fact a rule can look at.
type kind uint8

const (
	label kind = iota + 1
	annotation
	namespace
	stack
	composeProject
	workload
	pod
	container
	image
	name
	runtime
	idc
	cluster
	node
)

// kindNames are the words of the file for what needs no key.
func kindNames() map[string]kind {
	return map[string]kind{
		"namespace": namespace, "stack": stack, "compose_project": composeProject, "workload": workload, "pod": pod, "container": container,
		"image": image, "name": name, "runtime": runtime, "idc": idc, "cluster": cluster, "node": node,
	}
}

// attribute is one fact about a container: a label's value, its namespace, its image.
type attribute struct {
	kind kind
	key  string // of a label or annotation
}

// parseAttribute reads label.KEY, annotation.KEY or one of the fixed names.
func parseAttribute(text string) (attribute, bool) {
	if key, ok := strings.CutPrefix(text, "label."); ok && key != "" {
		return attribute{kind: label, key: key}, true
	}
	if key, ok := strings.CutPrefix(text, "annotation."); ok && key != "" {
		return attribute{kind: annotation, key: key}, true
	}
	k, ok := kindNames()[text]
	return attribute{kind: k}, ok
}

// String is the attribute as the file writes it.
func (a attribute) String() string {
	switch a.kind {
	case label:
		return "label." + a.key
	case annotation:
		return "annotation." + a.key
	}
	for text, k := range kindNames() {
		if k == a.kind {
			return text
		}
	}
	return "?"
}

// of is the attribute's value without the blanks around it; empty is absent.
func (a attribute) of(c *Container) string {
	value := ""
	switch a.kind {
	case label:
		value = c.Labels[a.key]
	case annotation:
		value = c.Annotations[a.key]
	case namespace:
		value = c.Namespace
	case stack:
		value = c.Stack
	case composeProject:
		value = c.ComposeProject
	case workload:
		value = c.Workload
	case pod:
		value = c.Pod
	case container:
		value = c.Container
	case image:
		value = c.Image
	case name:
		value = c.Name
	case runtime:
		value = c.Runtime
	case idc:
		value = c.IDC
	case cluster:
		value = c.Cluster
	case node:
		value = c.Node
	}
	return strings.TrimSpace(value)
}

// attributeWords lists what a match may look at, for messages.
func attributeWords() string {
	return "label.KEY, annotation.KEY, " + strings.Join(slices.Sorted(maps.Keys(kindNames())), ", ")
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func itoa(n int) string { return strconv.Itoa(n) }
