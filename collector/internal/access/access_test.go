package access

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func open(cfg Config) (*Access, error) {
	return New(cfg, slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func entry(name, secret, scopes string) string {
	return fmt.Sprintf("  - {name: %s, sha256: %x, scopes: [%s]}\n", name, sha256.Sum256([]byte(secret)), scopes)
}

func TestAListenerOthersReachNeedsASecretOrAnExplicitWish(t *testing.T) {
	tokens := write(t, "tokens.yaml", "tokens:\n"+entry("a", "s", "write"))
	for _, c := range []struct {
		cfg  Config
		want string // of the error, empty for none
	}{
		{Config{Listen: "127.0.0.1:9750"}, ""},
		{Config{Listen: "[::1]:9750"}, ""},
		{Config{Listen: "localhost:9750"}, ""},
		{Config{Listen: "127.9.9.9:0", TokensFile: tokens}, ""},
		{Config{Listen: "0.0.0.0:9750", TokensFile: tokens}, ""},
		{Config{Listen: ":9750", Anonymous: true}, ""},
		{Config{Listen: ":9750"}, "--auth.tokens-file, --tls.client-ca"},
		{Config{Listen: "0.0.0.0:9750"}, "--auth.anonymous"},
		{Config{Listen: "[::]:9750"}, "not loopback"},
		{Config{Listen: "10.1.2.3:9750"}, "--listen=10.1.2.3:9750"},
		{Config{Listen: "db.example:9750"}, "not loopback"},
		{Config{Listen: "9750"}, "not host:port"},
		{Config{Listen: "127.0.0.1:port"}, "port"},
		{Config{Listen: ":9750", Anonymous: true, TokensFile: tokens}, "contradict"},
		{Config{Listen: "127.0.0.1:1", Certificate: "c"}, "--tls.key"},
		{Config{Listen: "127.0.0.1:1", ClientCA: "c"}, "needs --tls.cert"},
		{Config{Listen: "127.0.0.1:1", Certificate: tokens, Key: tokens}, tokens},
		{Config{Listen: "127.0.0.1:1", TokensFile: "/nothing.yaml"}, "/nothing.yaml"},
		{Config{Listen: "127.0.0.1:1", CertificateScopes: []Scope{Admin}}, "--auth.certificate-scopes goes with --tls.client-ca"},
		{Config{Listen: "127.0.0.1:1", ClientCA: "c", Certificate: "c", Key: "k", TokensFile: tokens, CertificateScopes: []Scope{Admin}}, "without --auth.tokens-file"},
		{Config{Listen: "127.0.0.1:1", ClientCA: "c", Certificate: "c", Key: "k", CertificateScopes: []Scope{"root"}}, "--auth.certificate-scopes=[root]"},
	} {
		_, err := open(c.cfg)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: got %v, want %q", c.cfg, err, c.want)
		}
	}
}

func TestATokensFileThatIsWrongNamesItsLine(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for text, want := range map[string]string{
		"":                                     "f:1: the file is empty",
		"tokens: [":                            "f:1: ",
		"- a":                                  "f:1: expected fields",
		"tokens: []":                           "f:1: `tokens:` needs a list",
		"token:\n- {}":                         `f:1: unknown field "token"`,
		"tokens:\n- {sha256: x}":               "f:2: the token has no name",
		"tokens:\n- {name: a, scopes: [read]}": "f:2: the token has no sha256",
		"tokens:\n- name: a\n  sha256: 12\n  scopes: [read]":                                                                                `f:3: sha256 of token "a" is not 64 hex digits`,
		"tokens:\n- name: a\n  sha256: " + sum + "\n  scopes: read":                                                                         `f:4: scopes of token "a" is not a list`,
		"tokens:\n- name: a\n  sha256: " + sum + "\n  scopes: [read, all]":                                                                  `f:4: scope "all" of token "a" is none of`,
		"tokens:\n- name: a\n  sha256: " + sum + "\n  project: [shop]\n  scopes: [read]":                                                    `f:4: unknown field "project"`,
		"tokens:\n- {name: a, sha256: " + sum + ", scopes: [read]}\n- {name: a, sha256: " + strings.Repeat("cd", 32) + ", scopes: [write]}": `f:3: name or sha256 of token "a" is also`,
		"tokens:\n- name: a\n  name: b":                                                                                                     `f:3: field "name" comes twice`,
	} {
		if _, err := parseTokens("f", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v for\n%s", want, err, text)
		}
	}
}

func TestATokenMayDoWhatItsScopesSay(t *testing.T) {
	file := write(t, "tokens.yaml", "tokens:\n"+entry("w", "secret-w", "write")+entry("r", "secret-r", "read")+entry("a", "secret-a", "admin"))
	a, err := open(Config{Listen: ":1", TokensFile: file})
	if err != nil {
		t.Fatal(err)
	}
	code := func(scope Scope, set func(*http.Request)) (int, *httptest.ResponseRecorder) {
		r := httptest.NewRequest("GET", "/", nil)
		set(r)
		w := httptest.NewRecorder()
		a.Require(scope, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(299) })).ServeHTTP(w, r)
		return w.Code, w
	}
	bearer := func(secret string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+secret) }
	}
	for _, c := range []struct {
		secret             string
		write, read, admin int
	}{{"secret-w", 299, 403, 403}, {"secret-r", 403, 299, 403}, {"secret-a", 299, 299, 299}, {"wrong", 401, 401, 401}, {"", 401, 401, 401}} {
		for scope, want := range map[Scope]int{Write: c.write, Read: c.read, Admin: c.admin} {
			if got, _ := code(scope, bearer(c.secret)); got != want {
				t.Errorf("%q %s: %d, want %d", c.secret, scope, got, want)
			}
			if got, _ := code(scope, func(r *http.Request) { r.SetBasicAuth("anyone", c.secret) }); got != want {
				t.Errorf("basic %q %s: %d, want %d", c.secret, scope, got, want)
			}
		}
	}
	for want, secret := range map[int]string{401: "wrong", 403: "secret-w"} {
		_, w := code(Read, bearer(secret))
		var body struct{ Status, ErrorType, Error string }
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Status != "error" || body.Error == "" || w.Code != want {
			t.Errorf("%d: %s %v", w.Code, w.Body, err)
		}
	}
	if _, w := code(Read, func(*http.Request) {}); len(w.Header().Values("WWW-Authenticate")) != 2 {
		t.Errorf("a browser is not asked for a password: %v", w.Header())
	}
	if _, w := code(Read, func(r *http.Request) { r.Header.Set("Sec-Fetch-Mode", "cors") }); len(w.Header().Values("WWW-Authenticate")) != 1 {
		t.Errorf("a page's own request makes the browser ask: %v", w.Header())
	}

	if err := os.WriteFile(file, []byte("tokens: [oops"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Reload(); err == nil {
		t.Error("a broken file is accepted")
	}
	if got, _ := code(Read, bearer("secret-r")); got != 299 {
		t.Errorf("after a failed reload the old token gets %d", got)
	}
	if err := os.WriteFile(file, []byte("tokens:\n"+entry("r", "new", "read")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	if got, _ := code(Read, bearer("secret-r")); got != 401 {
		t.Errorf("a withdrawn token gets %d", got)
	}
}

func TestLoopbackWithoutTokensIsOpen(t *testing.T) {
	a, err := open(Config{Listen: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	a.Require(Admin, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(299) })).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 299 {
		t.Errorf("got %d", w.Code)
	}
}

// certificate writes a self-signed certificate, its own authority, and its key.
func certificate(t *testing.T, name string) (cert, key string, pair tls.Certificate) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	template.Subject.CommonName = name
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	var c, k bytes.Buffer
	pem.Encode(&c, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	pem.Encode(&k, &pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	if pair, err = tls.X509KeyPair(c.Bytes(), k.Bytes()); err != nil {
		t.Fatal(err)
	}
	return write(t, name+".pem", c.String()), write(t, name+".key", k.String()), pair
}

func TestACallerWithoutACertificateOfTheAuthorityGetsNoConnection(t *testing.T) {
	serverCert, serverKey, _ := certificate(t, "server")
	clientCA, _, client := certificate(t, "client")
	_, _, stranger := certificate(t, "stranger")
	a, err := open(Config{Listen: "0.0.0.0:1", Certificate: serverCert, Key: serverKey, ClientCA: clientCA})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(a.Require(Read, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(299) })))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	listener := tls.NewListener(srv.Listener, a.TLS())
	srv.Listener = listener
	srv.Start()
	defer srv.Close()
	get := func(certs ...tls.Certificate) (int, error) {
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certs}}}
		resp, err := c.Get("https://" + listener.Addr().String())
		if err != nil {
			return 0, err
		}
		resp.Body.Close()
		return resp.StatusCode, nil
	}
	if code, err := get(client); code != 299 {
		t.Errorf("the client: %d %v", code, err)
	}
	if code, err := get(); err == nil {
		t.Errorf("without a certificate: %d", code)
	}
	if code, err := get(stranger); err == nil {
		t.Errorf("a stranger: %d", code)
	}
}

// Whoever had a certificate of the authority, each agent for one, could once reload and silence.
func TestACertificateAloneWritesAndReadsUnlessMoreIsSpokenOut(t *testing.T) {
	serverCert, serverKey, _ := certificate(t, "server")
	clientCA, _, client := certificate(t, "client")
	leaf, err := x509.ParseCertificate(client.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	ask := func(scopes []Scope, scope Scope) *httptest.ResponseRecorder {
		a, err := open(Config{Listen: "0.0.0.0:1", Certificate: serverCert, Key: serverKey, ClientCA: clientCA, CertificateScopes: scopes})
		if err != nil {
			t.Fatal(err)
		}
		r, w := httptest.NewRequest("POST", "/", nil), httptest.NewRecorder()
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf}}}
		a.Require(scope, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if CallerOf(r.Context()).Name != "client" {
				t.Errorf("the caller is %+v", CallerOf(r.Context()))
			}
			w.WriteHeader(299)
		})).ServeHTTP(w, r)
		return w
	}
	for scope, want := range map[Scope]int{Write: 299, Read: 299, Known: 299, Silence: 403, Admin: 403} {
		if w := ask(nil, scope); w.Code != want || want == 403 && !strings.Contains(w.Body.String(), "--auth.certificate-scopes") {
			t.Errorf("%s: %d %s", scope, w.Code, w.Body)
		}
		if w := ask([]Scope{Admin}, scope); w.Code != 299 {
			t.Errorf("%s, where all is granted: %d %s", scope, w.Code, w.Body)
		}
		if w := ask([]Scope{Write}, scope); (w.Code == 299) != (scope == Write || scope == Known) {
			t.Errorf("%s, where writing is granted: %d", scope, w.Code)
		}
	}
}

func TestATokenSaysWhereItsSendersStand(t *testing.T) {
	file := "tokens:\n  - {name: east, sha256: " + fmt.Sprintf("%x", sha256.Sum256([]byte("s"))) + ", scopes: [write], place: {idc: sh-east, cluster: k1}}\n" + entry("other", "o", "write")
	a, err := open(Config{Listen: "127.0.0.1:0", TokensFile: write(t, "tokens.yaml", file)})
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]Place{"s": {IDC: "sh-east", Cluster: "k1"}, "o": {}} {
		var got Place
		r := httptest.NewRequest("POST", "/api/v1/write", nil)
		r.Header.Set("Authorization", "Bearer "+secret)
		a.Require(Write, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = PlaceOf(r) })).ServeHTTP(httptest.NewRecorder(), r)
		if got != want {
			t.Errorf("token %q stands at %v, want %v", secret, got, want)
		}
	}
	for _, c := range []struct{ place, want string }{
		{"{rack: 3}", `tokens.yaml:2: unknown field "rack"`},
		{"{idc: ''}", "tokens.yaml:2: idc"},
		{"[sh-east]", "tokens.yaml:2: expected fields"},
	} {
		_, err := open(Config{Listen: "127.0.0.1:0", TokensFile: write(t, "tokens.yaml", strings.Replace(file, "{idc: sh-east, cluster: k1}", c.place, 1))})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("place %s: %v, want %q", c.place, err, c.want)
		}
	}
}
