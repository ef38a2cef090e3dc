package oncall

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzPage: any page is a plan that compiles, or faults with their place.
func FuzzPage(f *testing.F) {
	if example, err := os.ReadFile("../../../deploy/oncall.example.yaml"); err == nil {
		f.Add(example)
	} else {
		f.Fatal(err)
	}
	f.Add([]byte("receivers: {a: {webhook: 'http://x'}}\nfallback: a\n"))
	f.Add([]byte("receivers: [1]\nroutes: {}\nhours: {a: 25:00-26:00}\n"))
	path := filepath.Join(f.TempDir(), "oncall.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		plan, err := Load(path)
		if err != nil {
			if plan != nil || !strings.Contains(err.Error(), path+":") {
				t.Errorf("the error does not say where: %v", err)
			}
			return
		}
		if _, err := plan.Compile([]string{"ContainerOOMKilled"}, nil); err != nil {
			t.Errorf("the plan does not compile: %v", err)
		}
	})
}
