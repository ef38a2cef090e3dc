package mapfile

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/plimsoll/plimsoll/agent/projectmap"
)

const good = "rules: [{match: {name: a}, project: payments, contact: oncall}]\nprojects: {payments: {team: money}}\n"

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "map.yaml")
	write(t, path, text)
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func get(f *File, target, etag string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

func TestTheMapIsServedWithItsHash(t *testing.T) {
	f := open(t, file(t, good))
	w := get(f, "/api/project-map", "")
	etag := w.Header().Get("ETag")
	if w.Code != 200 || w.Body.String() != good || len(etag) != 18 || w.Header().Get(projectmap.HashHeader) != strings.Trim(etag, `"`) || w.Header().Get("Content-Type") != "application/yaml" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := get(f, "/api/project-map", etag); w.Code != 304 || w.Body.Len() > 0 || w.Header().Get(projectmap.HashHeader) == "" {
		t.Errorf("the same again: %d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := get(f, "/api/project-map", `"other"`); w.Code != 200 {
		t.Errorf("another version: %d", w.Code)
	}
	if w := get(f, "/api/project-map?format=json", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `{"project":"payments","team":"money","contact":"oncall"}`) {
		t.Errorf("as JSON: %d %s", w.Code, w.Body)
	}
	r := httptest.NewRecorder()
	f.ServeHTTP(r, httptest.NewRequest(http.MethodPost, "/api/project-map", nil))
	if r.Code != 405 || r.Header().Get("Allow") == "" {
		t.Errorf("POST: %d", r.Code)
	}
	if n := testutil.ToFloat64(f.served.WithLabelValues("304")); n != 1 {
		t.Errorf("%v answers 304 counted", n)
	}
	if team, _, contact := f.Owner("payments"); team != "money" || contact != "oncall" {
		t.Errorf("owner %q %q", team, contact)
	}
}

func TestWithoutAMapTheAnswerSaysSo(t *testing.T) {
	f := open(t, "")
	if w := get(f, "/api/project-map", ""); w.Code != 404 || w.Header().Get(projectmap.HashHeader) != projectmap.NoMap {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if err := f.Reload(); err != nil {
		t.Error(err)
	}
	if _, _, contact := f.Owner("x"); contact != "" {
		t.Errorf("contact %q", contact)
	}
}

func TestABrokenFileDoesNotStartAndDoesNotReplaceAGoodOne(t *testing.T) {
	for sentence, text := range map[string]string{"an unknown field": "rules:\n- {match: {name: a}, projekt: x}\n", "a failing test": good + "tests: [{given: {name: a}, project: b}]\n", "nothing": ""} {
		path := file(t, text)
		_, err := Open(path, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err == nil || !strings.Contains(err.Error(), "--project-map: "+path+":") {
			t.Errorf("%s: %v", sentence, err)
		}
		f := open(t, file(t, good))
		write(t, f.path, text)
		if err := f.Reload(); err == nil || !strings.Contains(err.Error(), f.path+":") {
			t.Errorf("%s: %v", sentence, err)
		}
		if get(f, "/", "").Body.String() != good || testutil.ToFloat64(f.valid) != 0 {
			t.Errorf("%s: the good one is gone, or said to be good still", sentence)
		}
		write(t, f.path, good+"# better\n")
		if err := f.Reload(); err != nil || get(f, "/", "").Body.String() != good+"# better\n" || testutil.ToFloat64(f.valid) != 1 {
			t.Errorf("%s: not put right: %v", sentence, err)
		}
	}
	if _, err := Open("/nowhere/map.yaml", slog.New(slog.DiscardHandler), prometheus.NewRegistry()); err == nil {
		t.Error("no file, no error")
	}
}

func TestCheckSaysWhatAMapIsWorth(t *testing.T) {
	var out bytes.Buffer
	path := file(t, "rules:\n- {match: {name: '*'}, project: a}\n- {match: {name: x}, project: b}\ntests:\n- {given: {name: x}, project: b}\n")
	err := Check(&out, path)
	if !errors.Is(err, ErrTests) || !strings.Contains(err.Error(), path+":5: test fails") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(out.String(), "2 rules, 1 tests") || !strings.Contains(out.String(), "warning: "+path+":3: ") {
		t.Errorf("printed %s", out.String())
	}
	if err := Check(&out, file(t, "x: y")); err == nil || errors.Is(err, ErrTests) {
		t.Errorf("got %v", err)
	}
	if err := Check(&out, file(t, good)); err != nil {
		t.Error(err)
	}
}
