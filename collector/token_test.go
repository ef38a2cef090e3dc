package main

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/collector/internal/access"
)

func TestANewTokenAndItsEntryFitEachOther(t *testing.T) {
	var out, fault strings.Builder
	if code := command([]string{"token", "new", `Ann "A"`}, &out, &fault); code != exitOK {
		t.Fatal(code, fault.String())
	}
	secret := regexp.MustCompile(`(?m)^[0-9a-f]{64}$`).FindString(out.String())
	_, entry, _ := strings.Cut(out.String(), "\n- name:")
	folder := t.TempDir()
	file := filepath.Join(folder, "tokens.yaml")
	if err := os.WriteFile(file, []byte("tokens:\n- name:"+entry), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := access.New(access.Config{Listen: "127.0.0.1:0", TokensFile: file}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+secret)
	a.Require(access.Read, http.NotFoundHandler()).ServeHTTP(w, r)
	if w.Code != http.StatusNotFound {
		t.Errorf("the secret %q of\n%s gets %d", secret, out.String(), w.Code)
	}

	kept := filepath.Join(folder, "secret")
	if err := os.WriteFile(kept, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if code := command([]string{"token", "hash", kept}, &out, &fault); code != exitOK || !strings.Contains(out.String(), fmt.Sprintf("sha256: %x\n", sha256.Sum256([]byte(secret)))) {
		t.Errorf("%d %s %s", code, out.String(), fault.String())
	}
	for _, wrong := range [][]string{{"token"}, {"token", "new"}, {"token", "new", ""}, {"token", "hash", "/nowhere"}, {"token", "hash", os.DevNull}, {"token", "old"}} {
		if code := command(wrong, &out, &fault); code != exitUsage {
			t.Errorf("%v: code %d", wrong, code)
		}
	}
}
