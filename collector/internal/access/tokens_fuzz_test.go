package access

import (
	"strings"
	"testing"
)

// FuzzTokens: any file is tokens that each have a name and a proof, or an error that names its place.
func FuzzTokens(f *testing.F) {
	f.Add([]byte("tokens:\n- name: a\n  sha256: " + strings.Repeat("ab", 32) + "\n  scopes: [write, read, admin]\n  place: {idc: east, cluster: c}\n"))
	f.Add([]byte("tokens:\n- {name: a, certificate: x, scopes: [read], projects: [shop]}\n"))
	f.Add([]byte("tokens: [{name: a, scopes: write, sha256: zz}]\n"))
	f.Add([]byte("a: &b [*b]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		tokens, err := parseTokens("tokens.yaml", text)
		if err != nil && (tokens != nil || !strings.Contains(err.Error(), "tokens.yaml")) {
			t.Errorf("%d tokens and %v", len(tokens), err)
		}
		if err == nil && len(tokens) == 0 {
			t.Error("no tokens and no error")
		}
		for _, one := range tokens {
			if one.Name == "" {
				t.Errorf("a token without a name: %+v", one)
			}
		}
	})
}
