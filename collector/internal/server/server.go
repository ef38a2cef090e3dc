// Package server is the collector's one HTTP listener: which path is answered by whom, who may ask, and for how long.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Config of the listener.
type Config struct {
	// Listen is host:port; port 0 takes a free one.
	Listen string
	// Connections bounds the open connections; more wait in the kernel. Default 4096.
	Connections int
}

// How long the parts of a connection may take. A write's body and a query's answer are small; export sets its own.
const (
	headerTimeout  = 10 * time.Second
	bodyTimeout    = time.Minute
	answerTimeout  = 2 * time.Minute
	exportTimeout  = time.Hour
	idleTimeout    = 3 * time.Minute
	stopTimeout    = 10 * time.Second // for requests running when the server stops
	maxHeaderBytes = 64 << 10
)

// Server is the listener and its routes.
type Server struct {
	cfg      Config
	access   Access
	log      *slog.Logger
	handler  http.Handler
	listener net.Listener
}

// New wires routes; it opens nothing.
func New(cfg Config, routes Routes, access Access, log *slog.Logger) *Server {
	if cfg.Connections <= 0 {
		cfg.Connections = 4096
	}
	return &Server{cfg: cfg, access: access, log: log, handler: routes.handler(access)}
}

// Listen takes the port, so that a taken one is known before anything else starts.
func (s *Server) Listen() error {
	l, err := net.Listen("tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("--listen=%s: %w", s.cfg.Listen, err)
	}
	s.listener = netutil.LimitListener(l, s.cfg.Connections)
	return nil
}

// URL is where the server can be reached from this machine, without a slash at the end. Only after Listen.
func (s *Server) URL() string {
	scheme := "http"
	if s.access.TLS() != nil {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(s.listener.Addr().String())
	if err != nil {
		return scheme + "://" + s.listener.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// Run serves until ctx ends, then lets running requests finish for ten seconds. Listen comes first.
func (s *Server) Run(ctx context.Context) error {
	srv := &http.Server{
		Handler: s.handler, TLSConfig: s.access.TLS(), MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // failed handshakes and clients that left
	}
	served := make(chan error, 1)
	go func() {
		if srv.TLSConfig != nil {
			served <- srv.ServeTLS(s.listener, "", "")
			return
		}
		served <- srv.Serve(s.listener)
	}()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", s.cfg.Listen, err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err := srv.Shutdown(stop)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("requests were cut off", "after", stopTimeout)
		err = srv.Close()
	}
	<-served
	if err != nil {
		return fmt.Errorf("stop serving %s: %w", s.cfg.Listen, err)
	}
	return nil
}
