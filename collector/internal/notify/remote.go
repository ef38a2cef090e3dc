package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
)

// Remote is an external Alertmanager, or the members of a cluster of them.
type Remote struct {
	// URLs of all members, for example http://alertmanager-1:9093. Empty: there is no external Alertmanager.
	URLs []string
	// CAFile holds the authorities that may have signed their certificates; empty means the system's. CertFile and KeyFile are the
	// client certificate. All PEM, and followed when they change.
	CAFile, CertFile, KeyFile string
	// TokenFile holds a bearer token, or Username and PasswordFile make basic authentication. The files are read for every request.
	TokenFile, Username, PasswordFile string
	// Timeout of one request. Default 10 s.
	Timeout time.Duration
}

// remote posts every alert to every member: a cluster of Alertmanagers agrees on who notifies, but does not hand alerts on.
type remote struct {
	members []*member
	proxy   http.Handler
	log     *slog.Logger
}

// member is one Alertmanager. It tells of its failures when they begin and when they are over.
type member struct {
	url           *url.URL
	client        *http.Client
	posts, failed prometheus.Counter

	mu   sync.Mutex
	down bool
}

func openRemote(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*remote, error) {
	client, err := cfg.Remote.client()
	if err != nil {
		return nil, err
	}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_collector_" + name, Help: help}, []string{"receiver", "integration"})
	}
	posts, failed := counter("notifications_total", "Batches of alerts posted to an external Alertmanager."), counter("notifications_failed_total", "Batches of alerts that an external Alertmanager did not take.")
	r := &remote{log: log}
	seen := map[string]bool{}
	for _, text := range cfg.Remote.URLs {
		u, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("notify: URL of the external Alertmanager: %w", err)
		}
		if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return nil, fmt.Errorf("notify: URL of the external Alertmanager %q: want http://host:port or https://host:port", u.Redacted())
		}
		name := u.Host + strings.TrimRight(u.Path, "/")
		if seen[name] {
			return nil, fmt.Errorf("notify: the external Alertmanager %s is given twice", u.Redacted())
		}
		seen[name] = true
		r.members = append(r.members, &member{url: u, client: client, posts: posts.WithLabelValues(name, "alertmanager"), failed: failed.WithLabelValues(name, "alertmanager")})
	}
	r.proxy = owned(&httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(r.members[0].url)
			p.Out.Header.Del("Authorization") // what users have for the collector
			p.Out.Header.Del("Cookie")
		},
		Transport: anyMember{r},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			refuse(w, http.StatusBadGateway, err.Error())
		},
	}, cfg.MaxSilence, time.Now)
	for _, c := range []prometheus.Collector{posts, failed} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("notify: %w", err)
		}
	}
	return r, nil
}

// client checks the files of credentials and returns a client that uses them.
func (r Remote) client() (*http.Client, error) {
	var cfg promconfig.HTTPClientConfig
	switch {
	case r.TokenFile != "" && (r.Username != "" || r.PasswordFile != ""):
		return nil, errors.New("notify: a token and a password for the external Alertmanager exclude each other")
	case (r.Username != "") != (r.PasswordFile != ""):
		return nil, errors.New("notify: a user name for the external Alertmanager needs a password file, and the other way round")
	case (r.CertFile != "") != (r.KeyFile != ""):
		return nil, errors.New("notify: a client certificate for the external Alertmanager needs its key, and the other way round")
	case r.TokenFile != "":
		cfg.Authorization = &promconfig.Authorization{Type: "Bearer", CredentialsFile: r.TokenFile}
	case r.Username != "":
		cfg.BasicAuth = &promconfig.BasicAuth{Username: r.Username, PasswordFile: r.PasswordFile}
	}
	for _, file := range []string{r.TokenFile, r.PasswordFile} {
		if file == "" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("notify: credentials of the external Alertmanager: %w", err)
		}
		if len(bytes.TrimSpace(text)) == 0 {
			return nil, fmt.Errorf("notify: credentials of the external Alertmanager: %s is empty", file)
		}
	}
	cfg.TLSConfig = promconfig.TLSConfig{CAFile: r.CAFile, CertFile: r.CertFile, KeyFile: r.KeyFile}
	client, err := promconfig.NewClientFromConfig(cfg, "alertmanager")
	if err != nil {
		return nil, fmt.Errorf("notify: external Alertmanager: %w", err)
	}
	client.Timeout = r.Timeout
	return client, nil
}

// postable is an alert of API v2.
type postable struct {
	Labels       model.LabelSet `json:"labels"`
	Annotations  model.LabelSet `json:"annotations"`
	StartsAt     time.Time      `json:"startsAt"`
	EndsAt       time.Time      `json:"endsAt"`
	GeneratorURL string         `json:"generatorURL,omitempty"`
}

// put succeeds when one member took the alerts: it notifies. The others get them again with the next repeat.
func (r *remote) put(ctx context.Context, alerts []*model.Alert) error {
	if len(alerts) == 0 {
		return nil
	}
	batch := make([]postable, len(alerts))
	for i, a := range alerts {
		batch[i] = postable{
			Labels: withoutEmpty(a.Labels), Annotations: a.Annotations,
			StartsAt: a.StartsAt, EndsAt: a.EndsAt, GeneratorURL: a.GeneratorURL,
		}
	}
	body, err := json.Marshal(batch)
	if err != nil {
		return fmt.Errorf("notify: encode %d alerts: %w", len(alerts), err)
	}
	faults := make([]error, len(r.members))
	var posting sync.WaitGroup
	for i, m := range r.members {
		posting.Go(func() {
			faults[i] = m.put(ctx, body, r.log)
		})
	}
	posting.Wait()
	for _, fault := range faults {
		if fault == nil {
			return nil
		}
	}
	return fmt.Errorf("notify: %d alerts: %w", len(alerts), errors.Join(faults...))
}

func (m *member) put(ctx context.Context, body []byte, log *slog.Logger) error {
	m.posts.Inc()
	err := m.post(ctx, body)
	if err != nil {
		m.failed.Inc()
		err = fmt.Errorf("post to %s: %w", m.url.Redacted(), err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err != nil && !m.down && ctx.Err() == nil:
		log.Warn("an external Alertmanager does not take alerts", "url", m.url.Redacted(), "error", err)
	case err == nil && m.down:
		log.Info("an external Alertmanager takes alerts again", "url", m.url.Redacted())
	}
	m.down = err != nil
	return err
}

func (m *member) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url.JoinPath("/api/v2/alerts").String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := m.client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) { // names the URL, with what may be secret in it
			return wrapped.Err
		}
		return err
	}
	defer resp.Body.Close()
	reason, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // to its end, so that the connection is used again
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(reason))
	}
	return nil
}

// handler passes API requests on to a member that answers; members tell each other of silences.
func (r *remote) handler() http.Handler { return r.proxy }

func (r *remote) reload(context.Context) error { return nil } // files of credentials are read when they are used

func (r *remote) run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// anyMember sends a request to the first member that can be reached.
type anyMember struct{ of *remote }

// RoundTrip implements http.RoundTripper.
func (a anyMember) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil { // the server bounds it
			return nil, err
		}
		req.Body.Close()
	}
	path := strings.TrimPrefix(req.URL.Path, strings.TrimRight(a.of.members[0].url.Path, "/"))
	var faults []error
	for _, m := range a.of.members {
		try := req.Clone(req.Context())
		try.URL.Scheme, try.URL.Host, try.URL.User, try.Host = m.url.Scheme, m.url.Host, m.url.User, ""
		try.URL.Path, try.URL.RawPath = strings.TrimRight(m.url.Path, "/")+path, ""
		try.Body, try.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		resp, err := m.client.Transport.RoundTrip(try)
		if err == nil {
			return resp, nil
		}
		faults = append(faults, fmt.Errorf("external Alertmanager %s: %w", m.url.Redacted(), err))
		if req.Context().Err() != nil {
			break
		}
	}
	return nil, errors.Join(faults...)
}
