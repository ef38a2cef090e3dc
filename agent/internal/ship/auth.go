package ship

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// maxCredentialBytes bounds a credential file; a real one is far smaller.
const maxCredentialBytes = 1 << 20

// auth holds what proves who we are and checks who the receiver is. Its files
// are read before every request; one that cannot be read or used any more
// leaves the last good content in place.
type auth struct {
	cfg   Receiver
	proxy func(*url.URL) (*url.URL, error)

	mu       sync.Mutex
	bearer   string
	password string
	pem      [3][]byte // CA, certificate, key as last used
	fixed    bool      // the transport is given
	client   *http.Client
}

func newAuth(cfg Receiver) (*auth, error) {
	a := &auth{cfg: cfg, proxy: httpproxy.FromEnvironment().ProxyFunc(), client: &http.Client{
		// A receiver that redirects is misconfigured: following would turn the
		// write into a read.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if cfg.transport != nil {
		a.fixed = true
		a.client.Transport = cfg.transport
	}
	if err := a.refresh(); err != nil {
		return nil, err
	}
	return a, nil
}

// do reads the files again and sends req with what they say. faults are those
// of the files; they do not keep it from being sent.
func (a *auth) do(req *http.Request) (resp *http.Response, err, faults error) {
	a.mu.Lock()
	faults = a.refresh()
	a.authorise(req)
	client := *a.client
	a.mu.Unlock()
	resp, err = client.Do(req)
	return resp, err, faults
}

// refresh reads the files again. After an error the rest is as before.
func (a *auth) refresh() error {
	var errs []error
	if a.cfg.TokenFile != "" {
		if token, err := readSecret("--remote-write.token-file", a.cfg.TokenFile); err != nil {
			errs = append(errs, err)
		} else {
			a.bearer = "Bearer " + token
		}
	}
	if a.cfg.PasswordFile != "" {
		if password, err := readSecret("--remote-write.password-file", a.cfg.PasswordFile); err != nil {
			errs = append(errs, err)
		} else {
			a.password = password
		}
	}
	if !a.fixed {
		if err := a.refreshTransport(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// authorise puts the credentials into a request.
func (a *auth) authorise(req *http.Request) {
	if a.bearer != "" {
		req.Header.Set("Authorization", a.bearer)
	}
	if a.cfg.Username != "" {
		req.SetBasicAuth(a.cfg.Username, a.password)
	}
}

// refreshTransport makes a transport, and a new one whenever a TLS file has
// changed.
func (a *auth) refreshTransport() error {
	var pem [3][]byte
	same := a.client.Transport != nil
	for i, f := range []struct{ flag, path string }{
		{"--remote-write.tls.ca", a.cfg.CAFile},
		{"--remote-write.tls.cert", a.cfg.CertFile},
		{"--remote-write.tls.key", a.cfg.KeyFile},
	} {
		if f.path == "" {
			continue
		}
		content, err := readCredential(f.flag, f.path)
		if err != nil {
			return err
		}
		pem[i] = content
		same = same && bytes.Equal(content, a.pem[i])
	}
	if same {
		return nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if a.cfg.CAFile != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem[0]) {
			return fmt.Errorf("--remote-write.tls.ca %s: holds no PEM certificate", a.cfg.CAFile)
		}
	}
	if a.cfg.CertFile != "" {
		pair, err := tls.X509KeyPair(pem[1], pem[2])
		if err != nil {
			return fmt.Errorf("--remote-write.tls.cert %s and --remote-write.tls.key %s: %w", a.cfg.CertFile, a.cfg.KeyFile, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if old, ok := a.client.Transport.(*http.Transport); ok {
		old.CloseIdleConnections()
	}
	a.pem = pem
	a.client.Transport = &http.Transport{
		Proxy:               func(r *http.Request) (*url.URL, error) { return a.proxy(r.URL) },
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     config,
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: max(1, a.cfg.Concurrency),
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
	}
	return nil
}

// readSecret reads one line of text.
func readSecret(flag, path string) (string, error) {
	content, err := readCredential(flag, path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(content))
	if secret == "" {
		return "", fmt.Errorf("%s %s: the file is empty", flag, path)
	}
	if strings.ContainsFunc(secret, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fmt.Errorf("%s %s: want one line of text", flag, path)
	}
	return secret, nil
}

func readCredential(flag, path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	if info.Size() > maxCredentialBytes {
		return nil, fmt.Errorf("%s %s: %d bytes, at most %d", flag, path, info.Size(), maxCredentialBytes)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return content, nil
}
