package projectmap

import (
	"cmp"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Bounds of a described container.
const (
	maxGivenLabels = 500
	maxGivenBytes  = 20_000 // of one value; labels of 10 KB have been seen
	maxContainers  = 100_000
)

// ParseContainers reads descriptions of containers as the test section's `given` has them: a list, or a field containers
// with one. The error is of type Faults.
func ParseContainers(file string, text []byte) ([]Container, error) {
	p := &parser{file: file}
	root := p.document(text)
	if root == nil {
		return nil, p.err()
	}
	if root.Kind == yaml.MappingNode {
		root = p.known(root, "the file", "containers")["containers"]
	}
	var all []Container
	for _, n := range p.list(root, "containers", maxContainers) {
		all = append(all, p.given(n, "the container"))
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return all, nil
}

// given reads a description of a container. What follows from the rest need not be said: the runtime, the namespace of a
// stack or Compose project, and these two from Docker's own labels.
func (p *parser) given(n *yaml.Node, what string) Container {
	var c Container
	plain := map[string]*string{
		"namespace": &c.Namespace, "stack": &c.Stack, "compose_project": &c.ComposeProject, "workload": &c.Workload, "pod": &c.Pod,
		"container": &c.Container, "image": &c.Image, "name": &c.Name, "runtime": &c.Runtime, "idc": &c.IDC, "cluster": &c.Cluster, "node": &c.Node,
	}
	fields := p.known(n, what, append(sorted(plain), "labels", "annotations")...)
	c.Labels = p.pairs(fields["labels"], "labels")
	c.Annotations = p.pairs(fields["annotations"], "annotations")
	for name, to := range plain {
		*to, _ = p.text(fields[name], name, maxGivenBytes)
	}
	c.Stack = cmp.Or(c.Stack, c.Labels["com.docker.stack.namespace"])
	c.ComposeProject = cmp.Or(c.ComposeProject, c.Labels["com.docker.compose.project"])
	c.Namespace = cmp.Or(c.Namespace, c.Stack, c.ComposeProject)
	switch {
	case c.Runtime != "":
		if !slices.Contains([]string{"kubernetes", "swarm", "compose", "docker"}, c.Runtime) {
			p.fault(fields["runtime"].Line, "runtime: %q is none of kubernetes, swarm, compose, docker", c.Runtime)
		}
	case c.Stack != "":
		c.Runtime = "swarm"
	case c.ComposeProject != "":
		c.Runtime = "compose"
	case c.Pod != "" || c.Namespace != "":
		c.Runtime = "kubernetes"
	default:
		c.Runtime = "docker"
	}
	return c
}

// pairs reads `key: value` pairs; a value may be empty here, as real ones are.
func (p *parser) pairs(n *yaml.Node, what string) map[string]string {
	if n == nil || isNull(n) {
		return nil
	}
	list := p.fields(n, what)
	if len(list) > maxGivenLabels {
		p.fault(n.Line, "%s: %d, the most is %d", what, len(list), maxGivenLabels)
		return nil
	}
	pairs := make(map[string]string, len(list))
	for _, f := range list {
		if f.value.Kind != yaml.ScalarNode || len(f.value.Value) > maxGivenBytes {
			p.fault(f.line, "%s: %q must be one plain value of at most %d bytes", what, f.name, maxGivenBytes)
			continue
		}
		pairs[f.name] = f.value.Value
	}
	return pairs
}
