package access

import (
	"net"
	"net/http"
	"net/netip"
)

// Attempts without a known token from one address: so many at once, then so many a second. Past it the answer is 429. An
// address is never shut out: many senders may share it, and a request with a known token is served whatever others behind the
// same address try. What the bound saves is the work and the log; secrets of 256 random bits are not guessed at any rate.
const (
	failuresAtOnce = 20
	failuresPerSec = 1
)

// origin is the address of the connection; of IPv6 the network of 64 bits, as one machine has all of it. Headers that name
// another address are not believed.
func origin(r *http.Request) netip.Prefix {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{}
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 32
	if ip = ip.Unmap().WithZone(""); ip.Is6() {
		bits = 64
	}
	prefix, _ := ip.Prefix(bits) // of a valid address
	return prefix
}
