package roster

import (
	"errors"
	"fmt"
	"io"
	"os"

	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/collector/internal/ingest"
)

// Read reads a list of at most so many nodes: a YAML list of names, or of maps with node, cluster and idc, of which only node must be given.
//
//   - node-17
//   - {idc: bj1, cluster: edge, node: node-18}
func Read(path string, most int) ([]ingest.NodeID, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the list of nodes: %w", err)
	}
	defer file.Close()
	var entries []yaml.Node
	if err := yaml.NewDecoder(file).Decode(&entries); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(entries) > most {
		return nil, fmt.Errorf("%s:%d: %d nodes, the most is %d (--limit.nodes)", path, entries[most].Line, len(entries), most)
	}
	nodes := make([]ingest.NodeID, 0, len(entries))
	first := make(map[ingest.NodeID]int, len(entries))
	for i := range entries {
		id, err := entry(&entries[i])
		if err == nil && first[id] > 0 {
			err = fmt.Errorf("node %q is listed in line %d too", id.Node, first[id])
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, entries[i].Line, err)
		}
		first[id] = entries[i].Line
		nodes = append(nodes, id)
	}
	return nodes, nil
}

func entry(n *yaml.Node) (id ingest.NodeID, err error) {
	if n.Kind == yaml.ScalarNode {
		id.Node = n.Value
	} else {
		said := map[string]string{}
		if err := n.Decode(&said); err != nil {
			return id, fmt.Errorf("want a name or {idc, cluster, node}: %w", err)
		}
		for key, value := range said {
			switch key {
			case "idc":
				id.IDC = value
			case "cluster":
				id.Cluster = value
			case "node":
				id.Node = value
			default:
				return id, fmt.Errorf("%q is none of idc, cluster, node", key)
			}
		}
	}
	if id.Node == "" {
		return id, errors.New("a node needs a name")
	}
	return id, nil
}
