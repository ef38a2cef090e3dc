package notify_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/plimsoll/plimsoll/collector/internal/notify"
)

func silenceOf(project, by, comment string, lasts time.Duration) string {
	return fmt.Sprintf(`{"matchers":[{"name":"project","value":%q,"isRegex":false,"isEqual":true}],"startsAt":%q,"endsAt":%q,"createdBy":%q,"comment":%q}`,
		project, time.Now().Format(time.RFC3339), time.Now().Add(lasts).Format(time.RFC3339), by, comment)
}

// crash is what a kill -9 at this moment leaves on the disk.
func crash(t *testing.T, dir string) string {
	t.Helper()
	left := t.TempDir()
	for {
		err := os.CopyFS(left, os.DirFS(dir))
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		left = t.TempDir() // a snapshot took its name in the meantime
	}
	return left
}

// A snapshot every few seconds lost the silences of the last few.
func TestASilenceIsOnDiskWhenItsRequestIsAnswered(t *testing.T) {
	dir := t.TempDir()
	m, _, _ := open(t, notify.Config{DataDir: dir, SnapshotInterval: 2 * time.Millisecond}) // snapshots run all the time
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 25 {
				if status, body := call(t, m, http.MethodPost, "/api/v2/silences", silenceOf(fmt.Sprintf("p-%d-%d", w, i), "sre", "work", time.Hour)); status != http.StatusOK {
					t.Errorf("%d %s", status, body)
				}
			}
		})
	}
	writers.Wait()
	after, _, _ := open(t, notify.Config{DataDir: crash(t, dir)})
	_, body := call(t, after, http.MethodGet, "/api/v2/silences", "")
	for w := range 4 {
		for i := range 25 {
			if name := fmt.Sprintf(`"p-%d-%d"`, w, i); !strings.Contains(body, name) {
				t.Errorf("the silence of %s is lost", name)
			}
		}
	}
}

func TestAnExpiredSilenceStaysExpired(t *testing.T) {
	dir := t.TempDir()
	m, _, _ := open(t, notify.Config{DataDir: dir})
	_, body := call(t, m, http.MethodPost, "/api/v2/silences", silenceOf("shop", "sre", "work", time.Hour))
	id := strings.Split(body, `"`)[3]
	if status, body := call(t, m, http.MethodDelete, "/api/v2/silence/"+id, ""); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	after, _, _ := open(t, notify.Config{DataDir: crash(t, dir)})
	if _, body := call(t, after, http.MethodGet, "/api/v2/silence/"+id, ""); !strings.Contains(body, `"state":"expired"`) {
		t.Errorf("after the crash: %s", body)
	}
}

func TestWhatWasNotifiedIsNotNotifiedAgainAfterACrash(t *testing.T) {
	hook := newWebhook(t)
	cfg := notify.Config{ConfigFile: config(t, toWebhook(hook.URL)), DataDir: t.TempDir()}
	m, reg, _ := open(t, cfg)
	alert := oomAlert(time.Now().Add(time.Hour))
	put(t, m, alert)
	hook.next(t)
	eventually(t, func() error { // the webhook has answered, the log follows at once
		if sent, _ := counters(t, reg, "hook"); sent != 1 {
			return fmt.Errorf("%v sent", sent)
		}
		if info, err := os.Stat(filepath.Join(cfg.DataDir, "nflog")); err != nil || info.Size() == 0 {
			return fmt.Errorf("the log is empty: %v", err)
		}
		return nil
	})
	cfg.DataDir = crash(t, cfg.DataDir)
	m, _, _ = open(t, cfg)
	put(t, m, alert)
	select {
	case n := <-hook.got:
		t.Errorf("notified again: %+v", n)
	case <-time.After(500 * time.Millisecond):
	}
}

// A power cut may leave half a record. The whole ones before it count.
func TestHalfARecordAtTheEndCostsOnlyItself(t *testing.T) {
	dir := t.TempDir()
	m, _, _ := open(t, notify.Config{DataDir: dir})
	for _, project := range []string{"one", "two"} {
		call(t, m, http.MethodPost, "/api/v2/silences", silenceOf(project, "sre", "work", time.Hour))
	}
	for _, cut := range []int64{1, 40} {
		left := crash(t, dir)
		file := filepath.Join(left, "silences")
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, info.Size()-cut); err != nil {
			t.Fatal(err)
		}
		after, _, _ := open(t, notify.Config{DataDir: left})
		if _, body := call(t, after, http.MethodGet, "/api/v2/silences", ""); !strings.Contains(body, `"one"`) || strings.Contains(body, `"two"`) {
			t.Errorf("%d bytes short: %s", cut, body)
		}
	}
}

func TestASilenceNeedsAnOwnerAReasonAndAnEnd(t *testing.T) {
	m, _, _ := open(t, notify.Config{MaxSilence: 24 * time.Hour})
	for body, want := range map[string]string{
		silenceOf("p", " ", "work", time.Hour):      "createdBy must say who",
		silenceOf("p", "sre", "", time.Hour):        "comment must say why",
		silenceOf("p", "sre", "work", 48*time.Hour): "a silence may last 24h0m0s",
		"{": "silence: ",
	} {
		if status, answer := call(t, m, http.MethodPost, "/api/v2/silences", body); status != http.StatusBadRequest || !strings.Contains(answer, want) {
			t.Errorf("%s: %d %s", body, status, answer)
		}
	}
	if status, answer := call(t, m, http.MethodPost, "/api/v2/silences", silenceOf("p", "sre", "work", 23*time.Hour)); status != http.StatusOK {
		t.Errorf("%d %s", status, answer)
	}
}

// amtool of the Debian package is what people have at hand.
func TestAmtoolWorks(t *testing.T) {
	amtool, err := exec.LookPath("amtool")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("needs amtool (apt prometheus-alertmanager)")
	} else if err != nil {
		t.Skip("needs amtool (apt prometheus-alertmanager)")
	}
	m, _, _ := open(t, notify.Config{})
	server := newServer(t, m.Handler())
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(amtool, append(args, "--alertmanager.url="+server)...)
		var faults bytes.Buffer
		cmd.Stderr = &faults
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("amtool %s: %v\n%s", strings.Join(args, " "), err, faults.String())
		}
		return strings.TrimSpace(string(out))
	}
	put(t, m, fires(model.LabelSet{"alertname": "ContainerOOMKilled", "project": "shop"}))
	eventually(t, func() error {
		if out := run("alert", "query", "project=shop"); !strings.Contains(out, "ContainerOOMKilled") {
			return fmt.Errorf("alert query: %s", out)
		}
		return nil
	})
	id := run("silence", "add", "project=shop", "--author=sre", "--comment=work", "--duration=1h")
	if out := run("silence", "query", "project=shop"); !strings.Contains(out, id) || !strings.Contains(out, "sre") {
		t.Errorf("silence query: %s", out)
	}
	run("silence", "expire", id)
	if out := run("silence", "query"); strings.Contains(out, id) {
		t.Errorf("still there after expire: %s", out)
	}
	if out, err := exec.Command(amtool, "silence", "add", "project=shop", "--author=sre", "--comment=work", "--duration=9000h", "--alertmanager.url="+server).CombinedOutput(); err == nil {
		t.Errorf("a silence of a year is taken: %s", out)
	}
}

func newServer(t *testing.T, h http.Handler) string {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}
