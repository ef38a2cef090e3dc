package access

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Failed attempts of one address: so many at once, then one a second. Past it the answer is 429.
const (
	failuresAtOnce   = 20
	failuresPerSec   = 1
	mostAddresses    = 10_000
	failureForgotten = failuresAtOnce / failuresPerSec * time.Second
)

// failures counts attempts without a known token, by address. An address is never shut out: many senders may share it, and a
// request with a known token is served whatever others behind the same address try. What the bound saves is the work
// and the log; secrets of 256 random bits are not guessed at any rate.
type failures struct {
	now func() time.Time

	mu   sync.Mutex
	seen map[netip.Prefix]allowance
}

// allowance is what is left of the attempts at a moment.
type allowance struct {
	left float64
	at   time.Time
}

func newFailures(now func() time.Time) *failures {
	return &failures{now: now, seen: map[netip.Prefix]allowance{}}
}

// note counts an attempt and tells how long to wait before the next, 0 while there is an allowance.
func (f *failures) note(r *http.Request) (wait time.Duration) {
	from, now := origin(r), f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	a, known := f.seen[from]
	if !known {
		f.makeRoom(now)
		a = allowance{left: failuresAtOnce, at: now}
	}
	a.left = min(failuresAtOnce, a.left+now.Sub(a.at).Seconds()*failuresPerSec)
	a.at = now
	if a.left < 1 {
		wait = time.Duration((1 - a.left) / failuresPerSec * float64(time.Second))
	} else {
		a.left--
	}
	f.seen[from] = a
	return wait
}

// makeRoom bounds the table: it forgets whose allowance is whole again, then everybody.
func (f *failures) makeRoom(now time.Time) {
	if len(f.seen) < mostAddresses {
		return
	}
	for from, a := range f.seen {
		if now.Sub(a.at) > failureForgotten {
			delete(f.seen, from)
		}
	}
	if len(f.seen) >= mostAddresses {
		clear(f.seen)
	}
}

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
