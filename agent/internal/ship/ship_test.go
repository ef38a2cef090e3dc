package ship

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestBatchesArriveAsRemoteWriteOne(t *testing.T) {
	s := &script{}
	r := newRig(t, serve(t, s), quiet(), 5)
	r.run()
	r.eventually("all delivered", r.empty)
	if got := s.tookAll(); !slices.Equal(got, []int{1, 2, 3, 4, 5}) {
		t.Fatalf("took %v", got)
	}
	for name, want := range map[string]string{
		"Content-Type":                      "application/x-protobuf",
		"X-Prometheus-Remote-Write-Version": "0.1.0",
		"User-Agent":                        "plimsoll-agent/1.2.3",
		"Content-Encoding":                  "zstd",
		"Authorization":                     "",
	} {
		if got := s.headers[0].Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if ms, err := strconv.ParseInt(s.headers[0].Get("X-Plimsoll-Sent"), 10, 64); err != nil || time.Since(time.UnixMilli(ms)).Abs() > time.Minute {
		t.Errorf("X-Plimsoll-Sent: %q is not the clock", s.headers[0].Get("X-Plimsoll-Sent"))
	}
	if got := r.shipped(); got != 50 {
		t.Errorf("%v samples counted as shipped, want 50", got)
	}
	if got := r.metric("plimsoll_agent_remote_write_requests_total", "code", "204", "receiver", "r"); got != 5 {
		t.Errorf("%v requests counted with 204, want 5", got)
	}
	if st := r.shipper.State(); st.Phase != Delivering || st.LastSuccess.IsZero() || st.LastError != "" || st.SamplesShipped != 50 || st.Lag != 0 {
		t.Errorf("state %+v", st)
	}
}

// What a receiver can do wrong for a while: every batch still arrives exactly
// once, in order, and nothing is counted as dropped.
func TestNothingIsLostToAFailingReceiver(t *testing.T) {
	hijack := func(do func(net.Conn)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			defer conn.Close()
			do(conn)
		}
	}
	for name, step := range map[string]http.HandlerFunc{
		"500":                  says(500, "out of order"),
		"502":                  says(502, ""),
		"503 with a date":      says(503, "", "Retry-After", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)),
		"429 with Retry-After": says(429, "slow down", "Retry-After", "0.02"),
		"408":                  says(408, ""),
		"404 while it starts":  says(404, "404 page not found"),
		"302":                  says(302, "", "Location", "http://elsewhere/"),
		"no answer":            func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() },
		"one byte a second": func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			for _, b := range []byte("HTTP/1.1 204 No Content\r\n\r\n") {
				if _, err := conn.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		},
		"half an answer": hijack(func(c net.Conn) { io.WriteString(c, "HTTP/1.1 204 No Con") }),
		"closed":         hijack(func(net.Conn) {}),
		"reset":          hijack(func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }),
		"garbage":        hijack(func(c net.Conn) { io.WriteString(c, "\x00\x01\x02 nonsense\r\n\r\n") }),
		"answers before the body is read": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			w.WriteHeader(503)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{steps: times(3, step)}
			cfg := serve(t, s)
			cfg.Timeout = 200 * time.Millisecond
			r := newRig(t, cfg, quiet(), 4)
			r.run()
			r.eventually("all delivered", r.empty)
			if got := s.tookAll(); !slices.Equal(got, []int{1, 2, 3, 4}) {
				t.Fatalf("took %v", got)
			}
			if got := r.metric("plimsoll_agent_samples_dropped_total"); got != 0 {
				t.Fatalf("%v samples counted as dropped", got)
			}
			if st := r.shipper.State(); st.LastError == "" || st.Phase != Delivering {
				t.Fatalf("state %+v", st)
			}
		})
	}
}

func TestAReceiverThatIsNotThereYet(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	r := newRig(t, Receiver{URL: "http://" + address + "/api/v1/write", MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond}, quiet(), 3)
	r.run()
	r.eventually("retrying", func() bool { return r.shipper.State().Phase == Retrying })
	if st := r.shipper.State(); !strings.Contains(st.LastError, "connection refused") || st.Lag <= 0 || st.BacklogSamples != 30 {
		t.Fatalf("state %+v", st)
	}
	if listener, err = net.Listen("tcp", address); err != nil {
		t.Skipf("the port was taken meanwhile: %v", err)
	}
	s := &script{t: t}
	server := http.Server{Handler: s}
	go server.Serve(listener)
	defer server.Close()
	r.eventually("all delivered", r.empty)
	if got := s.tookAll(); !slices.Equal(got, []int{1, 2, 3}) {
		t.Fatalf("took %v", got)
	}
}

func TestABatchTheReceiverWillNeverTakeIsSetAsideAndCounted(t *testing.T) {
	for _, status := range []int{400, 409, 413, 422} {
		refuse := says(status, "invalid label name \"a b\"\n\tin series 7")
		// In auto, a 400 to zstd is tried once more with snappy.
		s := &script{steps: []http.HandlerFunc{refuse}}
		if status == 400 {
			s.steps = append(s.steps, refuse)
		}
		log, text := logged()
		r := newRig(t, serve(t, s), log, 3)
		r.run()
		r.eventually("backlog gone", r.empty)
		if got := s.tookAll(); !slices.Equal(got, []int{2, 3}) {
			t.Fatalf("%d: took %v", status, got)
		}
		if got := r.metric("plimsoll_agent_samples_dropped_total", "reason", "rejected", "receiver", "r"); got != 10 {
			t.Fatalf("%d: %v samples counted as rejected, want 10", status, got)
		}
		if !strings.Contains(text(), `invalid label name \"a b\\\" in series 7`) && !strings.Contains(text(), "in series 7") {
			t.Fatalf("%d: the reason is not in the log:\n%s", status, text())
		}
		if st := r.shipper.State(); !strings.Contains(st.LastError, "invalid label name") {
			t.Fatalf("%d: state %+v", status, st)
		}
		r.stop()
	}
}

func TestZstdIsGivenUpForAReceiverThatDoesNotKnowIt(t *testing.T) {
	for _, status := range []int{415, 400} {
		s := &script{}
		onlySnappy := func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Content-Encoding") != "snappy" {
				says(status, "snappy: corrupt input")(w, r)
				return
			}
			s.take(w, r)
		}
		s.steps = times(100, onlySnappy)
		r := newRig(t, serve(t, s), quiet(), 4)
		r.run()
		r.eventually("all delivered", r.empty)
		if got := s.tookAll(); !slices.Equal(got, []int{1, 2, 3, 4}) {
			t.Fatalf("%d: took %v", status, got)
		}
		if got := s.count(); got != 5 {
			t.Fatalf("%d: %d requests for 4 batches: zstd is to be tried once", status, got)
		}
		if got := r.shipper.State().Compression; got != Snappy {
			t.Fatalf("%d: compression %s", status, got)
		}
		r.stop()
	}
}

func TestFixedCompressionIsNotNegotiated(t *testing.T) {
	for _, compression := range []Compression{Zstd, Snappy} {
		s := &script{}
		cfg := serve(t, s)
		cfg.Compression = compression
		r := newRig(t, cfg, quiet(), 2)
		r.run()
		r.eventually("all delivered", r.empty)
		if got := s.headers[1].Get("Content-Encoding"); got != string(compression) {
			t.Fatalf("%s: sent %s", compression, got)
		}
		r.stop()
	}
}

func TestAChangedTokenFileEndsTheUnauthorisedState(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(token, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old\n")
	s := &script{}
	s.steps = times(10000, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer new" {
			says(401, "unknown token")(w, r)
			return
		}
		s.take(w, r)
	})
	cfg := serve(t, s)
	cfg.TokenFile = token
	log, text := logged()
	r := newRig(t, cfg, log, 3)
	r.run()
	r.eventually("unauthorised", func() bool { return r.shipper.State().Phase == Unauthorised })
	r.eventually("tried again", func() bool { return s.count() > 5 })
	if !strings.Contains(r.shipper.State().LastError, "unknown token") || len(s.tookAll()) != 0 {
		t.Fatalf("state %+v", r.shipper.State())
	}
	// An empty file, as while it is being rewritten, leaves the old token.
	write("")
	r.eventually("the empty file is noticed", func() bool { return strings.Contains(text(), "the file is empty") })
	write("new")
	r.eventually("all delivered", r.empty)
	if got := s.tookAll(); !slices.Equal(got, []int{1, 2, 3}) {
		t.Fatalf("took %v", got)
	}
	if got := r.metric("plimsoll_agent_samples_dropped_total"); got != 0 {
		t.Fatalf("%v samples counted as dropped", got)
	}
	if n := strings.Count(text(), "refuses the credentials"); n != 1 {
		t.Fatalf("%d log lines for one change of state:\n%s", n, text())
	}
	if strings.Contains(text(), "new") && strings.Contains(text(), "Bearer") {
		t.Fatal("the token is in the log")
	}
}

func TestBasicAuthentication(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &script{}
	cfg := serve(t, s)
	cfg.Username, cfg.PasswordFile = "agent", password
	r := newRig(t, cfg, quiet(), 1)
	r.run()
	r.eventually("delivered", r.empty)
	request := http.Request{Header: s.headers[0]}
	if user, secret, ok := request.BasicAuth(); !ok || user != "agent" || secret != "s3cret" {
		t.Fatalf("credentials %q %q", user, secret)
	}
}

// Two agents whose spools have one name are told from one that is started again by the runs.
func TestEveryStartHasANameOfItsOwn(t *testing.T) {
	runs := map[string]int{}
	for range 2 {
		s := &script{}
		r := newRig(t, inProcess(t, s), quiet(), 6)
		r.run()
		r.eventually("delivered", r.empty)
		r.stop()
		for _, h := range s.headers {
			runs[h.Get(RunHeader)]++
		}
	}
	if len(runs) != 2 || runs[""] != 0 {
		t.Fatalf("requests by run: %v", runs)
	}
}

// Several receivers share a spool and a registry; one that is down holds back
// no other.
func TestReceiversDoNotWaitForEachOther(t *testing.T) {
	down, up := &script{steps: times(10000, says(503, ""))}, &script{}
	r := newRig(t, serve(t, down), quiet(), 0)
	reader, err := r.spool.Reader("second")
	if err != nil {
		t.Fatal(err)
	}
	cfg := serve(t, up)
	cfg.Name = "second"
	second, err := New(cfg, reader, quiet(), r.reg)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 20; n++ {
		r.append(n)
	}
	r.run()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- second.Run(ctx) }()
	r.eventually("the second has all", func() bool { return second.State().BacklogSamples == 0 })
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := up.tookAll(); len(got) != 20 || !slices.IsSorted(got) {
		t.Fatalf("took %v", got)
	}
	if got := r.metric("plimsoll_agent_samples_shipped_total", "receiver", "second"); got != 200 {
		t.Fatalf("%v samples counted for the second", got)
	}
	r.eventually("the first has failed", func() bool { return r.shipper.State().Phase == Retrying })
	if st := r.shipper.State(); st.BacklogSamples != 200 {
		t.Fatalf("state of the first %+v", st)
	}
	if got := r.metric("plimsoll_agent_remote_write_lag_seconds", "receiver", "r"); got <= 0 {
		t.Fatalf("lag of the first %v", got)
	}
}

func TestConfigErrorsNameTheFlagAndWhatIsRight(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const url = "http://127.0.0.1:9750/api/v1/write"
	for _, c := range []struct {
		cfg  Receiver
		want []string
	}{
		{Receiver{}, []string{"--remote-write.url", "is empty", "http://127.0.0.1:9750/api/v1/write"}},
		{Receiver{URL: "127.0.0.1:9750"}, []string{"--remote-write.url", "want one such as"}},
		{Receiver{URL: "collector/api/v1/write"}, []string{"--remote-write.url", "http://", "want one such as"}},
		{Receiver{URL: "ftp://collector/api/v1/write"}, []string{"--remote-write.url", "https://"}},
		{Receiver{URL: "http:///api/v1/write"}, []string{"--remote-write.url", "no host"}},
		{Receiver{URL: "http://collector:9750"}, []string{"--remote-write.url", "no path", "/api/v1/write"}},
		{Receiver{URL: "http://u:secret@collector/api/v1/write"}, []string{"--remote-write.url", "--remote-write.password-file"}},
		{Receiver{URL: url, TokenFile: dir + "/absent"}, []string{"--remote-write.token-file", dir + "/absent"}},
		{Receiver{URL: url, TokenFile: file("empty", "\n")}, []string{"--remote-write.token-file", "empty"}},
		{Receiver{URL: url, TokenFile: file("lines", "a\nb\n")}, []string{"--remote-write.token-file", "one line"}},
		{Receiver{URL: url, Username: "u"}, []string{"--remote-write.username", "--remote-write.password-file"}},
		{Receiver{URL: url, Username: "u", PasswordFile: "x", TokenFile: "y"}, []string{"--remote-write.token-file", "not both"}},
		{Receiver{URL: url, CertFile: "x"}, []string{"--remote-write.tls.cert", "--remote-write.tls.key"}},
		{Receiver{URL: url, CAFile: file("ca", "no pem")}, []string{"--remote-write.tls.ca", "no PEM certificate"}},
		{Receiver{URL: url, CertFile: file("c", "x"), KeyFile: file("k", "x")}, []string{"--remote-write.tls.cert", dir}},
		{Receiver{URL: url, Compression: "gzip"}, []string{"--remote-write.compression", "gzip", "zstd"}},
		{Receiver{URL: url, Order: "random"}, []string{"--remote-write.order", "random", "fresh-first"}},
	} {
		_, err := New(c.cfg, nil, quiet(), nil)
		if err == nil {
			t.Errorf("%+v: no error", c.cfg)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q shows a password", err)
		}
	}
}
