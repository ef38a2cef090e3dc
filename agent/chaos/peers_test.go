package chaos_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/agent/internal/ship"
)

// peer is a program of others that stores samples, started again and again on one data directory.
type peer struct {
	t       *testing.T
	name    string
	url     string
	health  string
	export  func(p *peer, metric string) map[string]map[int64]float64 // by the label series and the timestamp
	command func() *exec.Cmd
	cmd     *exec.Cmd
	kills   []time.Time
	twice   int           // samples of one time that export met
	apart   time.Duration // least time between two kills
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// newPeer is a peer whose command line is made of its address and directory.
func newPeer(t *testing.T, name, health string, args func(address, dir string) []string) *peer {
	t.Helper()
	binary, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s (apt install %[1]s)", name)
	}
	address, dir := freeAddress(t), t.TempDir()
	p := &peer{t: t, name: name, url: "http://" + address, health: health, command: func() *exec.Cmd { return exec.Command(binary, args(address, dir)...) }}
	t.Cleanup(func() {
		if p.cmd != nil {
			p.kill()
		}
	})
	return p
}

func (p *peer) start() {
	p.t.Helper()
	p.cmd = p.command()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(50 * time.Millisecond) {
		if resp, err := http.Get(p.url + p.health); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
	}
	p.t.Fatalf("%s does not start", p.name)
}

func (p *peer) kill() {
	p.kills = append(p.kills, time.Now())
	p.cmd.Process.Kill()
	p.cmd.Wait()
	p.cmd = nil
}

func (p *peer) get(path string, query url.Values) []byte {
	p.t.Helper()
	resp, err := http.Get(p.url + path + "?" + query.Encode())
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		p.t.Fatalf("%s%s: %s, %v: %.300s", p.name, path, resp.Status, err, body)
	}
	return body
}

// prometheusPeer takes what is up to an hour late.
func prometheusPeer(t *testing.T, config string) *peer {
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(file, []byte("storage:\n  tsdb:\n    out_of_order_time_window: 1h\n"+config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, "prometheus", "/-/ready", func(address, dir string) []string {
		return []string{"--config.file=" + file, "--web.listen-address=" + address, "--storage.tsdb.path=" + dir, "--web.enable-remote-write-receiver", "--log.level=error"}
	})
	p.export = func(p *peer, metric string) map[string]map[int64]float64 {
		var answer struct {
			Data struct {
				Result []struct {
					Metric map[string]string
					Values [][2]any
				}
			}
		}
		if err := json.Unmarshal(p.get("/api/v1/query", url.Values{"query": {metric + "[1h]"}}), &answer); err != nil {
			t.Fatal(err)
		}
		all := map[string]map[int64]float64{}
		for _, r := range answer.Data.Result {
			of := map[int64]float64{}
			for _, v := range r.Values {
				value, err := strconv.ParseFloat(v[1].(string), 64)
				if err != nil {
					t.Fatal(err)
				}
				at := int64(v[0].(float64)*1000 + 0.5)
				if _, twice := of[at]; twice {
					p.twice++
				}
				of[at] = value
			}
			all[r.Metric["series"]] = of
		}
		return all
	}
	return p
}

// victoriaPeer makes one of what came twice, as any receiver of remote write has to.
func victoriaPeer(t *testing.T) *peer {
	p := newPeer(t, "victoria-metrics", "/health", func(address, dir string) []string {
		return []string{"-httpListenAddr=" + address, "-storageDataPath=" + dir, "-retentionPeriod=1", "-dedup.minScrapeInterval=1ms", "-loggerLevel=ERROR"}
	})
	p.apart = 8 * time.Second // it writes what it acknowledged to the disk every five
	p.export = func(p *peer, metric string) map[string]map[int64]float64 {
		p.get("/internal/force_flush", nil)
		all := map[string]map[int64]float64{}
		lines := bufio.NewScanner(strings.NewReader(string(p.get("/api/v1/export", url.Values{"match[]": {metric}}))))
		for lines.Buffer(nil, 64<<20); lines.Scan(); {
			var one struct {
				Metric     map[string]string
				Values     []float64
				Timestamps []int64
			}
			if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
				t.Fatal(err)
			}
			of := all[one.Metric["series"]]
			if of == nil {
				of = map[int64]float64{}
				all[one.Metric["series"]] = of
			}
			for i, at := range one.Timestamps {
				if _, twice := of[at]; twice {
					p.twice++
				}
				of[at] = one.Values[i]
			}
		}
		return all
	}
	return p
}

// notary stands before a receiver and notes which batches it acknowledged, and when.
type notary struct {
	URL   string
	mu    sync.Mutex
	acked map[uint64]time.Time // by sequence number
}

func newNotary(t *testing.T, to string) *notary {
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	n := &notary{acked: map[uint64]time.Time{}}
	pass := httputil.NewSingleHostReverseProxy(target)
	pass.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	pass.ModifyResponse = func(resp *http.Response) error {
		if seq, err := strconv.ParseUint(resp.Request.Header.Get(ship.SequenceHeader), 10, 64); err == nil && resp.StatusCode/100 == 2 {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.acked[seq] = time.Now()
		}
		return nil
	}
	server := httptest.NewServer(pass)
	t.Cleanup(server.Close)
	n.URL = server.URL
	return n
}

// theirs tells whether a batch was acknowledged and the receiver killed after that, and how long after.
func (n *notary) theirs(p *peer, seq uint64) (age time.Duration, yes bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at, acked := n.acked[seq]
	for _, kill := range p.kills {
		if acked && kill.After(at) {
			return kill.Sub(at), true
		}
	}
	return 0, false
}

// Kill -9 of the agent and of a real receiver, in turn and under load. What the receiver acknowledged and lost by its own death is
// counted apart.
func TestRealReceiversThroughKillNine(t *testing.T) {
	if _, long := rounds(t); !long {
		t.Skip("takes two minutes: make chaos")
	}
	const kills = 6
	for _, c := range []struct {
		peer  *peer
		order ship.Order
	}{{prometheusPeer(t, ""), ship.InOrder}, {prometheusPeer(t, ""), ship.FreshFirst}, {victoriaPeer(t), ship.FreshFirst}} {
		p := c.peer
		p.start()
		between := newNotary(t, p.url)
		a := newAgent(t, 10*time.Second, between.URL+"/api/v1/write")
		a.cfg.Order = c.order
		a.start()
		rnd := newRandom(t)
		for i := range 2 * kills {
			time.Sleep(time.Second + p.apart/2 + random(rnd, 2*time.Second))
			if i%2 == 0 {
				a.kill()
				time.Sleep(random(rnd, 500*time.Millisecond))
				a.start()
				continue
			}
			p.kill()
			time.Sleep(random(rnd, time.Second))
			p.start()
		}
		if err := a.finish(time.Minute); err != nil {
			t.Fatal(err)
		}
		var ours, own, wrong, stored int
		oldest := time.Duration(0)
		have := p.export(p, "chaos_value")
		for i := range series {
			of := have[strconv.Itoa(i)]
			stored += len(of)
			for at, value := range of {
				if k := int((at - a.cfg.ZeroMillis) / a.cfg.StepMillis); value != valueOf(k, i) || a.at(k) != at || a.spooled[k] == 0 && !a.unsure[k] {
					wrong++
				}
			}
			for k, seq := range a.spooled {
				if _, ok := of[a.at(k)]; ok {
					continue
				}
				if age, theirs := between.theirs(p, seq); theirs {
					own++
					oldest = max(oldest, age)
				} else {
					ours++
				}
			}
		}
		got := count{expected: len(a.spooled) * series, stored: stored, lost: ours, double: p.twice, wrong: wrong}
		told.count(fmt.Sprintf("%s, %s, %d kills each", p.name, c.order, kills), got, "%s", itsOwn(p, own, oldest))
		if ours+wrong+p.twice > 0 || stored+own < len(a.spooled)*series {
			t.Errorf("%s: lost %d, double %d, wrong %d", p.name, ours, p.twice, wrong)
		}
		p.kill()
	}
}

// itsOwn says what a receiver lost of what it had acknowledged.
func itsOwn(p *peer, samples int, oldest time.Duration) string {
	if samples == 0 {
		return p.name + " itself lost nothing that it had acknowledged"
	}
	return fmt.Sprintf("%d lost by %s itself, which had acknowledged them up to %.1f s before its death", samples, p.name, oldest.Seconds())
}
