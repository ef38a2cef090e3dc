package chaos_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// collector is the real program, started again and again on one data directory.
type collector struct {
	t      *testing.T
	binary string
	dir    string
	url    string
	log    *os.File
	cmd    *exec.Cmd
	ended  chan error
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{t: t, binary: binary, dir: t.TempDir(), url: "http://" + l.Addr().String()}
	l.Close()
	if c.log, err = os.Create(filepath.Join(t.TempDir(), "collector.log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.cmd != nil {
			c.kill()
		}
		if text, err := os.ReadFile(c.log.Name()); err == nil && t.Failed() {
			t.Logf("the collector's last words:\n%s", text[max(0, len(text)-4000):])
		}
	})
	return c
}

func (c *collector) start() {
	c.t.Helper()
	c.cmd = exec.Command(c.binary, "run", "--listen="+strings.TrimPrefix(c.url, "http://"), "--data-dir="+c.dir, "--rules.builtin=false")
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan<- error) { ended <- cmd.Wait() }(c.cmd, c.ended)
}

// kill is kill -9. A collector that ended by itself before fails the test.
func (c *collector) kill() {
	select {
	case err := <-c.ended:
		c.t.Errorf("the collector ended by itself: %v", err)
	default:
		c.cmd.Process.Kill()
		<-c.ended
	}
	c.cmd = nil
}

// killLast kills a collector that all was delivered to: what it acknowledged last must be there after the next start.
func (c *collector) killLast() {
	c.t.Helper()
	c.kill()
	c.start()
	c.waitReady()
}

// verifyAtTheEnd verifies what is there once the agent has delivered all and the collector was killed for the last time.
func (c *collector) verifyAtTheEnd(a *agent) count {
	c.t.Helper()
	if err := a.finish(time.Minute); err != nil {
		c.t.Fatal(err)
	}
	c.waitReady()
	c.killLast()
	return c.verify(a)
}

func (c *collector) waitReady() {
	c.t.Helper()
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(20 * time.Millisecond) {
		if _, err := c.get("/-/ready", nil); err == nil {
			return
		}
	}
	c.t.Fatal("the collector is not ready after a minute")
}

// changes waits until a file or folder comes or goes below a folder of the collector.
func (c *collector) changes(place string, within time.Duration) bool {
	list := func() (names string) {
		filepath.WalkDir(filepath.Join(c.dir, place), func(path string, d fs.DirEntry, err error) error {
			if err == nil {
				names += path + "\n"
			}
			return nil
		})
		return names
	}
	before := list()
	for began := time.Now(); time.Since(began) < within; time.Sleep(time.Millisecond) {
		if list() != before {
			return true
		}
	}
	return false
}

func (c *collector) get(path string, query url.Values) ([]byte, error) {
	client := http.Client{Timeout: 30 * time.Second}
	resp, err := client.Get(c.url + path + "?" + query.Encode())
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200s", path, resp.Status, body)
	}
	return body, err
}

// query is the values of an instant query by the label series; "" for a result without it.
func (c *collector) query(expr string, at time.Time) map[string]float64 {
	c.t.Helper()
	body, err := c.get("/api/v1/query", url.Values{"query": {expr}, "time": {strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)}})
	if err != nil {
		c.t.Fatal(err)
	}
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		c.t.Fatal(err)
	}
	values := map[string]float64{}
	for _, r := range answer.Data.Result {
		v, err := strconv.ParseFloat(r.Value[1].(string), 64)
		if err != nil {
			c.t.Fatal(err)
		}
		values[r.Metric["series"]] = v
	}
	return values
}

// count is what came of the samples that an agent spooled.
type count struct{ expected, stored, lost, double, wrong, disordered int }

func (n count) clean() bool {
	return n.lost+n.double+n.wrong+n.disordered == 0 && n.stored >= n.expected
}

// verify compares every stored sample with what the agent spooled, and what functions over time make of them.
func (c *collector) verify(a *agent) (n count) {
	c.t.Helper()
	body, err := c.get("/api/v1/export", url.Values{"match[]": {"chaos_value"}})
	if err != nil {
		c.t.Fatal(err)
	}
	end := time.UnixMilli(a.at(a.last + 2))
	counts := c.query("count_over_time(chaos_value[3h])", end)
	sums := c.query("sum_over_time(chaos_value[3h])", end)
	n.expected = len(a.spooled) * series
	have := make([]map[int]bool, series)
	lines := bufio.NewScanner(strings.NewReader(string(body)))
	for lines.Buffer(nil, 64<<20); lines.Scan(); {
		var one struct {
			Metric     map[string]string
			Values     []float64
			Timestamps []int64
		}
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			c.t.Fatal(err)
		}
		i, err := strconv.Atoi(one.Metric["series"])
		if err != nil || i >= series || have[i] != nil {
			c.t.Fatalf("the series %v came twice or is none of ours", one.Metric)
		}
		have[i] = map[int]bool{}
		sum := 0.0
		for s, at := range one.Timestamps {
			k := int((at - a.cfg.ZeroMillis) / a.cfg.StepMillis)
			n.stored++
			sum += one.Values[s]
			switch {
			case have[i][k]:
				n.double++
			case one.Values[s] != valueOf(k, i) || a.at(k) != at || a.spooled[k] == 0 && !a.unsure[k]:
				n.wrong++
			}
			if s > 0 && one.Timestamps[s-1] >= at {
				n.disordered++
			}
			have[i][k] = true
		}
		// What people and rules see must agree with what is stored.
		if extra := int(math.Round(counts[strconv.Itoa(i)])) - len(have[i]); extra > 0 {
			n.double += extra
		}
		if sums[strconv.Itoa(i)] != sum {
			n.wrong++
		}
	}
	for i := range series {
		for k := range a.spooled {
			if !have[i][k] {
				n.lost++
			}
		}
	}
	return n
}

// missing are the batches in the spool of which a sample did not arrive.
func (c *collector) missing(a *agent) (batches []int) {
	c.t.Helper()
	body, err := c.get("/api/v1/export", url.Values{"match[]": {`chaos_value{series="0"}`}})
	if err != nil {
		c.t.Fatal(err)
	}
	var one struct{ Timestamps []int64 }
	if len(body) > 0 {
		if err := json.Unmarshal(body, &one); err != nil {
			c.t.Fatal(err)
		}
	}
	for k := range a.spooled {
		if !slices.Contains(one.Timestamps, a.at(k)) {
			batches = append(batches, k)
		}
	}
	return batches
}

// node is what the collector tells of the stand-in.
type node struct {
	LastSequence uint64 `json:"last_seq"`
	Missing      uint64 `json:"missing_batches"`
	Late         uint64 `json:"late_batches"`
	Repeated     uint64 `json:"repeated_batches"`
	Changes      uint64 `json:"agent_changes"`
}

func (c *collector) node() node {
	c.t.Helper()
	body, err := c.get("/api/nodes", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	var answer struct{ Data []node }
	if err := json.Unmarshal(body, &answer); err != nil {
		c.t.Fatal(err)
	}
	if len(answer.Data) != 1 {
		c.t.Fatalf("nodes: %s", body)
	}
	return answer.Data[0]
}
