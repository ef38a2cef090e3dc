package cgroup

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write the golden files anew")

// unpack writes the files of testdata/NAME.txtar, captured from a real machine, into a directory with "cgroup" and "proc" in it.
func unpack(tb testing.TB, name string) string {
	tb.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	for _, f := range archive.Files {
		write(tb, filepath.Join(dir, f.Name), string(f.Data))
	}
	return dir
}

func write(tb testing.TB, path, data string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		tb.Fatal(err)
	}
}

func detect(tb testing.TB, dir string) FS {
	tb.Helper()
	fs, err := Detect(filepath.Join(dir, "cgroup"), filepath.Join(dir, "proc"))
	if err != nil {
		tb.Fatal(err)
	}
	return fs
}

// onlyContainer is the one container of a fixture that has figures; the others are bare directories.
func onlyContainer(tb testing.TB, fs FS) Found {
	tb.Helper()
	usage := func(path string) string { return filepath.Join(fs.mounts[cpuacct], path, cpuUsageV1) }
	if fs.Version() == V2 {
		usage = func(path string) string { return filepath.Join(fs.mounts[unified], path, cpuUsageV2) }
	}
	var found []Found
	if err := fs.Walk(func(f Found) {
		if f.ID != "" && exists(usage(f.Path)) {
			found = append(found, f)
		}
	}); err != nil {
		tb.Fatal(err)
	}
	if len(found) != 1 {
		tb.Fatalf("containers with figures: %v, want one", found)
	}
	return found[0]
}

// faults counts what it is told, by "file reason".
type faults map[string]int

func (f faults) ReadFault(file, reason string) { f[file+" "+reason]++ }

// dump writes st as text, a line for each figure it has, in the order of the fields.
func dump(st *Stats) string {
	var b strings.Builder
	v := reflect.ValueOf(*st)
	bit := Has(1)
	has := func() bool {
		ok := st.Has&bit != 0
		bit <<= 1
		return ok
	}
	for i := 1; i < v.NumField(); i++ {
		name := v.Type().Field(i).Name
		switch f := v.Field(i).Interface().(type) {
		case time.Duration, uint64:
			if has() {
				fmt.Fprintln(&b, name, f)
			}
		case Pressure:
			if has() {
				fmt.Fprintln(&b, name, "some", f.Some)
			}
			if has() {
				fmt.Fprintln(&b, name, "full", f.Full)
			}
		case []IODevice:
			fmt.Fprintln(&b, name, "bytes", has(), "ops", has())
			for _, d := range f {
				without := fmt.Sprintf("%+v", IODevice{}) // of the cost controller, which is rarely on
				without = without[strings.Index(without, " Cost"):]
				fmt.Fprintf(&b, "%s %s\n", name, strings.Replace(fmt.Sprintf("%+v", d), without, "}", 1))
			}
		case []Interface:
			fmt.Fprintln(&b, name, has())
			for _, n := range f {
				fmt.Fprintf(&b, "%s %+v\n", name, n)
			}
		default:
			panic(name + " has a type that dump does not know")
		}
	}
	return b.String()
}

// golden compares got with testdata/NAME.golden.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		write(t, path, got)
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run with -update to accept\n%s", path, diff(string(want), got))
	}
}

// diff lists the lines that only one of the two texts has.
func diff(want, got string) string {
	var b strings.Builder
	only := func(mark, a, other string) {
		for l := range strings.Lines(a) {
			if !strings.Contains("\n"+other, "\n"+l) {
				b.WriteString(mark + l)
			}
		}
	}
	only("- ", want, got)
	only("+ ", got, want)
	return b.String()
}
