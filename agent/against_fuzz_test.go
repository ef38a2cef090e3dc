package main

import "testing"

// FuzzContainersOfAFile: what docker inspect or kubectl printed, or anything else.
func FuzzContainersOfAFile(f *testing.F) {
	f.Add([]byte(`[{"Id":"a","Name":"/web","Config":{"Image":"nginx:1","Labels":{"project":"shop"}}}]`))
	f.Add([]byte(`{"kind":"Pod","metadata":{"name":"web-1","namespace":"shop"},"spec":{"containers":[{"name":"web","image":"nginx"}]}}`))
	f.Add([]byte(`{"kind":"List","items":[{"metadata":{"name":"x"},"spec":{"initContainers":[{"name":"i"}]}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, c := range inspected(text) {
			if c.Kubernetes.Sandbox {
				t.Errorf("a sandbox: %+v", c)
			}
		}
		pods(text)
	})
}
