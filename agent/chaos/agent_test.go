package chaos_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/ship"
	"github.com/plimsoll/plimsoll/agent/internal/spool"
	"github.com/plimsoll/plimsoll/agent/wire"
)

// The load: 25,000 samples in 10 s while nothing is down, in batches often enough that a kill at a random moment hits every step of one.
const (
	series     = 500
	batchEvery = 200 * time.Millisecond
	standInEnv = "PLIMSOLL_CHAOS_STAND_IN"
)

// standInConfig is what a stand-in is told by the environment.
type standInConfig struct {
	Dir        string
	URLs       []string
	CAFile     string
	Order      ship.Order
	From       int   // the first batch
	ZeroMillis int64 // timestamp of batch 0
	StepMillis int64 // between the timestamps of two batches
	MaxBytes   int64
	WhenFull   spool.Policy
	Backlog    int64 // bytes a second
	Plain      bool  // uncompressed, so that bounds are soon reached
}

// valueOf is the one value that series i may have in batch k.
func valueOf(k, i int) float64 { return float64(k*series + i) }

func TestMain(m *testing.M) {
	if text := os.Getenv(standInEnv); text != "" {
		if err := standIn(text); err != nil {
			fmt.Fprintln(os.Stderr, "stand-in:", err)
			os.Exit(1)
		}
		return
	}
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		panic(err)
	}
	built = sync.OnceValues(func() (string, error) { return buildCollector(filepath.Join(dir, "plimsoll-collector")) })
	told = &table{}
	code := m.Run()
	told.write(os.Stdout)
	os.RemoveAll(dir)
	os.Exit(code)
}

// told is what the long run has shown.
var told *table

// built is the collector of this checkout, built once, or the one that PLIMSOLL_CHAOS_COLLECTOR names.
var built func() (path string, err error)

func buildCollector(path string) (string, error) {
	if given := os.Getenv("PLIMSOLL_CHAOS_COLLECTOR"); given != "" {
		return given, nil
	}
	build := exec.Command("go", "build", "-o", path, "./collector")
	build.Dir = "../.."
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./collector: %w\n%s", err, text)
	}
	return path, nil
}

// standIn is an agent with the real spool and the real shippers that reads no container but counts. It prints "a K SEQ" once
// batch K is in the spool, and "x K" when the spool did not take it. When its standard input ends it counts no further, delivers what
// waits, prints the counters of what was dropped as "d RECEIVER REASON N", and ends.
func standIn(config string) error {
	var cfg standInConfig
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError + 1}))
	reg := prometheus.NewRegistry()
	spooled, err := spool.Open(spool.Config{Dir: cfg.Dir, Compress: !cfg.Plain, MaxBytes: cfg.MaxBytes, WhenFull: cfg.WhenFull}, log, reg)
	if err != nil {
		return err
	}
	var readers []*spool.Reader
	var shippers []*ship.Shipper
	for _, url := range cfg.URLs {
		reader, err := spooled.Reader(ship.NameOf(url))
		if err != nil {
			return err
		}
		shipper, err := ship.New(ship.Receiver{URL: url, CAFile: cfg.CAFile, Order: cfg.Order, BacklogBytesPerSecond: cfg.Backlog,
			Timeout: time.Second, MinBackoff: 20 * time.Millisecond, MaxBackoff: 200 * time.Millisecond}, reader, log, reg)
		if err != nil {
			return err
		}
		readers, shippers = append(readers, reader), append(shippers, shipper)
	}
	ctx := context.Background()
	go spooled.Run(ctx)
	for _, s := range shippers {
		go s.Run(ctx)
	}

	var labels [][]byte
	for i := range series {
		labels = append(labels, wire.AppendLabels(nil, []wire.Label{{Name: "__name__", Value: "chaos_value"}, {Name: "cluster", Value: "c"}, {Name: "idc", Value: "i"}, {Name: "node", Value: "n"}, {Name: "series", Value: strconv.Itoa(i)}}))
	}
	presence := wire.AppendLabels(nil, []wire.Label{{Name: "__name__", Value: "plimsoll_agent_build_info"}, {Name: "cluster", Value: "c"}, {Name: "idc", Value: "i"}, {Name: "node", Value: "n"}, {Name: "version", Value: "chaos"}})
	stop := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	k := cfg.From
	tick := time.NewTicker(batchEvery)
	for {
		select {
		case <-stop:
			for _, reader := range readers {
				for reader.Backlog().Samples > 0 {
					time.Sleep(20 * time.Millisecond)
				}
			}
			if err := tellDropped(reg); err != nil {
				return err
			}
			return spooled.Close()
		case <-tick.C:
		}
		at := cfg.ZeroMillis + int64(k)*cfg.StepMillis
		batch := wire.AppendSeries(nil, presence, 1, at)
		for i, l := range labels {
			batch = wire.AppendSeries(batch, l, valueOf(k, i), at)
		}
		if seq, err := spooled.Append(batch, series+1); errors.Is(err, spool.ErrFull) {
			fmt.Printf("x %d\n", k)
		} else if err != nil {
			return err
		} else {
			fmt.Printf("a %d %d\n", k, seq)
		}
		k++
	}
}

// tellDropped prints the counters of what receivers will not get.
func tellDropped(reg *prometheus.Registry) error {
	families, err := reg.Gather()
	if err != nil {
		return err
	}
	for _, f := range families {
		if f.GetName() != "plimsoll_agent_samples_dropped_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			fmt.Printf("d %s %s %.0f\n", m.GetLabel()[1].GetValue(), m.GetLabel()[0].GetValue(), m.GetCounter().GetValue()) // labels come sorted: reason, receiver
		}
	}
	return nil
}

// agent is a stand-in that is started again and again on one spool.
type agent struct {
	t   *testing.T
	cfg standInConfig

	cmd   *exec.Cmd
	stdin io.Closer
	ended chan error

	mu      sync.Mutex
	spooled map[int]uint64 // batches whose Append returned, and their numbers
	refused map[int]bool   // batches that the spool did not take
	unsure  map[int]bool   // that may be in the spool although nobody said so
	dropped map[string]int // samples by receiver and reason, as the agent counted them
	last    int
}

// newAgent makes an agent of receivers; a first batch is stamped so much before now.
func newAgent(t *testing.T, before time.Duration, urls ...string) *agent {
	a := &agent{t: t, spooled: map[int]uint64{}, refused: map[int]bool{}, unsure: map[int]bool{}, dropped: map[string]int{}, last: -2}
	a.cfg = standInConfig{Dir: t.TempDir(), URLs: urls, ZeroMillis: time.Now().Add(-before).UnixMilli(), StepMillis: batchEvery.Milliseconds()}
	t.Cleanup(func() {
		if a.cmd != nil {
			a.kill()
		}
	})
	return a
}

// at is the timestamp of a batch.
func (a *agent) at(k int) int64 { return a.cfg.ZeroMillis + int64(k)*a.cfg.StepMillis }

func (a *agent) start() {
	a.t.Helper()
	self, err := os.Executable()
	if err != nil {
		a.t.Fatal(err)
	}
	a.cfg.From = a.last + 2
	config, err := json.Marshal(a.cfg)
	if err != nil {
		a.t.Fatal(err)
	}
	a.cmd = exec.Command(self)
	a.cmd.Env = append(os.Environ(), standInEnv+"="+string(config))
	a.cmd.Stderr = os.Stderr
	if a.stdin, err = a.cmd.StdinPipe(); err != nil {
		a.t.Fatal(err)
	}
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		a.t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan<- error) {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			a.hear(strings.Fields(lines.Text()))
		}
		ended <- cmd.Wait()
	}(a.cmd, a.ended)
}

// hear notes a line of the stand-in. One that a kill cut short says nothing.
func (a *agent) hear(said []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var k, n int
	switch line := strings.Join(said, " "); {
	case len(said) == 3 && said[0] == "a":
		var seq uint64
		if _, err := fmt.Sscanf(line, "a %d %d", &k, &seq); err == nil {
			a.spooled[k], a.last = seq, k
		}
	case len(said) == 2 && said[0] == "x":
		if _, err := fmt.Sscanf(line, "x %d", &k); err == nil {
			a.refused[k], a.last = true, k
		}
	case len(said) == 4 && said[0] == "d":
		if _, err := fmt.Sscanf(said[3], "%d", &n); err == nil {
			a.dropped[said[1]+" "+said[2]] += n
		}
	}
}

// kill is kill -9. The batch after the last one that was told may have reached the spool.
func (a *agent) kill() {
	a.cmd.Process.Kill()
	<-a.ended
	a.cmd = nil
	a.unsure[a.last+1] = true
}

// finish lets the agent deliver what waits and end.
func (a *agent) finish(within time.Duration) error {
	a.stdin.Close()
	select {
	case err := <-a.ended:
		a.cmd = nil
		return err
	case <-time.After(within):
		return errors.New("the agent did not get rid of what it spooled")
	}
}

func (a *agent) newest() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}
