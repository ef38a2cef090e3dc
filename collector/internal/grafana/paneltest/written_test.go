package paneltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/klauspost/compress/snappy"

	"github.com/plimsoll/plimsoll/collector/internal/grafana"
	"github.com/plimsoll/plimsoll/dashboards"
)

// TestEveryPanelHasDataAsWritten starts the built collector for each runtime, sends by remote write what its nodes send, and asks
// for every panel by HTTP. Only the pace of the recording rules is another: every second instead of every few minutes.
func TestEveryPanelHasDataAsWritten(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "plimsoll-collector")
	build := exec.Command("go", "build", "-o", binary, "./collector")
	build.Dir = "../../../.."
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the collector: %v\n%s", err, text)
	}
	for runtime, world := range map[string]func(time.Time) *World{"plain Docker": Docker, "Swarm": Swarm, "Kubernetes": Kubernetes} {
		url := run(t, binary) // all of them now: recorded series build on each other, and the engine shows each only seconds later
		w := world(time.Now().Truncate(time.Second).Add(-3 * time.Minute))
		if err := send(t.Context(), url, w.Series(time.Now(), 5*time.Second)); err != nil {
			t.Fatal(err)
		}
		t.Run(runtime, func(t *testing.T) {
			t.Parallel()
			var said strings.Builder
			eventually(t, func() error {
				if err := send(t.Context(), url, w.Series(time.Now(), 5*time.Second)); err != nil {
					return err
				}
				said.Reset()
				return grafana.CheckAgainst(t.Context(), dashboards.FS(), url, "", &said)
			}, &said)
			if !strings.HasPrefix(said.String(), runtime+", ") || strings.Count(said.String(), " queries") != 10 {
				t.Errorf("it says\n%s", &said)
			}
		})
	}
}

// run starts a collector until the test ends and gives its URL.
func run(t *testing.T, binary string) string {
	t.Helper()
	rules := t.TempDir()
	for name, file := range Recording(t) {
		if err := os.WriteFile(filepath.Join(rules, name), file.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.Command(binary, "--listen="+address, "--data-dir="+t.TempDir(), "--rules.builtin=false", "--rules="+filepath.Join(rules, "*.yaml"))
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the collector said:\n%s", log.String())
		}
	})
	url := "http://" + address
	eventually(t, func() error {
		resp, err := http.Get(url + "/-/ready")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	}, &log)
	return url
}

// send writes series by remote write 1.0.
func send(ctx context.Context, url string, series []prompb.TimeSeries) error {
	body := (&prompb.WriteRequest{Timeseries: series}).MarshalProtobuf(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/v1/write", bytes.NewReader(snappy.Encode(nil, body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("remote write: %s: %.300s", resp.Status, text)
	}
	return nil
}

func eventually(t *testing.T, try func() error, said fmt.Stringer) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Second) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("not within two minutes: %v\n%s", err, said)
}
