package main

import (
	"flag"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/collector/internal/access"
)

// TestTheTableOfLimitsIsTrue: README.md lists every flag of a limit, with its default.
func TestTheTableOfLimitsIsTrue(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ([0-9A-Za-z]+) \\| ").FindAllStringSubmatch(string(text), -1) {
		listed["limit."+row[1]] = row[2]
	}
	cfg := defaults()
	cfg.flags().Flags().VisitAll(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "limit.") {
			return
		}
		if want, ok := listed[f.Name]; !ok || want != f.DefValue {
			t.Errorf("--%s has the default %s, README.md says %q", f.Name, f.DefValue, want)
		}
		delete(listed, f.Name)
	})
	for name := range listed {
		t.Errorf("README.md lists --%s, which there is not", name)
	}
}

// TestTheTokensOfTheReadmeAreGood: the example is one that the collector takes.
func TestTheTokensOfTheReadmeAreGood(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(text), "```yaml\n")
	example, _, found := strings.Cut(example, "```")
	if !found {
		t.Fatal("README.md has no example")
	}
	file := t.TempDir() + "/tokens.yaml"
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(example, "certificate: [grafana.ops.example]", "sha256: "+strings.Repeat("ab", 32))), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := access.New(access.Config{Listen: "127.0.0.1:0", TokensFile: file}, slog.New(slog.DiscardHandler), prometheus.NewRegistry()); err != nil {
		t.Error(err)
	}
}
