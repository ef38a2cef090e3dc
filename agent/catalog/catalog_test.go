package catalog_test

import (
	"bytes"
	"flag"
	"os"
	"slices"
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
		if m.Kind == catalog.Counter && !strings.HasSuffix(m.Name, "_total") && !strings.HasSuffix(m.Name, "_failcnt") {
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

func TestGroupsAreSwitchedByName(t *testing.T) {
	f := func(enable, disable, on, off string) {
		t.Helper()
		got, err := catalog.ParseGroups(strings.Fields(enable), strings.Fields(disable))
		if err != nil {
			t.Fatal(err)
		}
		for g := catalog.GroupCore; g <= catalog.GroupLayers; g++ {
			if slices.Contains(strings.Fields(on), g.String()) && !got.Has(g) || slices.Contains(strings.Fields(off), g.String()) && got.Has(g) {
				t.Errorf("enable=%q disable=%q: %s is %t", enable, disable, g, got.Has(g))
			}
		}
	}
	f("", "", "core cpu memory threads network diskio pressure process filesystem", "cpu_bursts memory_detail blkio pressure_peaks tcp sockets hugetlb schedstat layers")
	f("tcp layers", "pressure", "core cpu tcp layers", "pressure sockets")
	f("all", "", "core cpu memory_detail layers", "")
	f("", "all", "core", "cpu memory process filesystem")
	f("tcp", "tcp", "core", "tcp")
}

func TestAGroupThatDoesNotExistIsNamedWithThoseThatDo(t *testing.T) {
	f := func(enable, disable, want string) {
		t.Helper()
		_, err := catalog.ParseGroups(strings.Fields(enable), strings.Fields(disable))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("enable=%q disable=%q: %v", enable, disable, err)
		}
	}
	f("percpu", "", `--metrics.enable: no group is called "percpu"; there are core, cpu, memory,`)
	f("", "disk", `--metrics.disable: no group is called "disk"`)
	f("", "core", "can not be disabled")
}
