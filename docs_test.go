package plimsoll_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pages returns the text of every Markdown page of the project by its path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == ".git" || d.Name() == "data" || d.Name() == "bin" || d.Name() == "testdata") {
			if err == nil {
				err = filepath.SkipDir
			}
			return err
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		pages[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// TestPagesLinkToWhatIsThere: a relative link of a page leads to a file or folder of the project.
func TestPagesLinkToWhatIsThere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)
	checked := 0
	for page, text := range pages(t) {
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			target := found[1]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "/") {
				continue // outside, or a path of the collector
			}
			checked++
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), target)); err != nil {
				t.Errorf("%s links to %s: %v", page, target, err)
			}
		}
	}
	if checked == 0 {
		t.Error("no relative link found: the check looks at nothing")
	}
}

// TestPagesNameCommandsThatExist: a make target or flag that a page names in backticks is one of the Makefile or of a program.
func TestPagesNameCommandsThatExist(t *testing.T) {
	makefile := read(t, "Makefile")
	var sources strings.Builder
	for _, pattern := range []string{"agent/*.go", "agent/settings/*.go", "collector/*.go", "collector/internal/*/*.go", "deploy/run/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				sources.WriteString(read(t, file))
			}
		}
	}
	code := sources.String()
	target := regexp.MustCompile("`make ([a-z0-9-]+)")
	flag := regexp.MustCompile("`[^`\n]*`")
	name := regexp.MustCompile(`(?:^|[\s` + "`" + `(])--([a-z][a-z0-9.-]*[a-z0-9])`)
	for page, text := range pages(t) {
		for _, found := range target.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(makefile, "\n"+found[1]+":") {
				t.Errorf("%s names `make %s`: the Makefile has no such target", page, found[1])
			}
		}
		for _, quoted := range flag.FindAllString(text, -1) {
			if foreign(quoted) {
				continue
			}
			for _, found := range name.FindAllStringSubmatch(quoted, -1) {
				if !isDockers(found[1]) && !strings.Contains(code, `"`+found[1]+`"`) && !strings.Contains(code, `"`+found[1]+`.`) {
					t.Errorf("%s names the flag --%s in %s: no program has it", page, found[1], quoted)
				}
			}
		}
	}
}

// isDockers tells whether a flag that a runbook names without its command is one of docker run.
func isDockers(flag string) bool {
	return flag == "pid" || flag == "device-write-bps" || flag == "ulimit" || flag == "pids-limit" || strings.HasPrefix(flag, "health-")
}

// foreign tells whether a quoted command is another program's.
func foreign(quoted string) bool {
	for _, program := range []string{"docker ", "kubectl ", "amtool ", "promtool ", "systemctl ", "grafana", "prometheus ", "chromium", "curl ", "git ", "journalctl "} {
		if strings.Contains(quoted, program) {
			return true
		}
	}
	return false
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
