package ingest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
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
		body, _ := b.incoming(w, r, new(buffers))
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
	s := newSeats(4)
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
	first()
	if s.take(from("10.0.0.1:4")) == nil {
		t.Error("a seat given back is lost")
	}
}

func TestAMessageMadeLargeWaitsForItsLikeOnly(t *testing.T) {
	b := newBench(t, Limits{}, shared)
	b.decoders.large <- struct{}{} // one is being decoded
	defer func() { <-b.decoders.large }()
	small := message([]string{"__name__", "beside_the_large"})
	for name, body := range map[string][]byte{"small": zstandard(small), "small and unstated": unsized(small)} {
		if w := b.post("zstd", body); w.Code != http.StatusNoContent {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	for name, body := range map[string][]byte{"large": zstandard(make([]byte, smallBytes+1)), "unstated": unsized(make([]byte, smallBytes+1))} {
		r := httptest.NewRequest("POST", "/api/v1/write", bytes.NewReader(body))
		r.Header.Set("Content-Encoding", "zstd")
		ctx, leave := context.WithTimeout(r.Context(), 20*time.Millisecond)
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r.WithContext(ctx))
		leave()
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "before its turn") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
