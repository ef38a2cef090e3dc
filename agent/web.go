package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/plimsoll/plimsoll/agent/internal/sampler"
)

// web is the agent's own listener; nil-safe when --listen is empty.
type web struct {
	listener net.Listener
	server   *http.Server
}

func listen(cfg config, sampling *sampler.Sampler, condition func() string, reg prometheus.Gatherer) (*web, error) {
	if cfg.listen == "" {
		return &web{}, nil
	}
	host, _, err := net.SplitHostPort(cfg.listen)
	if err != nil {
		return nil, fmt.Errorf("--listen=%s: write host:port, for example 127.0.0.1:9751: %w", cfg.listen, err)
	}
	if ip := net.ParseIP(host); !cfg.anonymous && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("--listen=%s is reachable from outside and nobody is authenticated there: use a loopback address, or say --auth.anonymous", cfg.listen)
	}
	l, err := net.Listen("tcp", cfg.listen)
	if err != nil {
		return nil, fmt.Errorf("--listen=%s: %w", cfg.listen, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { writeMetrics(w, sampling, reg) })
	ok := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }
	mux.HandleFunc("GET /-/healthy", ok)
	// The listener opens when everything else stands.
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, condition()) })
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return &web{listener: l, server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}}, nil
}

// writeMetrics answers a scrape: the containers' series, then the agent's own.
func writeMetrics(w http.ResponseWriter, sampling *sampler.Sampler, reg prometheus.Gatherer) {
	w.Header().Set("Content-Type", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
	w.Write(sampling.AppendText(nil))
	families, err := reg.Gather()
	if err != nil {
		fmt.Fprintf(w, "# gathering the agent's own metrics: %v\n", err)
	}
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
			return // the client is gone
		}
	}
}

func (w *web) address() string {
	if w.listener == nil {
		return ""
	}
	return w.listener.Addr().String()
}

// run serves until ctx ends.
func (w *web) run(ctx context.Context) error {
	if w.listener == nil {
		<-ctx.Done()
		return nil
	}
	stop := context.AfterFunc(ctx, func() {
		shutdown, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		w.server.Shutdown(shutdown)
	})
	defer stop()
	if err := w.server.Serve(w.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve --listen=%s: %w", w.address(), err)
	}
	return nil
}
