package roster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzList: any file is a list of nodes, none of them twice, or an error that names it.
func FuzzList(f *testing.F) {
	f.Add([]byte("- {idc: east, cluster: c, node: n}\n- node-2\n"))
	f.Add([]byte("- {node: n}\n- {node: n}\n"))
	f.Add([]byte("a: b\n"))
	path := filepath.Join(f.TempDir(), "nodes.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		nodes, err := Read(path, 10)
		if err != nil && !strings.Contains(err.Error(), path) || err == nil && len(nodes) > 10 {
			t.Errorf("%d nodes, %v", len(nodes), err)
		}
		seen := map[any]bool{}
		for _, n := range nodes {
			if n.Node == "" || seen[n] {
				t.Errorf("%+v", nodes)
			}
			seen[n] = true
		}
	})
}
