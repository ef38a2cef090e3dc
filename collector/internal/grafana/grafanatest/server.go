// Package grafanatest runs a real Grafana 10 server for tests: on a port of its own, with data that is thrown away.
//
// The server is not part of the project (it is AGPL); .ci/run builds it from the Go module proxy into a cache folder.
// A test that needs it is skipped where it is absent, and fails there when CI=true.
package grafanatest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is one running Grafana, seen as one of its organisations.
type Server struct {
	URL   string // http://127.0.0.1:port
	OrgID int    // 1 is the one Grafana begins with
	names int    // how many things it has named

	start func(t testing.TB) // runs it, again after Stop
	stop  func()             // kills it
}

// Stop kills the server as a power cut does; Resume starts it again with the data it has written.
func (s *Server) Stop()               { s.stop() }
func (s *Server) Resume(t testing.TB) { t.Helper(); s.start(t) }

// Start runs a Grafana until the test ends. It costs two to six seconds.
func Start(t testing.TB) *Server {
	t.Helper()
	return StartWith(t, filepath.Join(t.TempDir(), "provisioning"))
}

// StartWith is Start with a folder of provisioning files.
func StartWith(t testing.TB, provisioning string) *Server {
	t.Helper()
	binary, home := find(t)
	data := t.TempDir()
	folders := []string{filepath.Join(data, "log"), filepath.Join(data, "plugins")}
	for _, kind := range []string{"datasources", "dashboards", "plugins", "notifiers", "alerting"} {
		folders = append(folders, filepath.Join(provisioning, kind))
	}
	for _, folder := range folders {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	port := freePort(t)
	config := filepath.Join(data, "grafana.ini")
	if err := os.WriteFile(config, []byte(ini(data, provisioning, port)), 0o644); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(data, "stdout.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	s := &Server{URL: "http://127.0.0.1:" + strconv.Itoa(port), OrgID: 1}
	s.start = func(t testing.TB) {
		t.Helper()
		cmd := exec.Command(binary, "server", "--homepath", home, "--config", config)
		cmd.Stdout, cmd.Stderr = log, log
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		begun, ended := make(chan error), make(chan struct{})
		go func() {
			// Pdeathsig comes when the thread that started it ends (golang.org/issue/27505): this one stays as long as Grafana.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			err := cmd.Start()
			begun <- err
			if err == nil {
				_ = cmd.Wait()
				close(ended)
			}
		}()
		if err := <-begun; err != nil {
			t.Fatalf("start Grafana: %v", err)
		}
		s.stop = func() { _ = cmd.Process.Kill(); <-ended }
		s.wait(t, ended, log.Name())
	}
	t.Cleanup(func() { s.stop() })
	s.start(t)
	return s
}

// find gives the binary and the folder with Grafana's defaults: PLIMSOLL_GRAFANA (the folder that holds both, or the
// binary), else the default cache.
func find(t testing.TB) (binary, home string) {
	t.Helper()
	where := os.Getenv("PLIMSOLL_GRAFANA")
	if where == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			absent(t, err.Error())
		}
		where = filepath.Join(cache, "plimsoll", "grafana-10.0.0-1")
	}
	if info, err := os.Stat(where); err == nil && info.IsDir() {
		where = filepath.Join(where, "grafana")
	}
	if _, err := exec.LookPath(where); err != nil {
		absent(t, fmt.Sprintf("no Grafana at %s: .ci/run builds one", where))
	}
	named, err := os.ReadFile(filepath.Join(filepath.Dir(where), "homepath"))
	if err != nil {
		absent(t, err.Error())
	}
	home = strings.TrimSpace(string(named))
	if _, err := os.Stat(filepath.Join(home, "conf", "defaults.ini")); err != nil {
		absent(t, fmt.Sprintf("Grafana's defaults are gone: %v", err))
	}
	return where, home
}

func absent(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func ini(data, provisioning string, port int) string {
	return fmt.Sprintf(`[paths]
data = %[1]s
logs = %[1]s/log
plugins = %[1]s/plugins
provisioning = %[2]s
[server]
http_addr = 127.0.0.1
http_port = %[3]d
[analytics]
reporting_enabled = false
check_for_updates = false
check_for_plugin_updates = false
[security]
admin_user = admin
admin_password = admin
disable_gravatar = true
angular_support_enabled = false
`, data, provisioning, port)
}

func (s *Server) wait(t testing.TB, ended <-chan struct{}, logFile string) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); {
		if resp, err := http.Get(s.URL + "/api/health"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-ended:
			said, _ := os.ReadFile(logFile)
			t.Fatalf("Grafana ended at its start:\n%s", tail(said))
		case <-time.After(100 * time.Millisecond):
		}
	}
	said, _ := os.ReadFile(logFile)
	t.Fatalf("Grafana did not come up in 90 s:\n%s", tail(said))
}

func tail(b []byte) []byte { return b[max(0, len(b)-2000):] }

// Do calls the API as the server's administrator and decodes the answer into out, which may be nil. It gives the
// status; the test fails only when there is no answer.
func (s *Server) Do(t testing.TB, method, path string, body, out any) int {
	t.Helper()
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequest(method, s.URL+path, payload)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("admin", "admin")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Grafana-Org-Id", strconv.Itoa(s.OrgID))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	return resp.StatusCode
}

func (s *Server) must(t testing.TB, method, path string, body, out any) {
	t.Helper()
	if status := s.Do(t, method, path, body, out); status != http.StatusOK && status != http.StatusCreated {
		t.Fatalf("%s %s: status %d", method, path, status)
	}
}
