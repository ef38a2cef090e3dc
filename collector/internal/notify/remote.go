package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
)

// remote posts to an external Alertmanager, which then groups, silences and notifies.
type remote struct {
	url    *url.URL
	client *http.Client
	posts  prometheus.Counter
	failed prometheus.Counter
}

func openRemote(cfg Config, reg prometheus.Registerer) (*remote, error) {
	u, err := url.Parse(cfg.RemoteURL)
	if err != nil {
		return nil, fmt.Errorf("notify: URL of the external Alertmanager: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("notify: URL of the external Alertmanager %q: want http://host:port or https://host:port", cfg.RemoteURL)
	}
	labels := prometheus.Labels{"receiver": "external", "integration": "alertmanager"}
	r := &remote{
		url:    u,
		client: &http.Client{Timeout: cfg.RemoteTimeout},
		posts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plimsoll_collector_notifications_total", Help: "Batches of alerts posted.", ConstLabels: labels,
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "plimsoll_collector_notifications_failed_total", Help: "Batches of alerts that could not be posted.", ConstLabels: labels,
		}),
	}
	for _, c := range []prometheus.Collector{r.posts, r.failed} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("notify: %w", err)
		}
	}
	return r, nil
}

// postable is an alert of API v2.
type postable struct {
	Labels       model.LabelSet `json:"labels"`
	Annotations  model.LabelSet `json:"annotations"`
	StartsAt     time.Time      `json:"startsAt"`
	EndsAt       time.Time      `json:"endsAt"`
	GeneratorURL string         `json:"generatorURL,omitempty"`
}

func (r *remote) put(ctx context.Context, alerts []*model.Alert) error {
	if len(alerts) == 0 {
		return nil
	}
	r.posts.Inc()
	if err := r.post(ctx, alerts); err != nil {
		r.failed.Inc()
		return fmt.Errorf("notify: post %d alerts to %s: %w", len(alerts), r.url.Redacted(), err)
	}
	return nil
}

func (r *remote) post(ctx context.Context, alerts []*model.Alert) error {
	batch := make([]postable, len(alerts))
	for i, a := range alerts {
		batch[i] = postable{
			Labels: withoutEmpty(a.Labels), Annotations: a.Annotations,
			StartsAt: a.StartsAt, EndsAt: a.EndsAt, GeneratorURL: a.GeneratorURL,
		}
	}
	body, err := json.Marshal(batch)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url.JoinPath("/api/v2/alerts").String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		reason, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(reason))
	}
	return nil
}

// handler passes API requests on, without the credentials users have for the collector.
func (r *remote) handler() http.Handler {
	return &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(r.url)
		p.Out.Header.Del("Authorization")
		p.Out.Header.Del("Cookie")
	}}
}

func (r *remote) reload(context.Context) error { return nil }

func (r *remote) run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
