package ui

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// axeCore is the source of axe-core: in the folder PLIMSOLL_AXE, else in the cache that .ci/run fills. Without it the test is skipped,
// or fails where CI=true.
func axeCore(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("PLIMSOLL_AXE")
	if folder == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		folder = filepath.Join(cache, "plimsoll", "axe-core-4.14.1")
	}
	source, err := os.ReadFile(filepath.Join(folder, "axe.min.js"))
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no axe-core: %v (.ci/peers/axe/fetch.sh fetches it)", err)
		}
		t.Skipf("no axe-core: %v (.ci/peers/axe/fetch.sh fetches it)", err)
	}
	return string(source)
}

// violation is a rule of axe-core that a page breaks, and where.
type violation struct {
	ID, Impact, Help string
	Targets          []string
}

// axe runs axe-core in the page and fails the test for what it calls serious or critical. rules narrows it down; none means all of WCAG 2.1 A
// and AA and the best practices. It returns how many violations of less weight there are.
func (p *tab) axe(source, name string, rules ...string) (minor int) {
	p.t.Helper()
	if !p.truth(`window.axe`) {
		evaluate[bool](p, source+"; true")
	}
	options := map[string]any{"type": "tag", "values": []string{"wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"}}
	if len(rules) > 0 {
		options = map[string]any{"type": "rule", "values": rules}
	}
	only, _ := json.Marshal(options)
	found := evaluate[[]violation](p, fmt.Sprintf(`axe.run(document, {runOnly: %s, resultTypes: ['violations']}).then((r) => r.violations.map((v) =>
		({ID: v.id, Impact: v.impact, Help: v.help, Targets: v.nodes.slice(0, 5).map((n) => n.target.join(' ') + ' ' + n.html.slice(0, 120))})))`, only))
	for _, v := range found {
		if v.Impact == "serious" || v.Impact == "critical" {
			p.t.Errorf("%s: %s (%s): %s\n\t%s", name, v.ID, v.Impact, v.Help, strings.Join(v.Targets, "\n\t"))
			continue
		}
		minor++
		p.t.Logf("%s: %s (%s): %s %s", name, v.ID, v.Impact, v.Help, v.Targets)
	}
	return minor
}
