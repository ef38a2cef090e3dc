package ingest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/turns"
)

func TestASenderWhoIsSlowToBeginHoldsNoSeat(t *testing.T) {
	b := newBench(t, Limits{Concurrency: 1}, shared)
	srv := httptest.NewServer(b)
	defer srv.Close()
	for range 5 {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n%s", strings.Repeat("x", 1000))
	}
	resp, err := http.Post(srv.URL+"/api/v1/write", "application/x-protobuf", bytes.NewReader(snap(message([]string{"__name__", "beside_the_slow"}))))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Errorf("beside slow senders a write gets %d", resp.StatusCode)
	}
}

func TestABodyThatFallsBehindIsCutOff(t *testing.T) {
	b := newBench(t, Limits{}, stub{})
	got := make(chan *refusal, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := b.incoming(w, r, new([]byte))
		body.grow(100)
		_, answer := body.read(100, 50*time.Millisecond)
		got <- answer
	}))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\nbegin")
	if answer := <-got; answer == nil || answer.code != http.StatusServiceUnavailable || answer.retryAfter == 0 || !strings.Contains(answer.reason, "did not come within 50ms") {
		t.Errorf("%+v", answer)
	}
}

func TestABodyOfSeveralPartsIsReadInFull(t *testing.T) {
	b := newBench(t, Limits{}, shared)
	var series [][]string
	for i := range 9000 {
		series = append(series, []string{"__name__", "large_body", "i", fmt.Sprint(i), "noise", fmt.Sprintf("%x", i*2654435761)})
	}
	body := snap(message(series...))
	if len(body) < startBytes+paceBytes/4 {
		t.Fatalf("the body has %d bytes, too few to tell", len(body))
	}
	if w := b.post("snappy", body); w.Code != http.StatusNoContent {
		t.Fatal(w.Code, w.Body)
	}
	if got := b.metric(t, "plimsoll_collector_write_received_bytes_total"); got != float64(len(body)) {
		t.Errorf("%v bytes are counted, %d were sent", got, len(body))
	}
}

func TestOneAddressHasAtMostHalfOfTheSeats(t *testing.T) {
	s := newSeats(4, 1000)
	from := func(address string) *http.Request {
		r := httptest.NewRequest("POST", "/", nil)
		r.RemoteAddr = address
		return r
	}
	first, second := s.take(from("10.0.0.1:1")), s.take(from("10.0.0.1:2"))
	if first == nil || second == nil || s.take(from("10.0.0.1:3")) != nil {
		t.Fatal("an address has more or less than half")
	}
	if s.take(from("10.0.0.2:1")) == nil || s.take(from("10.0.0.3:1")) == nil || s.take(from("10.0.0.4:1")) != nil {
		t.Error("others do not get the other half")
	}
	first.leave()
	if s.take(from("10.0.0.1:4")) == nil {
		t.Error("a seat given back is lost")
	}
}

func TestOneCallerLeavesSeatsAndMemoryToOthersAtItsAddress(t *testing.T) {
	s := newSeats(16, 1600)
	from := func(who string) *http.Request {
		r := httptest.NewRequest("POST", "/", nil)
		return r.WithContext(turns.As(r.Context(), who))
	}
	var all []*seat
	for one := s.take(from("greedy")); one != nil; one = s.take(from("greedy")) {
		all = append(all, one)
	}
	second := s.take(from("honest"))
	if len(all) != 6 || second == nil {
		t.Fatalf("a caller has %d of 16 seats, another gets %v", len(all), second)
	}
	if !all[0].hold(300) || !all[1].hold(300) || all[2].hold(1) {
		t.Error("a caller has not three eighths of the memory")
	}
	if !second.hold(200) || second.hold(1) {
		t.Error("an address has not half of the memory")
	}
	all[0].leave()
	if !all[1].hold(300) {
		t.Error("memory given back is lost")
	}
	for _, one := range append(all[1:], second) {
		one.leave()
	}
	if len(s.takes) != 0 || s.all != (taken{}) {
		t.Errorf("after all have left: %v %v", s.takes, s.all)
	}
}

func TestBodiesTakeNoMoreMemoryThanThereIsForThem(t *testing.T) {
	b := newBench(t, Limits{BodyBytes: 1 << 20}, shared)
	var series [][]string
	for i := range 9000 {
		series = append(series, []string{"__name__", "crowded_body", "i", fmt.Sprint(i), "noise", fmt.Sprintf("%x", i*2654435761)})
	}
	body := snap(message(series...))
	other := b.requests.take(httptest.NewRequest("POST", "/", nil)) // from the same address
	if !other.hold(bodiesFactor*b.limits.BodyBytes*3/8 - int64(len(body)) + startBytes + 1) {
		t.Fatal("there is no memory to begin with")
	}
	if w := b.post("snappy", body); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("without memory for its body a write gets %d %s", w.Code, w.Body)
	}
	other.leave()
	if w := b.post("snappy", body); w.Code != http.StatusNoContent {
		t.Errorf("with memory for its body a write gets %d %s", w.Code, w.Body)
	}
}

func TestABodyTakesNoMoreMemoryThanItsHeaderStates(t *testing.T) {
	for _, stated := range []bool{true, false} {
		payload := make([]byte, 700_000)
		var into []byte
		in := incoming{from: iotest.HalfReader(bytes.NewReader(payload)), into: &into, connect: http.NewResponseController(httptest.NewRecorder()), limit: 1 << 20, length: -1}
		if stated {
			in.length = int64(len(payload))
		}
		held := int64(0)
		if more, answer := in.start(); !more || answer != nil {
			t.Fatal(more, answer)
		}
		before := cap(into)
		if answer := in.rest(func(n int64) bool { held += n; return true }); answer != nil || len(into) != len(payload) {
			t.Fatal(len(into), answer)
		}
		most := len(payload)
		if !stated {
			most = 2 * len(payload)
		}
		if cap(into) > most+most/8 || held != int64(cap(into)-before) {
			t.Errorf("stated %v: %d bytes are in memory of %d, of which %d were asked for", stated, len(payload), cap(into), held)
		}
	}
}

// dense is n bytes that decompress from about half as many.
func dense(n int) []byte {
	out := make([]byte, n)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range out {
		out[i] = byte(random.IntN(16))
	}
	return out
}

func TestAMessageMadeLargeWaitsForItsLikeOnly(t *testing.T) {
	b := newBench(t, Limits{}, shared)
	leave, err := b.decoders.large.Take(t.Context(), "another") // one is being decoded
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	small := message([]string{"__name__", "beside_the_large"})
	for name, body := range map[string][]byte{"small": zstandard(small), "small and unstated": unsized(small)} {
		if w := b.post("zstd", body); w.Code != http.StatusNoContent {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	for encoding, body := range map[string][]byte{"zstd": zstandard(dense(smallBytes + 1)), "snappy": snap(dense(smallBytes + 1))} {
		r := httptest.NewRequest("POST", "/api/v1/write", bytes.NewReader(body))
		r.Header.Set("Content-Encoding", encoding)
		ctx, leave := context.WithTimeout(r.Context(), 20*time.Millisecond)
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r.WithContext(ctx))
		leave()
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "before its turn") {
			t.Errorf("%s: %d %s", encoding, w.Code, w.Body)
		}
	}
}

func TestOneSenderNeverHoldsAllTurnsOfTheSmall(t *testing.T) {
	b := newBench(t, Limits{}, shared)
	for range b.decoders.small.Seats() - 1 {
		leave, err := b.decoders.small.Take(t.Context(), "greedy")
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
	}
	ctx, cancel := context.WithTimeout(turns.As(t.Context(), "greedy"), 20*time.Millisecond)
	defer cancel()
	answers := map[string]context.Context{"before its turn": ctx, "": turns.As(t.Context(), "modest")}
	for want, ctx := range answers {
		w := httptest.NewRecorder()
		b.ServeHTTP(w, httptest.NewRequest("POST", "/api/v1/write", bytes.NewReader(snap(message([]string{"__name__", "beside_the_greedy"})))).WithContext(ctx))
		if !strings.Contains(w.Body.String(), want) || (want == "") != (w.Code == http.StatusNoContent) {
			t.Errorf("want %q: %d %s", want, w.Code, w.Body)
		}
	}
}

func TestALargeMessageCostsItsSenderSomething(t *testing.T) {
	b := newBench(t, Limits{}, shared)
	for name, bomb := range map[string]struct {
		encoding string
		body     []byte
		want     string
	}{
		"stated":   {"zstd", zstandard(make([]byte, smallBytes+1)), "more than 200 times"},
		"unstated": {"zstd", unsized(make([]byte, unstatedBytes+1)), "does not state its size"},
	} {
		if w := b.post(bomb.encoding, bomb.body); w.Code != http.StatusRequestEntityTooLarge || !strings.Contains(w.Body.String(), bomb.want) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	// What is small may be as dense as it likes, and what was accepted once is read again whatever it is.
	for name, body := range map[string][]byte{"small": zstandard(make([]byte, smallBytes)), "small and unstated": unsized(make([]byte, unstatedBytes))} {
		if w := b.post("zstd", body); w.Code != http.StatusNoContent {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if _, _, answer := b.decoders.unpack("zstd", zstandard(make([]byte, smallBytes+1))); answer != nil {
		t.Errorf("from the journal: %s", answer.reason)
	}
}

func TestWhatIsTooLargeIsRefusedBeforeItIsRead(t *testing.T) {
	b := newBench(t, Limits{DecodedBytes: 1 << 20}, stub{})
	for encoding, whole := range map[string][]byte{"snappy": snap(dense(2 << 20)), "zstd": zstandard(dense(2 << 20))} {
		body := bytes.NewReader(whole)
		r := httptest.NewRequest("POST", "/api/v1/write", io.NopCloser(body))
		r.Header.Set("Content-Encoding", encoding)
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge || !strings.Contains(w.Body.String(), "--limit.write-decoded") {
			t.Errorf("%s: %d %s", encoding, w.Code, w.Body)
		}
		if read := len(whole) - body.Len(); read > 2*startBytes {
			t.Errorf("%s: %d of %d bytes were read", encoding, read, len(whole))
		}
	}
}
