package ingest

import (
	"net"
	"net/http"
	"sync"

	"github.com/plimsoll/plimsoll/collector/internal/turns"
)

// seats are the requests that are served at once, and the memory that their bodies take. One address may have at most half of
// each and one caller at it three eighths, so that a sender who is slow or large on purpose turns away neither all others nor those who
// share the address.
type seats struct {
	most      int
	mostBytes int64

	mu    sync.Mutex
	all   taken
	takes map[string]*taken // by address, and by caller
}

// taken is what somebody has of both.
type taken struct {
	seats int
	bytes int64
}

func newSeats(most int, mostBytes int64) *seats {
	return &seats{most: most, mostBytes: mostBytes, takes: map[string]*taken{}}
}

// seat is one of them.
type seat struct {
	of    *seats
	whose [2]string // the address, the caller
	bytes int64
}

// take returns a seat, or nil when there is none.
func (s *seats) take(r *http.Request) *seat {
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		from = r.RemoteAddr
	}
	one := &seat{of: s, whose: [2]string{"address " + from, "caller " + turns.Who(r.Context()) + " of " + from}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !one.add(1, 0) {
		return nil
	}
	return one
}

// hold tells whether the body may take more memory, which it then has until leave.
func (one *seat) hold(bytes int64) bool {
	one.of.mu.Lock()
	defer one.of.mu.Unlock()
	if !one.add(0, bytes) {
		return false
	}
	one.bytes += bytes
	return true
}

// leave gives everything back.
func (one *seat) leave() {
	one.of.mu.Lock()
	defer one.of.mu.Unlock()
	one.change(-1, -one.bytes)
}

// add and change need the lock.
func (one *seat) add(seats int, bytes int64) bool {
	s := one.of
	if s.all.seats+seats > s.most || s.all.bytes+bytes > s.mostBytes {
		return false
	}
	for i, who := range one.whose {
		has, eighths := s.takes[who], int64(4-i)
		if has == nil {
			has = &taken{}
		}
		if has.seats+seats > max(1, (s.most*int(eighths)+7)/8) || has.bytes+bytes > s.mostBytes*eighths/8 {
			return false
		}
	}
	one.change(seats, bytes)
	return true
}

func (one *seat) change(seats int, bytes int64) {
	s := one.of
	s.all.seats += seats
	s.all.bytes += bytes
	for _, who := range one.whose {
		has := s.takes[who]
		if has == nil {
			has = &taken{}
			s.takes[who] = has
		}
		has.seats += seats
		has.bytes += bytes
		if has.seats == 0 {
			delete(s.takes, who)
		}
	}
}
