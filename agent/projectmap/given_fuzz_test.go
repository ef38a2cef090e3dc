package projectmap

import "testing"

// FuzzParseContainers: any file is a list of containers or an error.
func FuzzParseContainers(f *testing.F) {
	f.Add([]byte("- {name: a, labels: {project: shop}, runtime: docker}\n"))
	f.Add([]byte("containers:\n- {stack: shop, workload: web, annotations: {a: b}}\n"))
	f.Add([]byte("containers: {}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if all, err := ParseContainers("given.yaml", text); err != nil && all != nil {
			t.Errorf("%d containers beside %v", len(all), err)
		}
	})
}
