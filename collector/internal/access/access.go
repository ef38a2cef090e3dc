// Package access decides who may do what over HTTP: loopback is open, everything else needs tokens, client certificates or a spoken-out wish to be open.
//
// A token has scopes: write (remote write), read (queries, dashboards, alerts, metrics) and admin (reload, silences,
// profiles, and the other two). A caller with a client certificate and no tokens file has all of them. Where both are
// configured a caller needs both.
package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// ErrConfig is wrong or missing configuration; the message says which flag or file:line.
var ErrConfig = errors.New("access configuration")

// Scope is what a request needs.
type Scope string

// The scopes of requests. Admin includes the others.
const (
	Write Scope = "write"
	Read  Scope = "read"
	Admin Scope = "admin"
	// Known is met by every token that is known, whatever its scopes.
	Known Scope = "known"
)

// Config says who may call. The zero value is a loopback listener without secrets.
type Config struct {
	// Listen is the listener's address, host:port; what is not loopback needs one of the three below.
	Listen string
	// TokensFile lists tokens; see readTokens.
	TokensFile string
	// ClientCA is a PEM file of authorities; a caller needs a certificate of one of them. Needs Certificate and Key.
	ClientCA string
	// Anonymous opens the listener to everyone who reaches it.
	Anonymous bool
	// Certificate and Key are PEM files of the server; both or none.
	Certificate, Key string
}

// Access is the decision. Reload replaces tokens and certificate; the old ones stay when the new are wrong.
type Access struct {
	cfg      Config
	log      *slog.Logger
	refused  *prometheus.CounterVec
	tokens   atomic.Pointer[[]token]
	identity atomic.Pointer[identity]
}

// New checks cfg and reads its files.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Access, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	a := &Access{cfg: cfg, log: log, refused: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "plimsoll_collector_auth_refused_total", Help: "HTTP requests refused for want of a token (401) or of its scope (403)."}, []string{"code"})}
	a.refused.WithLabelValues("401")
	a.refused.WithLabelValues("403")
	if err := a.Reload(); err != nil {
		return nil, err
	}
	reg.MustRegister(a.refused)
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
	var tokens []token
	if a.cfg.TokensFile != "" {
		var err error
		if tokens, err = readTokens(a.cfg.TokensFile); err != nil {
			return fmt.Errorf("%w: --auth.tokens-file: %w", ErrConfig, err)
		}
	}
	identity, err := readIdentity(a.cfg)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	a.tokens.Store(&tokens)
	a.identity.Store(identity)
	return nil
}

// Require lets requests through to next that may do what scope says, and answers the others 401 or 403.
func (a *Access) Require(scope Scope, next http.Handler) http.Handler {
	if a.cfg.TokensFile == "" {
		return next // TLS has seen to certificates
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, known := a.identify(r)
		switch {
		case !known:
			w.Header().Add("WWW-Authenticate", `Bearer realm="plimsoll"`)
			if mode := r.Header.Get("Sec-Fetch-Mode"); mode == "" || mode == "navigate" {
				// Not for a page's own requests: the browser would ask beside the page.
				w.Header().Add("WWW-Authenticate", `Basic realm="plimsoll", charset="UTF-8"`)
			}
			a.refuse(w, r, http.StatusUnauthorized, "unauthorized", "a known token is needed: Authorization: Bearer TOKEN, or the token as the password of basic authentication")
		case scope != Known && !caller.may(scope):
			a.refuse(w, r, http.StatusForbidden, "forbidden", fmt.Sprintf("token %q has not the scope %s", caller.Name, scope))
		default:
			if caller.place != (Place{}) {
				r = r.WithContext(context.WithValue(r.Context(), placeKey{}, caller.place))
			}
			next.ServeHTTP(w, r)
		}
	})
}

// Place is where the senders that share a token stand: the data centre and the cluster for series that come without them.
type Place struct{ IDC, Cluster string }

type placeKey struct{}

// PlaceOf is the place of the token that came with a request, zero without one.
func PlaceOf(r *http.Request) Place {
	p, _ := r.Context().Value(placeKey{}).(Place)
	return p
}

func (a *Access) refuse(w http.ResponseWriter, r *http.Request, code int, kind, text string) {
	a.refused.WithLabelValues(fmt.Sprint(code)).Inc()
	a.log.Debug("request refused", "code", code, "path", r.URL.Path, "from", r.RemoteAddr)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"status":"error","errorType":%q,"error":%q}`+"\n", kind, text)
}

// identify finds the token of r. Every known token is compared, each in constant time, so that the time taken says
// nothing about them.
func (a *Access) identify(r *http.Request) (token, bool) {
	secret := secretOf(r)
	if secret == "" {
		return token{}, false
	}
	sum := sha256.Sum256([]byte(secret))
	tokens, found := *a.tokens.Load(), -1
	for i := range tokens {
		if subtle.ConstantTimeCompare(sum[:], tokens[i].sum[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return token{}, false
	}
	return tokens[found], true
}

func secretOf(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	scheme, secret, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}
