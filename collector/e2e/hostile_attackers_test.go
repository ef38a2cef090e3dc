package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// The attackers are a process of their own, this test binary again, so that the client that is measured waits for the machine and the
// collector only. What they do to a server that does nothing is the floor: what of the latency is the machine's.
const (
	attackVariable  = "PLIMSOLL_ATTACK"  // what is done
	addressVariable = "PLIMSOLL_ADDRESS" // to whom
	hostileFrom     = "127.0.0.66"       // from where
	floorAttack     = "floor"            // be the server that does nothing
)

// besiege is what the process of the attackers does, until its input ends.
func besiege() {
	ctx, cancel := context.WithCancel(context.Background())
	if os.Getenv(attackVariable) == floorAttack {
		floor()
	}
	a := &attackers{address: os.Getenv(addressVariable), codes: map[int]int{}}
	a.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: hostileDialer().DialContext, MaxIdleConnsPerHost: 100}}
	wait := a.attacks()[os.Getenv(attackVariable)](ctx)
	fmt.Println("begun")
	io.Copy(io.Discard, os.Stdin)
	cancel()
	wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	json.NewEncoder(os.Stdout).Encode(a.codes)
}

// floor answers everything with nothing, until its input ends.
func floor() {
	l, err := net.Listen("tcp", os.Getenv(addressVariable))
	if err != nil {
		panic(err)
	}
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.CopyN(io.Discard, r.Body, 64<<10)
		w.WriteHeader(http.StatusForbidden)
	})}
	go srv.Serve(l)
	fmt.Println("begun")
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// begin starts a process of this binary that does attack to address, until end, which returns how many answers of each code it got.
func begin(t *testing.T, attack, address string) (end func() map[int]int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), attackVariable+"="+attack, addressVariable+"="+address)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(pipe)
	if line, err := out.ReadString('\n'); line != "begun\n" {
		t.Fatalf("the attackers (%s) say %q (%v)", attack, line, err)
	}
	return sync.OnceValue(func() map[int]int {
		in.Close()
		codes := map[int]int{}
		if err := json.NewDecoder(out).Decode(&codes); err != nil && attack != floorAttack {
			t.Errorf("the attackers (%s) say nothing at the end: %v", attack, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the attackers (%s): %v", attack, err)
		}
		return codes
	})
}

// attackers hold a token for writing and reading.
type attackers struct {
	address string
	client  *http.Client

	mu    sync.Mutex
	turn  int
	codes map[int]int // answers; 0 for none, and for connections that want none
}

func hostileDialer() *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(hostileFrom)}, Timeout: 5 * time.Second}
}

// many have n of them do something over and over.
func many(n int, pause time.Duration, do func(ctx context.Context)) func(context.Context) (wait func()) {
	return func(ctx context.Context) func() {
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				for ctx.Err() == nil {
					do(ctx)
					select {
					case <-time.After(pause):
					case <-ctx.Done():
					}
				}
			})
		}
		return all.Wait
	}
}

func (a *attackers) note(code int, _ error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.codes[code]++
}

// hold opens a connection, sends begin, then a byte each second.
func (a *attackers) hold(ctx context.Context, begin string) {
	conn, err := hostileDialer().DialContext(ctx, "tcp", a.address)
	if err != nil {
		return
	}
	defer conn.Close()
	a.note(0, nil)
	io.WriteString(conn, begin)
	for ctx.Err() == nil {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return
		}
		if begin == "" {
			continue // half open: not a byte
		}
		conn.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := io.WriteString(conn, "x"); err != nil {
			return
		}
	}
}

func (a *attackers) holding(n int, pause time.Duration, begin string) func(context.Context) func() {
	return many(n, pause, func(ctx context.Context) { a.hold(ctx, begin) })
}

func (a *attackers) asking(token string, pause time.Duration, target func() string) func(context.Context) func() {
	return many(8, pause, func(context.Context) { a.note(getFrom(a.client, "http://"+a.address+target(), token)) })
}

func (a *attackers) writing(pause time.Duration, next func(turn int) (encoding string, body []byte)) func(context.Context) func() {
	return many(8, pause, func(context.Context) {
		a.mu.Lock()
		a.turn++
		encoding, body := next(a.turn)
		a.mu.Unlock()
		a.note(postTo(a.client, "http://"+a.address, encoding, body))
	})
}

// attacks are all there are, by name.
func (a *attackers) attacks() map[string]func(context.Context) (wait func()) {
	random := rand.NewChaCha8([32]byte{})
	charges := sync.OnceValue(bombs)
	const head = "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer root\r\nContent-Encoding: snappy\r\nContent-Length: 30000000\r\n\r\n"
	always := func(target string) func() string { return func() string { return target } }
	return map[string]func(context.Context) (wait func()){
		"decompression bombs, 8 at once": a.writing(50*time.Millisecond, func(turn int) (string, []byte) {
			encoding := []string{"zstd", "snappy"}[turn%2]
			of := charges()[encoding]
			return encoding, of[turn/2%len(of)]
		}),
		"2,000 headers of a byte a second":   a.holding(2000, time.Second, "POST /api/v1/write HTTP/1.1\r\nX-"),
		"1,000 bodies of a byte a second":    a.holding(1000, time.Second, head),
		"200 bodies that stall after 100 KB": a.holding(200, 100*time.Millisecond, head+strings.Repeat("x", 100_000)),
		"4,000 connections without a byte":   a.holding(4000, time.Second, ""),
		"random bytes as messages, 8 at once": a.writing(10*time.Millisecond, func(int) (string, []byte) {
			noise := make([]byte, 100_000)
			random.Read(noise)
			return "snappy", snappy.Encode(nil, noise)
		}),
		"queries of everything, 8 at once": a.asking("root", 10*time.Millisecond, func() string {
			end := time.Now().Unix()
			return fmt.Sprintf("/api/v1/query_range?query=%%7B__name__%%3D~%%22.%%2B%%22%%7D&start=%d&end=%d&step=1", end-20_000, end)
		}),
		"sums over everything, 8 at once":  a.asking("root", 10*time.Millisecond, always("/api/v1/query?query=sum(rate({__name__=~%22.%2B%22}[5m]))by(node,i)")),
		"exports of everything, 8 at once": a.asking("root", 10*time.Millisecond, always("/api/v1/export?match[]=%7B__name__!=%22%22%7D")),
		"its own metrics, 8 at once":       a.asking("root", time.Millisecond, always("/metrics")),
		"100 answers read a byte a second": a.holding(100, 100*time.Millisecond, "GET /api/v1/query?query=siege_total HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer root\r\n\r\n"),
		"wrong tokens, 8 at once":          a.asking("guess", time.Millisecond, always("/api/v1/query?query=1")),
	}
}

// bombs are small bodies that want to be large.
func bombs() map[string][][]byte {
	squeeze := func(n int) []byte {
		var out bytes.Buffer
		w, _ := zstd.NewWriter(&out)
		zeros := make([]byte, 1<<20)
		for range n >> 20 {
			w.Write(zeros)
		}
		w.Close()
		return out.Bytes()
	}
	liar := binary.AppendUvarint(nil, 3<<30)
	// Empty series and empty labels: 2 bytes that become 48 and 32 in memory.
	empty := bytes.Repeat([]byte{0x0a, 0x00}, 8<<20)
	labels := append(binary.AppendUvarint([]byte{0x0a}, 7<<20), bytes.Repeat([]byte{0x0a, 0x00}, 7<<19)...)
	return map[string][][]byte{
		"zstd":   {squeeze(4 << 30), squeeze(120 << 20)},
		"snappy": {append(liar, 0, 0, 0, 0), snappy.Encode(nil, empty), snappy.Encode(nil, labels), snappy.Encode(nil, make([]byte, 100<<20))},
	}
}
