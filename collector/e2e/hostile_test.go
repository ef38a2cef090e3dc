package e2e_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/plimsoll/plimsoll/agent/wire"
)

// siege is one collector, a client that behaves, and attackers from another address who hold a token for writing and reading.
type siege struct {
	*program
	polite, hostile *http.Client
	address         string
	turn            int
}

// hostileFrom is the address of the attackers.
const hostileFrom = "127.0.0.66"

func hostileDialer() *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(hostileFrom)}, Timeout: 5 * time.Second}
}

func (s *siege) post(client *http.Client, encoding string, body []byte) (int, error) {
	req, err := http.NewRequest(http.MethodPost, s.url+"/api/v1/write", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Encoding", encoding)
	req.Header.Set("Authorization", "Bearer root")
	return done(client.Do(req))
}

func (s *siege) query(client *http.Client, token, target string) (int, error) {
	req, err := http.NewRequest(http.MethodGet, s.url+target, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return done(client.Do(req))
}

func done(resp *http.Response, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// batch is n series of a node, each with a sample of now.
func batch(node string, from, n int) []byte {
	var body []byte
	now := time.Now().UnixMilli()
	for i := range n {
		labels := []wire.Label{{Name: "__name__", Value: "siege_total"}, {Name: "i", Value: fmt.Sprint(from + i)}, {Name: "node", Value: node}, {Name: "project", Value: "p" + fmt.Sprint(i%10)}}
		body = wire.AppendSeries(body, wire.AppendLabels(nil, labels), float64(i), now)
	}
	return snappy.Encode(nil, body)
}

// observed is a phase, as the polite client and /proc saw it.
type observed struct {
	writes, queries []time.Duration
	failed          int
	rss             int64 // the most
}

func p99(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)*99/100]
}

// during watches the collector for a time: ten writes and ten queries a second of a client that behaves.
func (s *siege) during(t *testing.T, length time.Duration) observed {
	var f observed
	for end := time.Now().Add(length); time.Now().Before(end); s.turn++ {
		next := time.Now().Add(100 * time.Millisecond)
		node := fmt.Sprint("polite-", s.turn%50) // each series every five seconds, so that the figures do not grow with the length of the show
		began := time.Now()
		if code, err := s.post(s.polite, "snappy", batch(node, 0, 500)); err != nil || code != http.StatusNoContent {
			f.failed++
		}
		f.writes = append(f.writes, time.Since(began))
		began = time.Now()
		if code, err := s.query(s.polite, "root", "/api/v1/query?query=sum(siege_total{node=%22"+node+"%22})by(project)"); err != nil || code != http.StatusOK {
			f.failed++
		}
		f.queries = append(f.queries, time.Since(began))
		f.rss = max(f.rss, s.rssBytes(t))
		time.Sleep(time.Until(next))
	}
	return f
}

// attack has n attackers do something over and over.
func attack(ctx context.Context, n int, pause time.Duration, do func(ctx context.Context)) (wait func()) {
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

// hold opens a connection, sends begin, then a byte each second.
func (s *siege) hold(ctx context.Context, begin string) {
	conn, err := hostileDialer().DialContext(ctx, "tcp", s.address)
	if err != nil {
		return
	}
	defer conn.Close()
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
	// Empty series: 2 bytes that become 48 in memory.
	empty := bytes.Repeat([]byte{0x0a, 0x00}, 8<<20)
	return map[string][][]byte{
		"zstd":   {squeeze(4 << 30), squeeze(120 << 20)},
		"snappy": {append(liar, 0, 0, 0, 0), snappy.Encode(nil, empty), snappy.Encode(nil, make([]byte, 100<<20))},
	}
}

// TestHostileClientsMoveNeitherMemoryNorLatencyOfOthers measures; it judges only that nobody who behaves is refused and that memory
// stays within what is documented.
func TestHostileClientsMoveNeitherMemoryNorLatencyOfOthers(t *testing.T) {
	if os.Getenv("PLIMSOLL_SHOW") != "hostile" {
		t.Skip("two minutes at full load: make show-hostile")
	}
	_, binary := buildPrograms(t)
	address := freePort(t)
	tokens := file(t, "tokens.yaml", fmt.Sprintf("tokens:\n- {name: root, sha256: %x, scopes: [admin]}\n", sha256.Sum256([]byte("root"))))
	s := &siege{program: start(t, "collector", "http://"+address, binary, "--listen="+address, "--data-dir="+t.TempDir(), "--auth.tokens-file="+tokens), address: address,
		polite:  &http.Client{Timeout: 30 * time.Second},
		hostile: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: hostileDialer().DialContext, MaxIdleConnsPerHost: 100}}}
	s.waitReady(t)
	for i := range 50 { // 50,000 series, so that a large query is large
		if code, err := s.post(s.polite, "snappy", batch("fleet", i*1000, 1000)); err != nil || code != http.StatusNoContent {
			t.Fatal(code, err)
		}
	}
	s.during(t, 6*time.Second) // every series of the client that behaves is known before anything is measured
	random := rand.NewChaCha8([32]byte{})
	charges := bombs()
	const each = 12 * time.Second
	head := "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer root\r\nContent-Encoding: snappy\r\nContent-Length: 30000000\r\n\r\n"
	var next sync.Mutex
	turn := 0
	type phase struct {
		name string
		run  func(context.Context) func()
	}
	phases := []phase{
		{"nobody else (before)", nil},
		{"decompression bombs, 8 at once", func(ctx context.Context) func() {
			return attack(ctx, 8, 50*time.Millisecond, func(context.Context) {
				next.Lock()
				turn++
				encoding := []string{"zstd", "snappy"}[turn%2]
				body := charges[encoding][turn/2%len(charges[encoding])]
				next.Unlock()
				s.post(s.hostile, encoding, body)
			})
		}},
		{"2,000 headers of a byte a second", func(ctx context.Context) func() {
			return attack(ctx, 2000, time.Second, func(ctx context.Context) { s.hold(ctx, "POST /api/v1/write HTTP/1.1\r\nX-") })
		}},
		{"1,000 bodies of a byte a second", func(ctx context.Context) func() {
			return attack(ctx, 1000, time.Second, func(ctx context.Context) { s.hold(ctx, head) })
		}},
		{"200 bodies that stall after 100 KB", func(ctx context.Context) func() {
			return attack(ctx, 200, 100*time.Millisecond, func(ctx context.Context) { s.hold(ctx, head+strings.Repeat("x", 100_000)) })
		}},
		{"4,000 connections without a byte", func(ctx context.Context) func() {
			return attack(ctx, 4000, time.Second, func(ctx context.Context) { s.hold(ctx, "") })
		}},
		{"random bytes as messages, 8 at once", func(ctx context.Context) func() {
			return attack(ctx, 8, 10*time.Millisecond, func(context.Context) {
				noise := make([]byte, 100_000)
				next.Lock()
				random.Read(noise)
				next.Unlock()
				s.post(s.hostile, "snappy", snappy.Encode(nil, noise))
			})
		}},
		{"queries of everything, 8 at once", func(ctx context.Context) func() {
			return attack(ctx, 8, 10*time.Millisecond, func(context.Context) {
				end := time.Now().Unix()
				s.query(s.hostile, "root", fmt.Sprintf("/api/v1/query_range?query=%%7B__name__%%3D~%%22.%%2B%%22%%7D&start=%d&end=%d&step=1", end-20_000, end))
			})
		}},
		{"sums over everything, 8 at once", func(ctx context.Context) func() {
			return attack(ctx, 8, 10*time.Millisecond, func(context.Context) {
				s.query(s.hostile, "root", "/api/v1/query?query=sum(rate({__name__=~%22.%2B%22}[5m]))by(node,i)")
			})
		}},
		{"exports of everything, 8 at once", func(ctx context.Context) func() {
			return attack(ctx, 8, 10*time.Millisecond, func(context.Context) {
				s.query(s.hostile, "root", "/api/v1/export?match[]=%7B__name__!=%22%22%7D")
			})
		}},
		{"100 answers read a byte a second", func(ctx context.Context) func() {
			return attack(ctx, 100, 100*time.Millisecond, func(ctx context.Context) {
				s.hold(ctx, "GET /api/v1/query?query=siege_total HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer root\r\n\r\n")
			})
		}},
		{"wrong tokens, 8 at once", func(ctx context.Context) func() {
			return attack(ctx, 8, time.Millisecond, func(context.Context) { s.query(s.hostile, "guess", "/api/v1/query?query=1") })
		}},
		{"nobody else (after)", nil},
	}
	if only := os.Getenv("PLIMSOLL_SHOW_ONLY"); only != "" { // besides the two quiet phases, those whose names have this in them
		phases = slices.DeleteFunc(phases, func(p phase) bool { return p.run != nil && !strings.Contains(p.name, only) })
	}
	var all []observed
	for _, phase := range phases {
		ctx, cancel := context.WithCancel(t.Context())
		wait := func() {}
		if phase.run != nil {
			wait = phase.run(ctx)
			time.Sleep(time.Second)
		}
		f := s.during(t, each)
		cancel()
		wait()
		s.hostile.CloseIdleConnections()
		all = append(all, f)
		fmt.Printf("%s: %d MiB\n", phase.name, f.rss>>20)
	}
	// The machine may have been busy with other things in one of the two quiet phases.
	before, after := all[0], all[len(all)-1]
	write, query := min(p99(before.writes), p99(after.writes)), min(p99(before.queries), p99(after.queries))
	fmt.Printf("%-38s %10s %10s %7s %10s %7s %8s\n", "attack", "RSS most", "write p99", "ratio", "query p99", "ratio", "refused")
	for i, f := range all {
		fmt.Printf("%-38s %6d MiB %10s %7.1f %10s %7.1f %8d\n", phases[i].name, f.rss>>20, p99(f.writes).Round(100*time.Microsecond), float64(p99(f.writes))/float64(write),
			p99(f.queries).Round(100*time.Microsecond), float64(p99(f.queries))/float64(query), f.failed)
		if f.failed > 0 {
			t.Errorf("%s: %d requests of a client that behaves failed", phases[i].name, f.failed)
		}
		if f.rss > before.rss+1<<30 {
			t.Errorf("%s: %d MiB against %d before", phases[i].name, f.rss>>20, before.rss>>20)
		}
	}
}
