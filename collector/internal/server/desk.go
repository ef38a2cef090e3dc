package server

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/inprocess"
	"github.com/plimsoll/plimsoll/collector/internal/turns"
)

// How what the collector tells of itself is told. A page that opens asks for a few of these at once; who asks on and on, or takes long to
// read, leaves the CPUs to the samples.
const (
	deskShare  = 4                      // one CPU is busy with it a fourth of the time at most
	deskBurst  = 300 * time.Millisecond // of CPU, beyond that share
	deskPlaces = 16                     // answers that are made or being read
	deskWait   = 10 * time.Second
)

// desk makes answers one at a time and in memory, so that a slow reader holds no turn. Callers take turns.
type desk struct {
	places, chair *turns.Turns

	mu   sync.Mutex
	used time.Duration // beyond the share, at the moment since
	at   time.Time
}

func newDesk() *desk {
	return &desk{places: turns.New(deskPlaces, deskPlaces/2), chair: turns.New(1, 1)}
}

// told has next answer at the desk.
func (d *desk) told(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), deskWait)
		defer cancel()
		leave, err := d.places.Take(ctx, turns.Who(ctx))
		if err != nil {
			d.crowded(w)
			return
		}
		defer leave()
		answer, err := d.make(ctx, next, r)
		if err != nil {
			d.crowded(w)
			return
		}
		maps.Copy(w.Header(), answer.Header())
		w.Header().Set("Content-Length", strconv.Itoa(answer.Body.Len()))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // a client that left is nobody to tell
	})
}

// make has next answer when it is the caller's turn. ctx bounds the waiting only.
func (d *desk) make(ctx context.Context, next http.Handler, r *http.Request) (*inprocess.Answer, error) {
	leave, err := d.chair.Take(ctx, turns.Who(ctx))
	if err != nil {
		return nil, err
	}
	began := time.Now()
	defer func() {
		if rest := d.rest(began, time.Now()); rest > 0 {
			time.AfterFunc(rest, leave)
		} else {
			leave()
		}
	}()
	return inprocess.Ask(next, r), nil
}

// rest is how long the chair stays empty after an answer that took from began to ended.
func (d *desk) rest(began, ended time.Time) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used = max(0, d.used-ended.Sub(d.at)/deskShare) + ended.Sub(began)
	d.at = ended
	return max(0, d.used-deskBurst) * deskShare
}

func (d *desk) crowded(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, "the collector tells of itself one caller after the other, and the turn of this one did not come within "+deskWait.String(), http.StatusTooManyRequests)
}
