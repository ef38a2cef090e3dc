// Package access decides who may do what over HTTP: loopback is open, everything else needs tokens, client certificates or a spoken-out wish to be open.
//
// An entry of the tokens file has scopes: write (remote write), read (queries, dashboards, alerts, metrics), silence (make and
// end silences) and admin (reload, profiles, alerts by hand, and all of the others). It may be bound further: what it writes to
// some data centres, clusters and nodes; what it reads and silences to some projects. It is met by a secret, by a client
// certificate, or by both together. A caller with a client certificate and no tokens file writes and reads, unless other scopes were
// spoken out.
package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/collector/internal/allowance"
	"github.com/plimsoll/plimsoll/collector/internal/view"
)

// ErrConfig is wrong or missing configuration; the message says which flag or file:line.
var ErrConfig = errors.New("access configuration")

// Scope is what a request needs.
type Scope string

// The scopes of requests. Admin includes the others.
const (
	Write   Scope = "write"
	Read    Scope = "read"
	Silence Scope = "silence"
	Admin   Scope = "admin"
	// Known is met by every token that is known, whatever its scopes.
	Known Scope = "known"
)

// granted tells whether s is one that a caller can be given.
func (s Scope) granted() bool { return slices.Contains([]Scope{Write, Read, Silence, Admin}, s) }

// Config says who may call. The zero value is a loopback listener without secrets.
type Config struct {
	// Listen is the listener's address, host:port; what is not loopback needs one of the three below.
	Listen string
	// TokensFile lists tokens; see readTokens.
	TokensFile string
	// ClientCA is a PEM file of authorities; a caller needs a certificate of one of them. Needs Certificate and Key.
	ClientCA string
	// CertificateScopes are those of every caller with such a certificate where there is no TokensFile. None: Write and Read.
	CertificateScopes []Scope
	// Anonymous opens the listener to everyone who reaches it.
	Anonymous bool
	// Certificate and Key are PEM files of the server; both or none.
	Certificate, Key string
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Access is the decision. Reload replaces tokens and certificate; the old ones stay when the new are wrong.
type Access struct {
	cfg      Config
	log      *slog.Logger
	refused  *prometheus.CounterVec
	valid    prometheus.Gauge
	failures *allowance.Table[netip.Prefix] // attempts without a known token, by address
	tokens   atomic.Pointer[[]token]
	identity atomic.Pointer[identity]

	mu   sync.Mutex       // of a reload
	read map[string]stamp // the files as Reload last looked at them
}

// New checks cfg and reads its files.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Access, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if len(cfg.CertificateScopes) == 0 {
		cfg.CertificateScopes = []Scope{Write, Read}
	}
	a := &Access{cfg: cfg, log: log, failures: allowance.New[netip.Prefix](failuresAtOnce, failuresPerSec, cfg.Now), refused: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "plimsoll_collector_auth_refused_total", Help: "HTTP requests refused for want of a token (401), of its scope (403), or after too many without a known token (429)."}, []string{"code"}),
		valid: prometheus.NewGauge(prometheus.GaugeOpts{Name: "plimsoll_collector_auth_files_valid", Help: "0 while the files of tokens and certificates are broken and older versions are in force."})}
	for _, code := range []string{"401", "403", "429"} {
		a.refused.WithLabelValues(code)
	}
	if err := a.Reload(); err != nil {
		return nil, err
	}
	reg.MustRegister(a.refused, a.valid)
	return a, nil
}

func (c Config) validate() error {
	loopback, err := isLoopback(c.Listen)
	switch {
	case err != nil:
		return err
	case c.Anonymous && c.TokensFile != "":
		return errors.New("--auth.anonymous and --auth.tokens-file contradict each other: give one")
	case c.Anonymous && c.ClientCA != "":
		return errors.New("--auth.anonymous and --tls.client-ca contradict each other: give one")
	case (c.Certificate == "") != (c.Key == ""):
		return errors.New("--tls.cert and --tls.key go together: give both")
	case c.ClientCA != "" && c.Certificate == "":
		return errors.New("--tls.client-ca needs --tls.cert and --tls.key")
	case len(c.CertificateScopes) > 0 && (c.ClientCA == "" || c.TokensFile != ""):
		return errors.New("--auth.certificate-scopes goes with --tls.client-ca and without --auth.tokens-file, which says the scopes of each")
	case slices.ContainsFunc(c.CertificateScopes, func(s Scope) bool { return !s.granted() }):
		return fmt.Errorf("--auth.certificate-scopes=%s: known are write, read, silence and admin", c.CertificateScopes)
	case !loopback && c.TokensFile == "" && c.ClientCA == "" && !c.Anonymous:
		return fmt.Errorf("--listen=%s is not loopback and so needs --auth.tokens-file, --tls.client-ca with --tls.cert and --tls.key, or an explicit --auth.anonymous", c.Listen)
	}
	return nil
}

// isLoopback is whether only this machine reaches a listener. A name counts when it is localhost: others resolve to what
// they like tomorrow.
func isLoopback(listen string) (bool, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return false, fmt.Errorf("--listen=%q is not host:port: %w", listen, err)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return false, fmt.Errorf("--listen=%q: %w", listen, err)
	}
	if host == "localhost" {
		return true, nil
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback(), nil
}

// Reload reads the files again.
func (a *Access) Reload() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.read = a.cfg.stamps() // before the reading: what changes meanwhile is read again
	if err := a.reload(); err != nil {
		a.valid.Set(0)
		a.log.Error("tokens and certificates stay as they were", "error", err)
		return err
	}
	a.valid.Set(1)
	return nil
}

func (a *Access) reload() error {
	var tokens []token
	if a.cfg.TokensFile != "" {
		var err error
		if tokens, err = readTokens(a.cfg.TokensFile); err != nil {
			return fmt.Errorf("%w: --auth.tokens-file: %w", ErrConfig, err)
		}
		if i := slices.IndexFunc(tokens, func(t token) bool { return t.certificate.String() != "" }); i >= 0 && a.cfg.ClientCA == "" {
			return fmt.Errorf("%w: --auth.tokens-file: %s: token %q is met by a certificate, which needs --tls.client-ca", ErrConfig, a.cfg.TokensFile, tokens[i].Name)
		}
	}
	identity, err := readIdentity(a.cfg)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if before := a.tokens.Load(); before != nil && a.cfg.TokensFile != "" {
		a.log.Info("audit", "who", "the tokens file", "what", "tokens read again", "from", a.cfg.TokensFile, "tokens", len(tokens),
			"new_or_changed", missingIn(tokens, *before), "gone_or_changed", missingIn(*before, tokens))
	}
	a.tokens.Store(&tokens)
	a.identity.Store(identity)
	return nil
}

// missingIn names the tokens of some that are not the same in others.
func missingIn(some, others []token) []string {
	var names []string
	for _, t := range some {
		if !slices.ContainsFunc(others, t.same) {
			names = append(names, t.Name)
		}
	}
	return names
}

// Require lets requests through to next that may do what scope says, and answers the others 401, 403 or 429. A token that is
// bound to projects is refused too, unless scope is Write: next knows nothing of projects.
func (a *Access) Require(scope Scope, next http.Handler) http.Handler {
	return a.require(scope, func(t token) string {
		if t.view == nil || scope == Write {
			return ""
		}
		return fmt.Sprintf("token %q reads %s, and this is not told by project", t.Name, t.view)
	}, next)
}

// RequireNarrowed is Require for a next that shows a token that is bound to projects no more than the view in the
// request's context.
func (a *Access) RequireNarrowed(scope Scope, next http.Handler) http.Handler {
	return a.require(scope, func(token) string { return "" }, next)
}

func (a *Access) require(scope Scope, tooNarrow func(token) string, next http.Handler) http.Handler {
	next = a.audited(scope, next)
	if a.cfg.TokensFile == "" {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var t token
			if cert := certificateOf(r); cert != nil { // TLS has seen to it
				t = token{Caller: Caller{Name: cert.Subject.CommonName}, scopes: a.cfg.CertificateScopes}
				t.Writes = t.may(Write)
			}
			if a.cfg.ClientCA != "" && scope != Known && !t.may(scope) {
				a.forbid(w, r, scope, t.Name, fmt.Sprintf("a certificate alone has not the scope %s, but %s (--auth.certificate-scopes, or an entry in --auth.tokens-file)", scope, a.cfg.CertificateScopes))
				return
			}
			next.ServeHTTP(w, r.WithContext(t.Caller.in(r)))
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t, known := a.identify(r)
		if !known {
			a.refuseUnknown(w, r)
			return
		}
		reason := tooNarrow(t)
		if scope != Known && !t.may(scope) {
			reason = fmt.Sprintf("token %q has not the scope %s", t.Name, scope)
		}
		if reason != "" {
			a.forbid(w, r, scope, t.Name, reason)
			return
		}
		ctx := t.Caller.in(r)
		if t.view != nil {
			ctx = view.With(ctx, t.view)
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// forbid answers a caller who is known.
func (a *Access) forbid(w http.ResponseWriter, r *http.Request, scope Scope, who, reason string) {
	if changes(scope, r) {
		a.audit(r, who, http.StatusForbidden)
	}
	a.refuse(w, r, http.StatusForbidden, "forbidden", reason)
}

// refuseUnknown answers a request without a known token.
func (a *Access) refuseUnknown(w http.ResponseWriter, r *http.Request) {
	if wait := a.failures.Spend(origin(r)); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		a.refuse(w, r, http.StatusTooManyRequests, "too_many_requests", "too many requests without a known token came from this address; one with a known token is served")
		return
	}
	w.Header().Add("WWW-Authenticate", `Bearer realm="plimsoll"`)
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode == "" || mode == "navigate" {
		// Not for a page's own requests: the browser would ask beside the page.
		w.Header().Add("WWW-Authenticate", `Basic realm="plimsoll", charset="UTF-8"`)
	}
	a.refuse(w, r, http.StatusUnauthorized, "unauthorized", "a known token is needed: Authorization: Bearer TOKEN, or the token as the password of basic authentication")
}

func (a *Access) refuse(w http.ResponseWriter, r *http.Request, code int, kind, text string) {
	a.refused.WithLabelValues(strconv.Itoa(code)).Inc()
	a.log.Debug("request refused", "code", code, "path", r.URL.Path, "from", r.RemoteAddr)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"status":"error","errorType":%q,"error":%q}`+"\n", kind, text)
}

// identify finds the entry that a request meets. Every one is compared, each in constant time, so that the time taken says
// nothing about them. One that asks for a secret and a certificate goes before one that asks for less.
func (a *Access) identify(r *http.Request) (token, bool) {
	secret, given := secretOf(r)
	sum := sha256.Sum256([]byte(secret))
	var names []string
	if cert := certificateOf(r); cert != nil {
		names = namesIn(cert)
	}
	tokens, found := *a.tokens.Load(), -1
	for i := range tokens {
		t := &tokens[i]
		same := subtle.ConstantTimeCompare(sum[:], t.sum[:]) == 1
		met := t.hasSecret == given && (!given || same) && (!t.hasCertificate() || slices.ContainsFunc(names, t.certificate.Match))
		if met && (found < 0 || t.hasCertificate() && !tokens[found].hasCertificate()) {
			found = i
		}
	}
	if found < 0 {
		return token{}, false
	}
	return tokens[found], true
}

// secretOf is the secret of a request and whether it came with any authorization.
func secretOf(r *http.Request) (secret string, given bool) {
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		return "", false
	}
	if len(header) > 1 {
		return "", true // which one counts would be a guess
	}
	if _, password, ok := r.BasicAuth(); ok {
		return password, true
	}
	scheme, secret, ok := strings.Cut(header[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", true
	}
	return strings.TrimSpace(secret), true
}
