package server

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/plimsoll/plimsoll/collector/internal/access"
)

// A proxy may pass the path of --external-url on or cut it off; either way the same routes answer, with the same rights.
func TestEverythingAnswersUnderThePathOfTheProxyToo(t *testing.T) {
	rt := routes()
	rt.Path = "/ops/plimsoll/"
	h := rt.handler(newAccess(t, access.Config{Listen: "127.0.0.1:1"}))
	for target, want := range map[string]string{
		"/alerts": "ui", "/ops/plimsoll/alerts": "ui", "/ops/plimsoll/": "ui", "/ops/plimsoll/api/v1/query": "engine", "/api/v1/query": "engine",
		"/ops/plimsoll/api/v1/write": "write", "/ops/plimsoll/api/nodes": "nodes", "/ops/plimsoll/vmui/": "engine", "/ops/plimsollx": "ui",
	} {
		if w := do(h, http.MethodGet, target); w.Code != http.StatusOK || w.Body.String() != want {
			t.Errorf("%s: %d %q, want %s", target, w.Code, w.Body, want)
		}
	}
	w := do(h, http.MethodGet, "/ops/plimsoll?var-a=b")
	if to := w.Header().Get("Location"); w.Code != http.StatusPermanentRedirect || to != "/ops/plimsoll/?var-a=b" {
		t.Errorf("without the slash: %d to %s", w.Code, to)
	}
	// What is refused at the root is refused below the path.
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "tokens:\n- {name: a, sha256: %x, scopes: [read]}\n", sha256.Sum256([]byte("a"))), 0o600); err != nil {
		t.Fatal(err)
	}
	h = rt.handler(newAccess(t, access.Config{Listen: "127.0.0.1:1", TokensFile: file}))
	if w := do(h, http.MethodGet, "/ops/plimsoll/api/nodes"); w.Code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", w.Code)
	}
}
