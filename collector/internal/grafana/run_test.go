package grafana

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/dashboards"
)

func TestAFailedRoundIsTriedAgainSoonThenSeldom(t *testing.T) {
	s := schedule{interval: 10 * time.Minute, jitter: func() float64 { return 0.999999 }}
	want := []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300}
	for i, seconds := range want {
		if got := s.next(false).Round(time.Second); got != seconds*time.Second {
			t.Errorf("pause %d is %s, want %s", i+1, got, seconds*time.Second)
		}
	}
	if got := s.next(true); got < 9*time.Minute || got > 11*time.Minute {
		t.Errorf("after a good round the pause is %s", got)
	}
	if got := s.next(false).Round(time.Second); got != time.Second {
		t.Errorf("the first pause after a good round is %s", got)
	}
	for range 100 {
		s.next(false)
	}
	if got := s.next(false); got > lastRetry {
		t.Errorf("after a hundred failures the pause is %s", got)
	}
}

func TestPausesOfManyCollectorsDiffer(t *testing.T) {
	low := schedule{interval: time.Hour, jitter: func() float64 { return 0 }}
	if got := low.next(false); got != 500*time.Millisecond {
		t.Errorf("the shortest first pause is %s", got)
	}
	if got := low.next(true); got != 54*time.Minute {
		t.Errorf("the shortest interval is %s", got)
	}
}

func TestBadConfigurationIsNamed(t *testing.T) {
	f := func(cfg Config, want string) {
		t.Helper()
		_, err := New(cfg, dashboards.FS(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", cfg, err, want)
		}
	}
	f(Config{}, "grafana.url")
	f(Config{URL: "grafana:3000"}, "grafana.url")
	f(Config{URL: "ftp://grafana"}, `grafana.url: "ftp://grafana" is not an absolute http or https URL`)
	f(Config{URL: "http://grafana:3000"}, "grafana.datasource-url")
	f(Config{URL: "http://grafana:3000", DatasourceURL: "http://c:9750", Interval: -1}, "negative")
}

func TestATokenFileThatIsNoneIsNamed(t *testing.T) {
	dir := t.TempDir()
	f := func(content, want string) {
		t.Helper()
		path := filepath.Join(dir, "token")
		if content == "absent" {
			path = filepath.Join(dir, "nowhere")
		} else if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := New(Config{URL: "http://127.0.0.1:1", TokenFile: path, DatasourceURL: "http://c:9750"}, dashboards.FS(),
			slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Publish(context.Background())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", content, err)
		}
		if len(r.Problems) != 1 || r.Problems[0].Reason != "token" {
			t.Errorf("%q: problems %+v", content, r.Problems)
		}
	}
	f("absent", "no such file")
	f("\n", "does not hold one token")
	f("two tokens", "does not hold one token")
}

func TestHistoryIsReadInBothForms(t *testing.T) {
	f := func(raw string, want int) {
		t.Helper()
		got, err := parseVersions([]byte(raw))
		if err != nil || len(got) != want || want > 0 && (got[0].Number != 3 || got[0].Message != "m" || got[0].By != "admin") {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	}
	f(`[{"version":3,"message":"m","createdBy":"admin"}]`, 1)
	f(` {"continueToken":"","versions":[{"version":3,"message":"m","createdBy":"admin"}]}`, 1)
	f(`[]`, 0)
	if _, err := parseVersions([]byte(`<html>`)); err == nil {
		t.Error("a page is read as a history")
	}
}

func TestJoinedErrorsAreOneLine(t *testing.T) {
	if got := oneLine(errors.Join(errors.New("a"), errors.New("b"))); got != "a; b" {
		t.Errorf("%q", got)
	}
	if got := oneLine(errors.New("a")); got != "a" {
		t.Errorf("%q", got)
	}
}
