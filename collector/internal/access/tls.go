package access

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// identity is the server's certificate and whom it trusts.
type identity struct {
	certificate tls.Certificate
	clients     *x509.CertPool // nil: no client certificate is asked for
}

// readIdentity returns nil when there is no certificate.
func readIdentity(cfg Config) (*identity, error) {
	if cfg.Certificate == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(cfg.Certificate, cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("--tls.cert %s, --tls.key %s: %w", cfg.Certificate, cfg.Key, err)
	}
	id := &identity{certificate: pair}
	if cfg.ClientCA != "" {
		pem, err := os.ReadFile(cfg.ClientCA)
		if err != nil {
			return nil, fmt.Errorf("--tls.client-ca: %w", err)
		}
		id.clients = x509.NewCertPool()
		if !id.clients.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--tls.client-ca: %s holds no PEM certificate", cfg.ClientCA)
		}
	}
	return id, nil
}

// TLS returns the listener's configuration, nil for plain HTTP. Each handshake uses what Reload read last.
func (a *Access) TLS() *tls.Config {
	if a.identity.Load() == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			id := a.identity.Load()
			cfg := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{id.certificate}}
			if id.clients != nil {
				cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, id.clients
			}
			return cfg, nil
		},
	}
}
