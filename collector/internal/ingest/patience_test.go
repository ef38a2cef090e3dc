package ingest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/turns"
)

// sent posts on behalf of a caller.
func (b bench) sent(who, encoding string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/api/v1/write", bytes.NewReader(body))
	r.Header.Set("Content-Encoding", encoding)
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r.WithContext(turns.As(r.Context(), who)))
	return w
}

// labelled are n series that are a message of more than lightMessageBytes.
func labelled(n int) (series [][]string) {
	for i := range n {
		series = append(series, []string{"__name__", "large_and_honest", "i", fmt.Sprint(i), "noise", strings.Repeat("x", 40)})
	}
	return series
}

func TestWhoKeepsSendingWhatIsTooLargeIsHeardLess(t *testing.T) {
	now := time.Now()
	b := newBench(t, Limits{Refused: 3, Now: func() time.Time { return now }}, shared)
	bomb := unsized(make([]byte, 64<<20))
	large := zstandard(message(labelled(70_000)...))
	small := message(labelled(100)...)
	for i := range 3 {
		if w := b.sent("attacker", "zstd", bomb); w.Code != http.StatusRequestEntityTooLarge {
			t.Fatalf("bomb %d gets %d %s", i, w.Code, w.Body)
		}
	}
	for name, body := range map[string][]byte{"bomb": bomb, "large message": large, "message without a size": unsized(dense(100_000)), "long body": make([]byte, lightBodyBytes+1)} {
		w := b.sent("attacker", "zstd", body)
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "--limit.write-refused") {
			t.Errorf("a %s after three bombs gets %d %q %s", name, w.Code, w.Header().Get("Retry-After"), w.Body)
		}
	}
	if got := b.metric(t, "plimsoll_collector_writes_unread_total"); got != 4 {
		t.Errorf("%v are counted", got)
	}
	// What shares the caller's token and address, and the callers beside it, go on.
	for encoding, body := range map[string][]byte{"zstd": zstandard(small), "snappy": snap(small)} {
		if w := b.sent("attacker", encoding, body); w.Code != http.StatusNoContent {
			t.Errorf("a small message in %s after three bombs gets %d %s", encoding, w.Code, w.Body)
		}
	}
	if w := b.sent("neighbour", "zstd", large); w.Code != http.StatusNoContent {
		t.Errorf("a large message of another caller gets %d %s", w.Code, w.Body)
	}
	now = now.Add(time.Second)
	if w := b.sent("attacker", "zstd", large); w.Code != http.StatusNoContent {
		t.Errorf("a second later a large message gets %d %s", w.Code, w.Body)
	}
	if w := b.sent("attacker", "zstd", bomb); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a second later a bomb gets %d", w.Code)
	}
	if w := b.sent("attacker", "zstd", bomb); w.Code != http.StatusTooManyRequests {
		t.Errorf("and the next one gets %d", w.Code)
	}
}

func TestWhoWaitsForATurnIsJudgedWhenItComes(t *testing.T) {
	now := time.Now()
	b := newBench(t, Limits{Refused: 1, Now: func() time.Time { return now }}, shared)
	leave, err := b.decoders.large.Take(t.Context(), "another")
	if err != nil {
		t.Fatal(err)
	}
	codes := make(chan int, 3)
	body := zstandard(dense(smallBytes + 1))
	for range cap(codes) { // all before the first is found to be no message
		go func() { codes <- b.sent("attacker", "zstd", body).Code }()
	}
	for _, waiting := b.decoders.large.Load(); waiting < cap(codes); _, waiting = b.decoders.large.Load() {
		time.Sleep(time.Millisecond)
	}
	leave()
	got := map[int]int{}
	for range cap(codes) {
		got[<-codes]++
	}
	if got[http.StatusBadRequest] != 1 || got[http.StatusTooManyRequests] != 2 {
		t.Errorf("answers %v", got)
	}
}

func TestWhatIsStoredInPartIsNoOffence(t *testing.T) {
	b := newBench(t, Limits{Refused: 1}, shared)
	for range 5 {
		if w := b.sent("agent", "snappy", snap(message([]string{"__name__", "fine"}, []string{"__name__", "bad name!"}))); w.Code != http.StatusBadRequest {
			t.Fatal(w.Code, w.Body)
		}
	}
	if w := b.sent("agent", "zstd", zstandard(message(labelled(70_000)...))); w.Code != http.StatusNoContent {
		t.Errorf("an agent with a wrong label among its series gets %d %s", w.Code, w.Body)
	}
}

func TestOffencesAreWhatIsNoMessageOrTooLarge(t *testing.T) {
	for name, body := range map[string][]byte{
		"no snappy":           []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
		"a size that lies":    {0xff, 0xff, 0x7f, 0},
		"no protobuf":         snap([]byte("\x07garbage")),
		"too many series":     snap(bytes.Repeat([]byte{0x0a, 0}, 10)),
		"a body too large":    make([]byte, 2000),
		"a message too large": snap(dense(3000)),
	} {
		b := newBench(t, Limits{Refused: 1, Series: 5, BodyBytes: 1900, DecodedBytes: 2500}, shared)
		code := b.sent("x", "snappy", body).Code
		if got := b.offences.Wait("x"); got == 0 || code != 400 && code != 413 {
			t.Errorf("%s: %d, %s to wait", name, code, got)
		}
	}
}
