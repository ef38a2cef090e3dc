package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/turns"
)

func TestTheDeskIsBusyForAShareOfTheTime(t *testing.T) {
	d, now := newDesk(), time.Unix(1_700_000_000, 0)
	answer := func(took time.Duration) time.Duration {
		began := now
		now = now.Add(took)
		return d.rest(began, now)
	}
	// A page that opens does not wait.
	for range 5 {
		if rest := answer(deskBurst / 5); rest != 0 {
			t.Fatalf("within a burst it rests %s", rest)
		}
	}
	start := now
	busy := time.Duration(0)
	for range 100 {
		busy += 20 * time.Millisecond
		now = now.Add(answer(20 * time.Millisecond))
	}
	if share := float64(busy) / float64(now.Sub(start)); share > 0.27 || share < 0.2 {
		t.Errorf("it is busy %.2f of the time", share)
	}
	now = now.Add(time.Hour)
	if rest := answer(deskBurst); rest != 0 {
		t.Errorf("after an hour it rests %s", rest)
	}
}

func TestAnAnswerOfTheDeskIsTheHandlersOwn(t *testing.T) {
	d := newDesk()
	h := d.told(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/odd")
		w.Header().Add("Vary", "x")
		w.WriteHeader(http.StatusTeapot)
		w.Write([]byte("short and stout"))
	}))
	w := do(h, "GET", "/")
	if w.Code != http.StatusTeapot || w.Body.String() != "short and stout" || w.Header().Get("Content-Type") != "text/odd" || w.Header().Get("Vary") != "x" || w.Header().Get("Content-Length") != "15" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

// slowReader takes an answer when told to.
type slowReader struct {
	*httptest.ResponseRecorder
	writing, release chan struct{}
}

func (s slowReader) Write(b []byte) (int, error) {
	s.writing <- struct{}{}
	<-s.release
	return s.ResponseRecorder.Write(b)
}

func TestWhoReadsSlowlyKeepsNobodyFromTheDesk(t *testing.T) {
	d := newDesk()
	h := d.told(says("all"))
	as := func(who string) *http.Request {
		r := httptest.NewRequest("GET", "/", nil)
		return r.WithContext(turns.As(r.Context(), who))
	}
	s := slowReader{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	done := make(chan struct{})
	for range deskPlaces / 2 {
		go func() {
			h.ServeHTTP(s, as("slow"))
			done <- struct{}{}
		}()
		<-s.writing
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, as("quick"))
	if w.Code != http.StatusOK || w.Body.String() != "all" {
		t.Errorf("beside slow readers: %d %s", w.Code, w.Body)
	}
	gone, cancel := context.WithCancel(as("slow").Context())
	cancel()
	w = httptest.NewRecorder()
	h.ServeHTTP(w, as("slow").WithContext(gone))
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("a slow reader has more than half of the places: %d %s", w.Code, w.Body)
	}
	for range deskPlaces / 2 {
		s.release <- struct{}{}
		<-done
	}
}
