package catalog_test

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/agent/catalog"
)

var update = flag.Bool("update", false, "write METRICS.md")

func TestTheReferencePageIsUpToDate(t *testing.T) {
	const path = "../../METRICS.md"
	var page bytes.Buffer
	if err := catalog.WriteMarkdown(&page); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, page.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(committed, page.Bytes()) {
		t.Fatal("METRICS.md differs from the catalogue: run go generate ./agent/catalog")
	}
}

func TestEveryMetricIsDescribedAndNamedByConvention(t *testing.T) {
	closed := map[string]bool{}
	previous := ""
	seen := map[string]bool{}
	for _, id := range catalog.IDs() {
		m := catalog.Lookup(id)
		if m.Name == "" || m.Kind == "" || m.Unit == "" || m.Help == "" || m.V1 == "" || m.V2 == "" {
			t.Errorf("metric %d (%s) lacks a field", id, m.Name)
		}
		if m.Kind == catalog.Counter && !strings.HasSuffix(m.Name, "_total") && m.Name != "container_memory_failcnt" {
			t.Errorf("%s is a counter and does not end in _total", m.Name)
		}
		if m.Name != previous {
			if closed[m.Name] {
				t.Errorf("the members of %s do not stand together", m.Name)
			}
			closed[previous], previous = true, m.Name
		}
		key := m.Name
		for _, l := range m.Fixed {
			key += "," + l.Name + "=" + l.Value
		}
		if seen[key] {
			t.Errorf("%s is listed twice", key)
		}
		seen[key] = true
	}
}
