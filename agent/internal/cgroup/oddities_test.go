package cgroup

import (
	"bytes"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// captured calls f with every file of the captured machines that some parser reads.
func captured(t *testing.T, f func(name string, read file, text []byte)) {
	t.Helper()
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, a := range archives {
		archive, err := txtar.ParseFile(a)
		if err != nil {
			t.Fatal(err)
		}
		files := filesV1()
		if strings.HasPrefix(filepath.Base(a), "v2") {
			files = filesV2()
		}
		for _, text := range archive.Files {
			for _, read := range files {
				if read.name == path.Base(text.Name) && !strings.Contains(text.Name, "unified") {
					f(filepath.Base(a)+": "+text.Name, read, text.Data)
				}
			}
		}
	}
}

func figures(parse func([]byte, *Stats) error, b []byte) ([]string, error) {
	text, err := stat(parse, string(b))
	return strings.Split(text, "; "), err
}

// derived figures need several lines, or come with another of the same line.
func derived(figure string) bool {
	return strings.HasPrefix(figure, "MemoryUnreclaimable") || strings.Contains(figure, "PageFaultsTree")
}

func TestAKeyThatIsMissingCostsItsOwnFigureAlone(t *testing.T) {
	lines := 0
	captured(t, func(name string, read file, text []byte) {
		whole, bad := figures(read.parse, text)
		split := bytes.SplitAfter(text, []byte("\n"))
		if bad != nil || len(split) < 3 || strings.HasPrefix(read.name, "blkio") || read.name == "io.stat" {
			return // one figure, or a device a line
		}
		for i := range split {
			without, err := figures(read.parse, bytes.Join(slices.Concat(split[:i], split[i+1:]), nil))
			if err != nil {
				t.Errorf("%s without %q: %v", name, split[i], err)
			}
			lost := 0
			for _, figure := range whole {
				if !slices.Contains(without, figure) && !derived(figure) {
					lost++
				}
			}
			if lost > 1 {
				t.Errorf("%s without %q has %q, with it %q", name, split[i], without, whole)
			}
			lines++
		}
	})
	if lines < 300 {
		t.Errorf("only %d lines were left out in turn", lines)
	}
}

func TestAKeyThatIsNewChangesNothing(t *testing.T) {
	captured(t, func(name string, read file, text []byte) {
		if !bytes.Contains(text, []byte(" ")) || strings.HasSuffix(read.name, ".pressure") || strings.HasPrefix(read.name, "blkio") || read.name == "cpu.max" || read.name == "io.stat" {
			return // no keys
		}
		want, wantErr := figures(read.parse, text)
		for _, more := range []string{"thp_of_tomorrow 18446744073709551615\n", "zswap_x 0\n"} {
			for _, b := range [][]byte{slices.Concat([]byte(more), text), slices.Concat(text, []byte(more))} {
				if got, err := figures(read.parse, b); !slices.Equal(got, want) || err != wantErr {
					t.Errorf("%s with %q: %q, %v; want %q, %v", name, more, got, err, want, wantErr)
				}
			}
		}
	})
}

// A kernel that writes -1, max, nothing or too much where a count should be gives no figure, never a false 0 or a number near 2^64.
func TestAValueThatIsNoCountIsNoFigure(t *testing.T) {
	none := []string{"", "-1\n", "-5\n", "-0\n", "+1\n", "1.5\n", "0x10\n", "18446744073709551616\n", "12 34\n", "\x00\x00\n", "NaN\n"}
	for _, files := range [][]file{filesV1(), filesV2()} {
		for _, read := range files {
			for _, value := range none {
				if read.name == "cpu.max" && value == "12 34\n" || (strings.HasPrefix(read.name, "blkio") || read.name == "io.stat") && value == "" {
					continue // a good one; no device
				}
				if got, _ := figures(read.parse, []byte(value)); got[0] != "" {
					t.Errorf("%s of %q is %q", read.name, value, got)
				}
			}
		}
	}
	for _, files := range [][]file{filesV1(), filesV2()} {
		for _, read := range files {
			if got, err := figures(read.parse, []byte("max\n")); read.name == "pids.max" && (got[0] != "" || err != nil) {
				t.Errorf("pids.max without a limit is %q, %v", got, err)
			}
		}
	}
	keys := map[string]func([]byte, *Stats) error{"nr_periods": parseCPUStat, "usage_usec": parseCPUStat, "user": parseCPUAcctStat, "anon": parseMemoryStatV2, "rss": parseMemoryStatV1, "oom_kill": parseEvents}
	for key, parse := range keys {
		for _, value := range none {
			if got, err := figures(parse, []byte(key+" "+strings.TrimSuffix(value, "\n")+"\n")); got[0] != "" || err == nil {
				t.Errorf("%s %q is %q, %v; want a fault and no figure", key, value, got, err)
			}
		}
	}
}

// What comes by device, interface, page size or NUMA node: a value that is no count costs its figure, and never becomes a 0, which a counter
// would come back from as a burst.
func TestAValueThatIsNoCountIsNoFigureOfADeviceEither(t *testing.T) {
	for _, value := range []string{"-1", "max", "", "1.5", "18446744073709551616"} {
		var st Stats
		if err := parseIOStat([]byte("254:0 rbytes="+value+" wbytes=2 rios=3 wios=4\n8:0 rbytes=1 wbytes=2 rios=3 wios=4\n"), &st); err == nil || st.Has&(HasIOBytes|HasIOOps) != 0 {
			t.Errorf("io.stat with %q: %b, %v", value, st.Has, err)
		}
		st = Stats{}
		if err := parseBlkioBytes([]byte("8:0 Read "+value+"\n8:0 Write 5\n"), &st); err == nil || st.Has&HasIOBytes != 0 {
			t.Errorf("blkio with %q: %b, %v", value, st.Has, err)
		}
		st = Stats{}
		var names []string
		if err := parseNetDev([]byte("\n\neth0: "+value+" 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\neth1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"), &st, &names); err == nil || len(st.Net) != 1 || st.Net[0].Name != "eth1" {
			t.Errorf("net/dev with %q: %v, %v", value, st.Net, err)
		}
		for _, v2 := range []bool{false, true} {
			text := "anon=" + value + " N0=" + value + "\nfile=1 N0=4096\n"
			if v2 {
				text = "anon N0=" + value + "\nfile N0=4096\n"
			}
			nodes, err := parseNUMA([]byte(text), nil, v2)
			if err == nil || len(nodes) != 1 || nodes[0].Has&(HasNUMAAnon|HasNUMAAnonTree) != 0 || nodes[0].Has&(HasNUMAFile|HasNUMAFileTree) == 0 {
				t.Errorf("memory.numa_stat with %q: %+v, %v", value, nodes, err)
			}
		}
		_, g := small(t, true, map[string]string{"docker/" + idA + "/hugetlb.2MB.current": "4096\n", "docker/" + idA + "/hugetlb.2MB.events": "max " + value + "\n"})
		if pages, err := g.HugePages(nil, make([]byte, minBuffer)); err != nil || len(pages) != 1 || pages[0].HasFailcnt || pages[0].UsageBytes != 4096 {
			t.Errorf("hugetlb with %q: %+v, %v", value, pages, err)
		}
		_, g = small(t, false, map[string]string{"hugetlb/cgroup.procs": "", "hugetlb/docker/" + idA + "/hugetlb.2MB.usage_in_bytes": "4096\n", "hugetlb/docker/" + idA + "/hugetlb.2MB.failcnt": value + "\n",
			"hugetlb/docker/" + idA + "/hugetlb.2MB.max_usage_in_bytes": value + "\n"})
		if pages, err := g.HugePages(nil, make([]byte, minBuffer)); err != nil || len(pages) != 1 || pages[0].HasFailcnt || pages[0].HasMax || pages[0].UsageBytes != 4096 {
			t.Errorf("hugetlb of v1 with %q: %+v, %v", value, pages, err)
		}
	}
}

func TestPressureOfTomorrowIsReadAsFarAsItIsKnown(t *testing.T) {
	const some, full = "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", "full avg10=0.00 avg60=0.00 avg300=0.00 total=3\n"
	for _, read := range filesPressure() {
		want, err := figures(read.parse, []byte(some+full))
		if err != nil || len(want) < 2 {
			t.Fatalf("%s: %q, %v", read.name, want, err)
		}
		for _, text := range []string{full + some, "most avg10=0.00 total=9\n" + some + full, some + "\n" + full, "some avg10=0.00 avg5=1.00 total=7\n" + full, "some avg10=0.00 total=7 worst=9\n" + full} {
			if got, err := figures(read.parse, []byte(text)); !slices.Equal(got, want) || err != nil {
				t.Errorf("%s of %q: %q, %v; want %q", read.name, text, got, err, want)
			}
		}
		for _, value := range []string{"-1", "max", "", "x"} {
			if got, err := figures(read.parse, []byte("some avg10=0.00 total="+value+"\n"+full)); err == nil || len(got) >= len(want) {
				t.Errorf("%s with %q: %q, %v", read.name, value, got, err)
			}
		}
		if got, err := figures(read.parse, []byte(some)); err != nil || len(got) >= len(want) {
			t.Errorf("%s of a kernel without full: %q, %v", read.name, got, err)
		}
	}
}
