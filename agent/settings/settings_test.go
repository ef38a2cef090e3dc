package settings_test

import (
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/agent/settings"
)

type values struct {
	dataDir string
	size    settings.Bytes
	keep    settings.Duration
	urls    settings.Strings
	builtin bool
}

func newSet(v *values) *settings.Set {
	s := settings.New("plimsoll-test", "PLIMSOLL_TEST")
	s.Flags().StringVar(&v.dataDir, "data-dir", "/var/lib/x", "directory")
	s.Flags().Var(&v.size, "spool.max-bytes", "size")
	s.Flags().Var(&v.keep, "retention", "how long")
	s.Flags().Var(&v.urls, "remote-write.url", "receiver")
	s.Flags().BoolVar(&v.builtin, "rules.builtin", true, "use the pack")
	return s
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	var v values
	path := write(t, "data-dir: file\nretention: 2w\nspool:\n  max-bytes: 1GiB\nremote-write.url: [http://a, http://b]\nrules.builtin: false\n")
	err := newSet(&v).Parse([]string{"--config", path, "--spool.max-bytes=64MiB"}, []string{"PLIMSOLL_TEST_RETENTION=90d", "PLIMSOLL_TEST_SPOOL_MAX_BYTES=1B", "OTHER=1"})
	if err != nil {
		t.Fatal(err)
	}
	if v.dataDir != "file" || v.size != 64<<20 || time.Duration(v.keep) != 90*24*time.Hour || v.urls.String() != "http://a,http://b" || v.builtin {
		t.Fatalf("got %+v", v)
	}
}

func TestEveryErrorNamesTheSourceAndWhatWouldBeRight(t *testing.T) {
	f := func(name string, args, environ []string, file string, want ...string) {
		t.Helper()
		if file != "" {
			args = append(args, "--config="+write(t, file))
		}
		var v values
		err := newSet(&v).Parse(args, environ)
		if err == nil {
			t.Fatalf("%s: no error", name)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not say %q", name, err, w)
			}
		}
	}
	f("unknown flag", []string{"--data-dri=x"}, nil, "", "--data-dri", "did you mean --data-dir?")
	f("unknown far flag", []string{"--zzz"}, nil, "", "--zzz", "--help")
	f("bad size", []string{"--spool.max-bytes=many"}, nil, "", "spool.max-bytes", "512MiB")
	f("bad variable", nil, []string{"PLIMSOLL_TEST_RETENTION=-1d"}, "", "PLIMSOLL_TEST_RETENTION", "90d")
	f("bad file value", nil, nil, "data-dir: x\nretention: soon\n", "config.yaml:2", "retention", "soon")
	f("unknown key", nil, nil, "data-dir: x\n\nretentoin: 1d\n", "config.yaml:3", "did you mean --retention?")
	f("list for a single", nil, nil, "data-dir: [a, b]\n", "config.yaml:1", "one value")
	f("set twice", nil, nil, "spool.max-bytes: 1\nspool:\n  max-bytes: 2\n", "config.yaml:3", "twice")
	f("not a mapping", nil, nil, "- a\n", "config.yaml:1")
	f("broken YAML", nil, nil, "a: [\n", "config.yaml")
	f("missing file", []string{"--config=/nowhere.yaml"}, nil, "", "/nowhere.yaml")
	f("stray argument", []string{"serve"}, nil, "", `"serve"`)
}

func TestHelpIsNotAnError(t *testing.T) {
	var v values
	s := newSet(&v)
	if err := s.Parse([]string{"-h"}, nil); !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("got %v", err)
	}
	var b strings.Builder
	s.Usage(&b)
	if !strings.Contains(b.String(), "--spool.max-bytes") || !strings.Contains(b.String(), "[PLIMSOLL_TEST_SPOOL_MAX_BYTES]") {
		t.Fatalf("usage lacks a flag or its variable:\n%s", b.String())
	}
}

func TestAnEmptyFileChangesNothing(t *testing.T) {
	var v values
	if err := newSet(&v).Parse([]string{"--config", write(t, "\n")}, nil); err != nil || v.dataDir != "/var/lib/x" {
		t.Fatalf("%v %+v", err, v)
	}
}

func TestCPUTimeIsANumberOfCPUsOrAShareOfTheMachines(t *testing.T) {
	f := func(text string, want float64) {
		t.Helper()
		var v settings.Cores
		if err := v.Set(text); err != nil || math.Abs(float64(v)-want) > 1e-9 {
			t.Errorf("%s is %v, %v; want %v", text, v, err, want)
		}
	}
	f("0.25", 0.25)
	f("2", 2)
	f("0", 0)
	f("5%", 0.05*float64(runtime.NumCPU()))
	for _, text := range []string{"", "-1", "half", "101%", "NaN", "Inf", "5 %"} {
		var v settings.Cores
		if err := v.Set(text); err == nil {
			t.Errorf("%q is taken as %v", text, v)
		}
	}
}
