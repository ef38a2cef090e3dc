package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"

	"github.com/plimsoll/plimsoll/agent/wire"
)

// siege is one collector and a client that behaves. Attackers come from another address, and hold a token for writing and reading.
type siege struct {
	*program
	polite *http.Client
	turn   int
}

func postTo(client *http.Client, url, encoding string, body []byte) (int, error) {
	req, err := http.NewRequest(http.MethodPost, url+"/api/v1/write", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Encoding", encoding)
	req.Header.Set("Authorization", "Bearer root")
	return done(client.Do(req))
}

func getFrom(client *http.Client, url, token string) (int, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
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
	name            string
	writes, queries []time.Duration
	failed          int
	rss             int64   // the most
	cores           float64 // that the collector was busy with, the polite client's part in it
	answers         int     // of the attackers
	floor           bool    // the attackers attacked nobody
}

func p99(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)*99/100]
}

// cpuTime is what the program has used since its start.
func (s *siege) cpuTime(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, errUser := strconv.Atoi(fields[11])
	system, errSystem := strconv.Atoi(fields[12])
	if errUser != nil || errSystem != nil {
		t.Fatalf("no times in %q", text)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// during watches the collector for a time: twenty writes and twenty queries a second of a client that behaves.
func (s *siege) during(t *testing.T, length time.Duration) observed {
	var f observed
	used, started := s.cpuTime(t), time.Now()
	for end := started.Add(length); time.Now().Before(end); s.turn++ {
		next := time.Now().Add(50 * time.Millisecond)
		node := fmt.Sprint("polite-", s.turn%50) // each series every few seconds, so that the figures do not grow with the length of the show
		body := batch(node, 0, 500)
		began := time.Now()
		if code, err := postTo(s.polite, s.url, "snappy", body); err != nil || code != http.StatusNoContent {
			f.failed++
		}
		f.writes = append(f.writes, time.Since(began))
		began = time.Now()
		if code, err := getFrom(s.polite, s.url+"/api/v1/query?query=sum(siege_total{node=%22"+node+"%22})by(project)", "root"); err != nil || code != http.StatusOK {
			f.failed++
		}
		f.queries = append(f.queries, time.Since(began))
		f.rss = max(f.rss, s.rssBytes(t))
		time.Sleep(time.Until(next))
	}
	f.cores = (s.cpuTime(t) - used).Seconds() / time.Since(started).Seconds()
	return f
}

// attacked is during with attackers on address.
func (s *siege) attacked(t *testing.T, name, address string, length time.Duration) observed {
	end := begin(t, name, address)
	defer end()
	time.Sleep(time.Second)
	f := s.during(t, length)
	for _, n := range end() {
		f.answers += n
	}
	f.name = name
	return f
}

// TestHostileClientsMoveNeitherMemoryNorLatencyOfOthers measures; it judges only that nobody who behaves is refused and that memory
// stays within what is documented.
func TestHostileClientsMoveNeitherMemoryNorLatencyOfOthers(t *testing.T) {
	if os.Getenv("PLIMSOLL_SHOW") != "hostile" {
		t.Skip("six minutes at full load: make show-hostile")
	}
	_, binary := buildPrograms(t)
	address, idle := freePort(t), freePort(t)
	tokens := file(t, "tokens.yaml", fmt.Sprintf("tokens:\n- {name: root, sha256: %x, scopes: [admin]}\n", sha256.Sum256([]byte("root"))))
	s := &siege{program: start(t, "collector", "http://"+address, binary, "--listen="+address, "--data-dir="+t.TempDir(), "--auth.tokens-file="+tokens),
		polite: &http.Client{Timeout: 30 * time.Second}}
	s.waitReady(t)
	for i := range 50 { // 50,000 series, so that a large query is large
		if code, err := postTo(s.polite, s.url, "snappy", batch("fleet", i*1000, 1000)); err != nil || code != http.StatusNoContent {
			t.Fatal(code, err)
		}
	}
	s.during(t, 6*time.Second) // every series of the client that behaves is known before anything is measured
	const each = 12 * time.Second
	quiet := func(name string, length time.Duration) observed {
		f := s.during(t, length)
		f.name = name
		return f
	}
	all := []observed{quiet("nobody else (before)", each)}
	floor := begin(t, floorAttack, idle)
	for _, a := range []struct {
		name  string
		floor bool // what the attackers do does not depend on what they are answered
	}{
		{"decompression bombs, 8 at once", true},
		{"2,000 headers of a byte a second", true},
		{"1,000 bodies of a byte a second", true},
		{"200 bodies that stall after 100 KB", true},
		{"4,000 connections without a byte", true},
		{"random bytes as messages, 8 at once", true},
		{"queries of everything, 8 at once", false},
		{"sums over everything, 8 at once", false},
		{"exports of everything, 8 at once", false},
		{"its own metrics, 8 at once", false},
		{"100 answers read a byte a second", false},
		{"wrong tokens, 8 at once", true},
	} {
		if only := os.Getenv("PLIMSOLL_SHOW_ONLY"); !strings.Contains(a.name, only) { // besides the quiet phases, those whose names have this in them
			continue
		}
		if a.floor {
			f := s.attacked(t, a.name, idle, each)
			f.floor = true
			all = append(all, f)
		}
		all = append(all, s.attacked(t, a.name, address, each))
	}
	floor()
	all = append(all, quiet("nobody else (after)", each), quiet("nobody else (30 s later)", 30*time.Second))
	s.judge(t, all)
}

// judge prints the table. The ratios are to the better of the two quiet phases around the attacks.
func (s *siege) judge(t *testing.T, all []observed) {
	before, after := all[0], all[len(all)-2]
	write, query, cores := min(p99(before.writes), p99(after.writes)), min(p99(before.queries), p99(after.queries)), min(before.cores, after.cores)
	fmt.Printf("%-46s %10s %10s %6s %10s %6s %6s %9s %12s %8s\n", "attack", "RSS most", "write p99", "ratio", "query p99", "ratio", "cores", "answers", "CPU each", "refused")
	for _, f := range all {
		name, perAnswer := f.name, "-"
		if f.floor {
			name = "  (on a server that does nothing)"
		} else if f.answers > 0 {
			perAnswer = (time.Duration((f.cores-cores)*float64(len(f.writes))*50*float64(time.Millisecond)) / time.Duration(f.answers)).Round(time.Microsecond).String()
		}
		fmt.Printf("%-46s %6d MiB %10s %6.1f %10s %6.1f %6.2f %9d %12s %8d\n", name, f.rss>>20, p99(f.writes).Round(100*time.Microsecond), float64(p99(f.writes))/float64(write),
			p99(f.queries).Round(100*time.Microsecond), float64(p99(f.queries))/float64(query), f.cores, f.answers, perAnswer, f.failed)
		if f.failed > 0 {
			t.Errorf("%s: %d requests of a client that behaves failed", f.name, f.failed)
		}
		if f.rss > before.rss+1<<30 {
			t.Errorf("%s: %d MiB against %d before", f.name, f.rss>>20, before.rss>>20)
		}
	}
}
