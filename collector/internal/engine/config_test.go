package engine

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestEveryValueIsCheckedBeforeTheLibrarySeesIt(t *testing.T) {
	good := Config{DataDir: "d"}.withDefaults()
	if err := good.validate(); err != nil {
		t.Fatalf("the defaults are refused: %v", err)
	}
	for want, change := range map[string]func(*Config){
		"--data-dir":                func(c *Config) { c.DataDir = "" },
		"--retention=23h":           func(c *Config) { c.Retention = 23 * time.Hour },
		"outside 1d":                func(c *Config) { c.Retention = 200 * 365 * day },
		"--limit.engine-memory=1":   func(c *Config) { c.MemoryBytes = 1 },
		"more than half":            func(c *Config) { c.MemoryBytes = 1 << 60 },
		"--limit.free-disk":         func(c *Config) { c.MinFreeDiskBytes = -1 },
		"--limit.query-duration":    func(c *Config) { c.QueryDuration = time.Millisecond },
		"--limit.query-concurrency": func(c *Config) { c.QueryConcurrency = -1 },
		"--limit.query-scan=-1":     func(c *Config) { c.QueryScan = -1 },
		"--limit.query-series=-1":   func(c *Config) { c.QuerySeries = -1 },
		"--limit.query-samples=-1":  func(c *Config) { c.QuerySamples = -1 },

		"--limit.query-points=-1": func(c *Config) { c.QueryPoints = -1 },
		"--limit.query-length=-1": func(c *Config) { c.QueryLengthBytes = -1 },
		"--limit.query-memory=-1": func(c *Config) { c.QueryMemoryBytes = -1 },
	} {
		c := good
		change(&c)
		if err := c.validate(); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestADirectoryInUseNamesItsHolder(t *testing.T) {
	dir := t.TempDir()
	f, err := lockDataDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockDataDir(dir)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
	f.Close()
	f, err = lockDataDir(dir)
	if err != nil {
		t.Errorf("after the holder left: %v", err)
	}
	f.Close()
}

func TestADirectoryThatCanNotBeUsedIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), "/proc/nothing"} { // also as root
		if _, err := lockDataDir(dir); !errors.Is(err, ErrDataDir) || !strings.Contains(err.Error(), filepath.Dir(dir)) {
			t.Errorf("%s: got %v", dir, err)
		}
	}
}

func TestAPlaceThatRepeatsItselfIsSilencedAndCounted(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	b := newLogBridge(slog.New(slog.NewTextHandler(&out, nil)), func() time.Time { return now })
	write := func(line string) { b.Write([]byte(line)) }
	write("warn\tgithub.com/x/VictoriaMetrics@v1.150.0/lib/storage/storage.go:7\tdisk is slow\n")
	write("warn\tlib/storage/storage.go:7\tdisk is slow\n")
	write("info\tlib/storage/storage.go:9\tdetail\n")
	write("warn\tapp/vmselect/main.go:9\terror when executing query\n")
	now = now.Add(time.Minute)
	write("warn\tlib/storage/storage.go:7\tdisk is slow\n")
	want := "level=WARN msg=engine at=lib/storage/storage.go:7 message=\"disk is slow\"\nlevel=WARN msg=engine at=lib/storage/storage.go:7 message=\"disk is slow\" left_out=1\n"
	var got strings.Builder
	for line := range strings.Lines(out.String()) {
		_, rest, _ := strings.Cut(line, " ")
		got.WriteString(rest)
	}
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

func TestTheLibrarysTextIsRead(t *testing.T) {
	got := readState(strings.NewReader(`vm_rows_ignored_total{reason="big_timestamp"} 3
other 1
vm_rows_ignored_total{reason="small_timestamp"} 0
vm_cache_entries{type="storage/tsid"} 9
vm_cache_entries{type="storage/hour_metric_ids"} 17
vm_free_disk_space_bytes{path="/a b"} 1e9
vm_data_size_bytes{type="storage/small"} 5
vm_data_size_bytes{type="indexdb/file"} 6
`))
	want := state{activeSeries: 17, freeDiskBytes: 1e9, storedBytes: 11, ignored: map[string]float64{"big_timestamp": 3, "small_timestamp": 0}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
