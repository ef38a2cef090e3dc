package ingest

import (
	"net"
	"net/http"
	"sync"
)

// seats are the requests that are served at once. One address may have at most half of them, so that a sender who is slow on
// purpose does not turn away all others.
type seats struct {
	most int

	mu    sync.Mutex
	taken int
	of    map[string]int // by address
}

func newSeats(most int) *seats { return &seats{most: most, of: map[string]int{}} }

// take returns how to give the seat back, or nil when there is none.
func (s *seats) take(r *http.Request) (leave func()) {
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		from = r.RemoteAddr
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.most || s.of[from] >= max(1, (s.most+1)/2) {
		return nil
	}
	s.taken++
	s.of[from]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.taken--
		if s.of[from]--; s.of[from] == 0 {
			delete(s.of, from)
		}
	}
}
