// Package deploy_test starts everything of this folder once for real: images, Compose file, systemd units, and the
// Kubernetes objects against a real API server.
package deploy_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// need skips the test with the reason when something it needs is absent; in CI absence is a failure.
func need(t *testing.T, there bool, reason string) {
	t.Helper()
	if there {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(reason + ", and CI=true")
	}
	t.Skip(reason)
}

func needProgram(t *testing.T, name string) {
	t.Helper()
	_, err := exec.LookPath(name)
	need(t, err == nil, "no "+name+" here")
}

func needDocker(t *testing.T) {
	t.Helper()
	needProgram(t, "docker")
	out, err := exec.Command("docker", "version", "--format", "{{.Server.Version}}").CombinedOutput()
	need(t, err == nil, "no dockerd answers: "+strings.TrimSpace(string(out)))
	keepNetworks(t)
}

// output runs a command and returns what it says; its failure fails the test.
func output(t *testing.T, environ []string, name string, args ...string) string {
	t.Helper()
	command := exec.Command(name, args...)
	command.Env = append(os.Environ(), environ...)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// makeTarget runs make in the top folder.
func makeTarget(t *testing.T, args ...string) {
	t.Helper()
	needProgram(t, "make")
	output(t, []string{"MAKEFLAGS="}, "make", append([]string{"-C", ".."}, args...)...)
}

// secrets makes a folder with token, viewer-token and tokens.yaml, the first by new-token.sh.
func secrets(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	output(t, nil, "./new-token.sh", folder)
	const viewer = "a viewer of the test"
	write(t, filepath.Join(folder, "viewer-token"), viewer)
	file, err := os.OpenFile(filepath.Join(folder, "tokens.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fmt.Fprintf(file, "- name: viewer\n  sha256: %x\n  scopes: [read]\n", sha256.Sum256([]byte(viewer)))
	// The collector's user must get to the file through the folder of the test.
	for at := folder; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// freePort is a TCP port of 127.0.0.1 that nobody had a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// eventually tries until it works; the last error is the failure.
func eventually(t *testing.T, within time.Duration, what string, try func() error) {
	t.Helper()
	began := time.Now()
	for {
		err := try()
		if err == nil {
			t.Logf("%s after %.1f s", what, time.Since(began).Seconds())
			return
		}
		if time.Since(began) > within {
			t.Fatalf("%s: not within %s: %v", what, within, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// ask gets a page; the error of an answer that is not 200 holds its status and text.
func ask(address, token string) (string, error) {
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %.200s", address, response.Status, body)
	}
	return string(body), err
}

// has is nil when the collector returns at least one series for the expression.
func has(collector, token, expression string) error {
	body, err := ask(collector+"/api/v1/query?"+url.Values{"query": {expression}}.Encode(), token)
	if err != nil {
		return err
	}
	var answer struct {
		Data struct{ Result []json.RawMessage }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return fmt.Errorf("answer %.200s: %w", body, err)
	}
	if len(answer.Data.Result) == 0 {
		return errors.New("no series of " + expression)
	}
	return nil
}

// keepNetworks holds off, until the test ends, tests of other packages that make the engine leave a Swarm: that cuts the
// published ports of running containers. They take the same lock alone.
func keepNetworks(t *testing.T) {
	t.Helper()
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "plimsoll-test-networks.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_SH); err != nil {
		t.Fatal(err)
	}
}
