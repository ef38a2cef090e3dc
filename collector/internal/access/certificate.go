package access

import (
	"crypto/x509"
	"net/http"
)

// certificateOf is the certificate that the caller has proved to hold, nil without one.
func certificateOf(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	return r.TLS.VerifiedChains[0][0]
}

// namesIn are the names a certificate is for: the alternative names, and the common name of the subject.
func namesIn(cert *x509.Certificate) []string {
	names := append(append([]string{}, cert.DNSNames...), cert.EmailAddresses...)
	for _, uri := range cert.URIs {
		names = append(names, uri.String())
	}
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	if cert.Subject.CommonName != "" {
		names = append(names, cert.Subject.CommonName)
	}
	return names
}
