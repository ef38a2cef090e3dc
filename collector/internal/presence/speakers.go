package presence

import (
	"context"
	"net"
	"net/http"
	"time"
)

// speaker is an agent as its requests show it.
type speaker struct {
	heard  time.Time
	open   map[*connection]bool
	closed time.Time // when the last of its connections was closed since it was heard; zero: it was not
	// closedLast is when that happened last, whatever followed.
	closedLast time.Time
}

// busy tells whether one of its requests is being received or answered.
func (s *speaker) busy() bool {
	for c := range s.open {
		if c.active {
			return true
		}
	}
	return false
}

// connection is one that an agent speaks over.
type connection struct {
	agent string
	// shared is set when it carries several agents or comes from a proxy: its end says nothing of an agent then.
	shared bool
	active bool
}

const (
	agentHeader  = "X-Plimsoll-Agent"
	nameBytes    = 64     // longest name of an agent
	mostSpeakers = 20_000 // past it an agent is judged by its samples alone
	// forgetSpeaker is how long the name of an agent is kept that is not among those known.
	forgetSpeaker = time.Hour
)

type connectionKey struct{}

// Opened lets requests find their connection. It is for http.Server.ConnContext.
func (w *Watch) Opened(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// Heard notes which agent speaks, and over which connection, before next is asked.
func (w *Watch) Heard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if name := r.Header.Get(agentHeader); name != "" && len(name) <= nameBytes {
			conn, _ := r.Context().Value(connectionKey{}).(net.Conn)
			w.speaks(name, conn, proxied(r.Header), time.Now())
		}
		next.ServeHTTP(rw, r)
	})
}

// proxied tells whether a proxy passed the request on. One that works below HTTP hands over whole connections.
func proxied(h http.Header) bool {
	for _, name := range []string{"Via", "Forwarded", "X-Forwarded-For", "X-Real-Ip"} {
		if h.Get(name) != "" {
			return true
		}
	}
	return false
}

func (w *Watch) speaks(name string, conn net.Conn, proxied bool, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.speakers[name]
	if s == nil {
		if len(w.speakers) >= mostSpeakers {
			return
		}
		s = &speaker{open: map[*connection]bool{}}
		w.speakers[name] = s
	}
	s.heard, s.closed = now, time.Time{}
	if conn == nil {
		return
	}
	c := w.connections[conn]
	if c == nil {
		c = &connection{agent: name, active: true}
		w.connections[conn] = c
	}
	if proxied || c.agent != name {
		c.shared = true
	}
	if !c.shared {
		s.open[c] = true
	} else if first := w.speakers[c.agent]; first != nil {
		delete(first.open, c)
	}
}

// State follows connections. It is for http.Server.ConnState.
func (w *Watch) State(conn net.Conn, state http.ConnState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.connections[conn]
	if c == nil {
		return
	}
	switch state {
	case http.StateActive:
		c.active = true
	case http.StateIdle:
		c.active = false
	case http.StateClosed, http.StateHijacked:
		delete(w.connections, conn)
		if s := w.speakers[c.agent]; s != nil && s.open[c] {
			delete(s.open, c)
			if len(s.open) == 0 {
				s.closed = time.Now()
				s.closedLast = s.closed
			}
		}
	}
}

// forgetSpeakers drops names that are not among those known.
func (w *Watch) forgetSpeakers(known map[string]time.Time) {
	for name, s := range w.speakers {
		if _, is := known[name]; !is && len(s.open) == 0 && time.Since(s.heard) > forgetSpeaker {
			delete(w.speakers, name)
		}
	}
}
