package notify

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/prometheus/alertmanager/config"
	"go.yaml.in/yaml/v3"
)

// locate finds the line that a fault comes from. Alertmanager names it for faults of type only; for the others it is where the text of
// the fault points or, failing that, the deepest part of the file without which there is no fault, or another one.
func locate(root *yaml.Node, fault error) int {
	if line := lineIn(fault); line > 0 {
		return line
	}
	if line := pointed(root, fault.Error()); line > 0 {
		return line
	}
	b := blame{root: root, fault: fault.Error(), line: 1, left: maxBlameSteps}
	b.search(root, 0)
	return b.line
}

// pointed is the line of what a fault names: a receiver, a time, an address. Where several parts have that name the last one is at
// fault, as it is with a name given twice.
func pointed(root *yaml.Node, fault string) int {
	if strings.Contains(fault, "must specify a default receiver") {
		return lineOfKey(root, "route")
	}
	line := 0
	if strings.HasPrefix(fault, "missing name in") {
		eachPair(root, func(key, value *yaml.Node) {
			if key.Value == "name" && value.Value == "" {
				line = value.Line
			}
		})
		return line
	}
	for _, named := range regexp.MustCompile(`"([^"]+)"|address (\S+):`).FindAllStringSubmatch(fault, -1) {
		word := named[1] + named[2]
		eachScalar(root, func(n *yaml.Node) {
			if n.Value == word {
				line = n.Line
			}
		})
	}
	return line
}

func lineOfKey(root *yaml.Node, name string) int {
	line := 0
	eachPair(root, func(key, _ *yaml.Node) {
		if key.Value == name && line == 0 {
			line = key.Line
		}
	})
	return line
}

// eachPair calls f for every entry of every mapping.
func eachPair(n *yaml.Node, f func(key, value *yaml.Node)) {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			f(child, n.Content[i+1])
		}
		eachPair(child, f)
	}
}

// eachScalar calls f for every value, in the order of the file; keys are none.
func eachScalar(n *yaml.Node, f func(*yaml.Node)) {
	if n.Kind == yaml.ScalarNode {
		f(n)
	}
	for i, child := range n.Content {
		if n.Kind != yaml.MappingNode || i%2 == 1 {
			eachScalar(child, f)
		}
	}
}

func lineIn(err error) int {
	found := regexp.MustCompile(`line (\d+)`).FindStringSubmatch(err.Error())
	if found == nil {
		return 0
	}
	line, _ := strconv.Atoi(found[1])
	return line
}

// maxBlameSteps bounds the search: each step reads the configuration once, well under a millisecond.
const maxBlameSteps = 2000

type blame struct {
	root  *yaml.Node
	fault string
	line  int
	depth int
	cured bool // the part at line is one without which there is no fault
	left  int
}

func (b *blame) search(at *yaml.Node, depth int) {
	step := 1
	if at.Kind == yaml.MappingNode {
		step = 2
	}
	all := at.Content
	for i := 0; i+step <= len(all) && b.left > 0; i += step {
		b.left--
		if depth > 0 { // at depth 0 stands the document itself
			at.Content = append(append([]*yaml.Node{}, all[:i]...), all[i+step:]...)
			now := faultOf(b.root)
			at.Content = all
			cured := now == ""
			if now != b.fault && (cured && !b.cured || cured == b.cured && depth > b.depth) {
				b.line, b.depth, b.cured = all[i].Line, depth, cured
			}
		}
		b.search(all[i+step-1], depth+1)
	}
}

func faultOf(root *yaml.Node) string {
	text, err := yaml.Marshal(root)
	if err != nil {
		return err.Error()
	}
	if _, err := config.Load(string(text)); err != nil {
		return err.Error()
	}
	return ""
}
