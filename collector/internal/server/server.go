// Package server is the collector's one HTTP listener: which path is answered by whom, who may ask, and for how long.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
)

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

// mostConnections bounds the open connections; more wait in the kernel. An agent holds one.
const mostConnections = 10_000

// Listener is the taken port. Connections wait until a Server runs on it.
type Listener struct {
	net.Listener
	secure bool
}

// Listen takes the port, so that a taken one is known before anything else starts and the address before it is told to
// anyone. Port 0 takes a free one.
func Listen(address string, access Access, reg prometheus.Registerer) (*Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--listen=%s: %w", address, err)
	}
	c := newCrowd(netutil.LimitListener(l, mostConnections), mostOfOne)
	reg.MustRegister(c.refused)
	return &Listener{c, access.TLS() != nil}, nil
}

// URL is where the collector can be reached, without a slash at the end; anyHost stands in for "all addresses".
func (l *Listener) URL(anyHost string) string {
	scheme := "http"
	if l.secure {
		scheme = "https"
	}
	address := l.Addr().(*net.TCPAddr)
	host := address.IP.String()
	if address.IP.IsUnspecified() {
		host = anyHost
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(address.Port))
}

// Server answers on a listener.
type Server struct {
	listener *Listener
	access   Access
	log      *slog.Logger
	handler  http.Handler
	watcher  ConnectionWatcher
}

// New wires routes.
func New(listener *Listener, routes Routes, access Access, log *slog.Logger) *Server {
	return &Server{listener: listener, access: access, log: log, handler: routes.handler(access), watcher: routes.Connections}
}

// Run serves until ctx ends, then lets running requests finish for ten seconds and gives the port back.
func (s *Server) Run(ctx context.Context) error {
	srv := &http.Server{
		Handler: s.handler, TLSConfig: s.access.TLS(), MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // failed handshakes and clients that left
	}
	if s.watcher != nil {
		srv.ConnContext, srv.ConnState = s.watcher.Opened, s.watcher.State
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
		return fmt.Errorf("serve %s: %w", s.listener.Addr(), err)
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
		return fmt.Errorf("stop serving %s: %w", s.listener.Addr(), err)
	}
	return nil
}
