package access

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/plimsoll/plimsoll/collector/internal/view"
)

func TestABoundThatCanNotHoldNamesItsLine(t *testing.T) {
	head := "tokens:\n- name: a\n  sha256: " + strings.Repeat("ab", 32) + "\n"
	for text, want := range map[string]string{
		"  scopes: [read]\n  projects: shop":                                           `f:5: projects of token "a" is not a list`,
		"  scopes: [read]\n  projects: []":                                             `f:5: projects of token "a" is not a list of 1 to 1000`,
		"  scopes: [read]\n  projects: [shop, 007]":                                    `f:5: projects of token "a": "007" is not a name`,
		"  scopes: [read]\n  projects: [true]":                                         `"true" is not a name`,
		"  scopes: [write]\n  projects: [shop]":                                        "f:5: `projects` of token \"a\" bounds the scopes read and silence, of which it has none",
		"  scopes: [admin]\n  projects: [shop]":                                        `f:5: token "a" has the scope admin, which is not bound`,
		"  scopes: [read]\n  nodes: true":                                              "f:5: `nodes` of token \"a\" goes with `projects`",
		"  scopes: [read]\n  projects: [shop]\n  nodes: maybe":                         `f:6: nodes of token "a" is "maybe"`,
		"  scopes: [read]\n  write: {idc: [east]}":                                     "f:5: `write` of token \"a\" bounds the scope write, which it has not",
		"  scopes: [write]\n  write: {}":                                               "f:5: `write` of token \"a\" bounds nothing",
		"  scopes: [write]\n  write: {rack: [east]}":                                   `f:5: unknown field "rack"`,
		"  scopes: [write]\n  write: {idc: [east], otherwise: ignore}":                 `otherwise of token "a" is "ignore"`,
		"  scopes: [write]\n  write:\n    idc: [east, west]\n    otherwise: overwrite": `f:6: idc of token "a" has several names or a *`,
		"  scopes: [write]\n  write: {node: [\"n-*\"], otherwise: overwrite}":          `node of token "a" has several names or a *`,
		"  scopes: [read]\n  certificate: [\"*\"]":                                     `f:5: certificate of token "a": a name that any certificate has`,
		"  scopes: [reed]":                                                             `f:4: scope "reed" of token "a" is none of write, read, silence, admin`,
	} {
		if _, err := parseTokens("f", []byte(head+text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v for\n%s", want, err, head+text)
		}
	}
	if _, err := parseTokens("f", []byte("tokens:\n- {name: a, scopes: [read]}")); err == nil || !strings.Contains(err.Error(), "f:2: the token has no sha256 and no certificate") {
		t.Errorf("got %v", err)
	}
	file := write(t, "tokens.yaml", "tokens:\n- {name: a, certificate: [ann], scopes: [read]}\n")
	if _, err := open(Config{Listen: "127.0.0.1:0", TokensFile: file}); err == nil || !strings.Contains(err.Error(), "needs --tls.client-ca") {
		t.Errorf("a certificate nobody asks for: %v", err)
	}
}

// met are code, name and view of a request through Require and RequireNarrowed.
func met(a *Access, scope Scope, set func(*http.Request)) string {
	var out []string
	for _, require := range []func(Scope, http.Handler) http.Handler{a.Require, a.RequireNarrowed} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		set(r)
		require(scope, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			out = append(out, fmt.Sprintf("%s sees %s", CallerOf(r.Context()).Name, view.Of(r.Context())))
		})).ServeHTTP(w, r)
		if w.Code != 200 {
			out = append(out, fmt.Sprint(w.Code))
		}
	}
	return strings.Join(out, ", ")
}

func bearer(secret string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+secret) }
}

func TestATokenBoundToProjectsPassesOnlyWhereItIsNarrowed(t *testing.T) {
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte("s")))
	a, err := open(Config{Listen: "127.0.0.1:0", TokensFile: write(t, "tokens.yaml", "tokens:\n  - {name: shop, sha256: "+sum+", scopes: [read, write], projects: [shop], nodes: true}\n"+entry("all", "r", "read"))})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		scope  Scope
		secret string
		want   string
	}{
		{Read, "s", `403, shop sees project "shop" and nodes`}, {Write, "s", `shop sees project "shop" and nodes, shop sees project "shop" and nodes`}, {Known, "s", `403, shop sees project "shop" and nodes`},
		{Silence, "s", "403, 403"}, {Admin, "s", "403, 403"}, {Read, "r", "all sees everything, all sees everything"}, {Read, "x", "401, 401"},
	} {
		if got := met(a, c.scope, bearer(c.secret)); got != c.want {
			t.Errorf("%s with %q: %s, want %s", c.scope, c.secret, got, c.want)
		}
	}
	twice := func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer r", "Bearer s"} }
	if got := met(a, Read, twice); got != "401, 401" {
		t.Errorf("two secrets in one request: %s", got)
	}
}

func TestACertificateMeetsTheEntryOfItsName(t *testing.T) {
	serverCert, serverKey, _ := certificate(t, "server")
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte("s")))
	file := write(t, "tokens.yaml", "tokens:\n- {name: ann, certificate: [ann], scopes: [read], projects: [shop]}\n- {name: agents, certificate: [\"agent-*\"], scopes: [write]}\n- {name: secret, sha256: "+sum+", scopes: [read]}\n- {name: both, sha256: "+strings.Repeat("ab", 32)+", certificate: [ann], scopes: [read]}\n")
	annCA, _, ann := certificate(t, "ann")
	agentCA, _, agent := certificate(t, "agent-7")
	strangerCA, _, stranger := certificate(t, "ann-2")
	var bundle string
	for _, path := range []string{annCA, agentCA, strangerCA} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bundle += string(text)
	}
	a, err := open(Config{Listen: "0.0.0.0:1", Certificate: serverCert, Key: serverKey, ClientCA: write(t, "ca.pem", bundle), TokensFile: file})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(a.RequireNarrowed(Read, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s sees %s", CallerOf(r.Context()).Name, view.Of(r.Context()))
	})))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.Listener = tls.NewListener(srv.Listener, a.TLS())
	srv.Start()
	defer srv.Close()
	for _, c := range []struct {
		cert   tls.Certificate
		secret string
		want   string
	}{
		{ann, "", `200 ann sees project "shop"`}, {agent, "", "403"}, {stranger, "", "401"}, {stranger, "s", "200 secret sees everything"}, {ann, "wrong", "401"},
	} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{c.cert}}}}
		r, err := http.NewRequest("GET", "https://"+srv.Listener.Addr().String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.secret != "" {
			bearer(c.secret)(r)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		body.ReadFrom(resp.Body)
		resp.Body.Close()
		if got := fmt.Sprint(resp.StatusCode, " ", body.String()); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s with %q: %s, want %s", c.cert.Leaf.Subject.CommonName, c.secret, got, c.want)
		}
	}
}

func TestManyFailuresAreSlowedAndNobodyElseIsShutOut(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	reg := prometheus.NewRegistry()
	a, err := New(Config{Listen: "127.0.0.1:0", TokensFile: write(t, "tokens.yaml", "tokens:\n"+entry("good", "good", "read")), Now: func() time.Time { return now }}, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(secret, from string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = from
		bearer(secret)(r)
		a.Require(Read, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		return w
	}
	codes := map[int]int{}
	for i := range 100 {
		w := ask("guess"+fmt.Sprint(i), "192.0.2.1:1000")
		codes[w.Code]++
		if w.Code == 429 && w.Header().Get("Retry-After") != "2" && w.Header().Get("Retry-After") != "1" {
			t.Fatalf("Retry-After %q", w.Header().Get("Retry-After"))
		}
		if got := ask("good", "192.0.2.1:1001").Code; got != 200 {
			t.Fatalf("after %d failures of its neighbour a known token gets %d", i+1, got)
		}
	}
	if codes[401] != failuresAtOnce || codes[429] != 100-failuresAtOnce {
		t.Errorf("codes %v", codes)
	}
	if got := ask("guess", "192.0.2.2:1").Code; got != 401 {
		t.Errorf("another address gets %d", got)
	}
	for range failuresAtOnce {
		ask("x", "[2001:db8::1]:1")
	}
	if same, next := ask("x", "[2001:db8::2]:1").Code, ask("x", "[2001:db8:0:1::1]:1").Code; same != 429 || next != 401 {
		t.Errorf("another address of the same IPv6 network gets %d, one of the next %d", same, next)
	}
	now = now.Add(5 * time.Second)
	if got := ask("guess", "192.0.2.1:1").Code; got != 401 {
		t.Errorf("five seconds later: %d", got)
	}
	if got := testutil.ToFloat64(a.refused.WithLabelValues("429")); got != 81 {
		t.Errorf("%v counted", got)
	}
}

func TestAChangedTokensFileIsReadAgainAndSaidInTheAuditLog(t *testing.T) {
	var log bytes.Buffer
	file := write(t, "tokens.yaml", "tokens:\n"+entry("old", "old", "read")+entry("kept", "kept", "read"))
	a, err := New(Config{Listen: "127.0.0.1:0", TokensFile: file}, slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if a.changed() {
		t.Error("an unchanged file is changed")
	}
	put := func(text string, at time.Time) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	put("tokens:\n"+entry("new", "new", "read")+entry("kept", "kept", "read"), time.Now().Add(time.Second))
	if !a.changed() {
		t.Fatal("the change is not seen")
	}
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"audit", "tokens read again", "new_or_changed=[new]", "gone_or_changed=[old]"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %s: %s", want, log.String())
		}
	}
	if got := met(a, Read, bearer("new")); got != "new sees everything, new sees everything" {
		t.Error(got)
	}
	put("tokens: [oops", time.Now().Add(2*time.Second))
	if !a.changed() || a.Reload() == nil || testutil.ToFloat64(a.valid) != 0 {
		t.Error("a broken file goes unnoticed")
	}
	if a.changed() {
		t.Error("a broken file is read again and again")
	}
	if got := met(a, Read, bearer("new")); got != "new sees everything, new sees everything" {
		t.Errorf("the tokens of before are gone: %s", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if !a.changed() {
		t.Error("a file that is gone goes unnoticed")
	}
}
