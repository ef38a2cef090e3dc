package chaos_test

import (
	"bufio"
	"context"
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

	"github.com/plimsoll/plimsoll/agent/internal/ship"
	"github.com/plimsoll/plimsoll/agent/internal/spool"
	"github.com/plimsoll/plimsoll/agent/wire"
)

// The load: 20,000 samples in 10 s, in batches often enough that a kill at a random moment hits every step of one.
const (
	series      = 400
	batchEvery  = 200 * time.Millisecond
	stepMillis  = 200 // between the timestamps of two batches
	standInDir  = "PLIMSOLL_CHAOS_STAND_IN_DIR"
	standInURL  = "PLIMSOLL_CHAOS_STAND_IN_URL"
	standInFrom = "PLIMSOLL_CHAOS_STAND_IN_FROM"
	standInZero = "PLIMSOLL_CHAOS_STAND_IN_ZERO"
)

// valueOf is the one value that series i may have in batch k.
func valueOf(k, i int) float64 { return float64(k*series + i) }

func TestMain(m *testing.M) {
	if dir := os.Getenv(standInDir); dir != "" {
		if err := standIn(dir); err != nil {
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
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// built is the collector of this checkout, built once.
var built func() (path string, err error)

func buildCollector(path string) (string, error) {
	build := exec.Command("go", "build", "-o", path, "./collector")
	build.Dir = "../.."
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./collector: %w\n%s", err, text)
	}
	return path, nil
}

// standIn is an agent with the real spool and the real shipper that reads no container but counts. It prints "a K" once
// batch K is in the spool. When its standard input ends it counts no further, delivers what waits and ends.
func standIn(dir string) error {
	k, err := strconv.Atoi(os.Getenv(standInFrom))
	if err != nil {
		return err
	}
	zeroMillis, err := strconv.ParseInt(os.Getenv(standInZero), 10, 64)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	spooled, err := spool.Open(spool.Config{Dir: dir, Compress: true}, log, nil)
	if err != nil {
		return err
	}
	reader, err := spooled.Reader("collector")
	if err != nil {
		return err
	}
	shipper, err := ship.New(ship.Receiver{Name: "collector", URL: os.Getenv(standInURL), Timeout: time.Second, MinBackoff: 20 * time.Millisecond, MaxBackoff: 200 * time.Millisecond}, reader, log, nil)
	if err != nil {
		return err
	}
	ctx := context.Background()
	go spooled.Run(ctx)
	go shipper.Run(ctx)

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
	tick := time.NewTicker(batchEvery)
	for {
		select {
		case <-stop:
			for reader.Backlog().Samples > 0 {
				time.Sleep(20 * time.Millisecond)
			}
			return spooled.Close()
		case <-tick.C:
		}
		at := zeroMillis + int64(k)*stepMillis
		batch := wire.AppendSeries(nil, presence, 1, at)
		for i, l := range labels {
			batch = wire.AppendSeries(batch, l, valueOf(k, i), at)
		}
		if _, err := spooled.Append(batch, series+1); err != nil {
			return err
		}
		fmt.Printf("a %d\n", k)
		k++
	}
}

// agent is a stand-in that is started again and again on one spool.
type agent struct {
	t    *testing.T
	dir  string
	url  string
	zero int64

	cmd   *exec.Cmd
	stdin io.Closer
	ended chan error

	mu      sync.Mutex
	spooled map[int]bool // batches whose Append returned
	unsure  map[int]bool // that may be in the spool although nobody said so
	last    int
}

func newAgent(t *testing.T, url string) *agent {
	a := &agent{t: t, dir: t.TempDir(), url: url, zero: time.Now().Add(-10 * time.Second).UnixMilli(), spooled: map[int]bool{}, unsure: map[int]bool{}, last: -2}
	t.Cleanup(func() {
		if a.cmd != nil {
			a.kill()
		}
	})
	return a
}

func (a *agent) start() {
	a.t.Helper()
	self, err := os.Executable()
	if err != nil {
		a.t.Fatal(err)
	}
	a.cmd = exec.Command(self)
	a.cmd.Env = append(os.Environ(), standInDir+"="+a.dir, standInURL+"="+a.url, standInFrom+"="+strconv.Itoa(a.last+2), standInZero+"="+strconv.FormatInt(a.zero, 10))
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
			digits, ok := strings.CutPrefix(lines.Text(), "a ")
			if k, err := strconv.Atoi(digits); ok && err == nil {
				a.mu.Lock()
				a.spooled[k], a.last = true, k
				a.mu.Unlock()
			}
		}
		ended <- cmd.Wait()
	}(a.cmd, a.ended)
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
