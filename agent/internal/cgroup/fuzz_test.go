package cgroup

import (
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/tools/txtar"
)

// seed adds every file of that name in the captured machines to the corpus.
func seed(f *testing.F, names ...string) {
	f.Helper()
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		f.Fatalf("no fixtures: %v", err)
	}
	for _, a := range archives {
		archive, err := txtar.ParseFile(a)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			for _, name := range names {
				if path.Base(file.Name) == name {
					f.Add(file.Data)
				}
			}
		}
	}
}

// fuzzStat feeds a parser: it must not panic, must give the same twice, and must keep to the limits.
func fuzzStat(f *testing.F, parse func([]byte, *Stats) error, names ...string) {
	seed(f, names...)
	var again Stats
	f.Fuzz(func(t *testing.T, b []byte) {
		var st Stats
		err := parse(b, &st)
		again.reset()
		if err2 := parse(b, &again); err != err2 || dump(&st) != dump(&again) {
			t.Errorf("%v and %v:\n%s", err, err2, diff(dump(&st), dump(&again)))
		}
		if len(st.IO) > maxIODevices || len(st.Net) > maxInterfaces {
			t.Errorf("%d devices, %d interfaces", len(st.IO), len(st.Net))
		}
	})
}

func FuzzCPUAcctStat(f *testing.F)  { fuzzStat(f, parseCPUAcctStat, "cpuacct.stat") }
func FuzzCPUStat(f *testing.F)      { fuzzStat(f, parseCPUStat, "cpu.stat") }
func FuzzCPUMax(f *testing.F)       { fuzzStat(f, parseCPUMax, "cpu.max") }
func FuzzCFSQuota(f *testing.F)     { fuzzStat(f, parseCFSQuota, "cpu.cfs_quota_us") }
func FuzzCFSPeriod(f *testing.F)    { fuzzStat(f, parseCFSPeriod, "cpu.cfs_period_us") }
func FuzzCPUWeight(f *testing.F)    { fuzzStat(f, parseCPUWeight, "cpu.weight") }
func FuzzMemoryStatV1(f *testing.F) { fuzzStat(f, parseMemoryStatV1, "memory.stat") }
func FuzzMemoryStatV2(f *testing.F) { fuzzStat(f, parseMemoryStatV2, "memory.stat") }
func FuzzEvents(f *testing.F)       { fuzzStat(f, parseEvents, "memory.events", "memory.oom_control") }
func FuzzPIDsMax(f *testing.F)      { fuzzStat(f, parsePIDsMax, "pids.max") }
func FuzzReservation(f *testing.F)  { fuzzStat(f, parseReservation, "memory.min", "memory.low") }
func FuzzIOStat(f *testing.F)       { fuzzStat(f, parseIOStat, "io.stat") }
func FuzzBlkio(f *testing.F) {
	fuzzStat(f, parseBlkioBytes, "blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_serviced_recursive")
}
func FuzzPressure(f *testing.F) {
	fuzzStat(f, parseCPUPressure, "cpu.pressure", "memory.pressure", "io.pressure")
}
func FuzzNetDev(f *testing.F) {
	fuzzStat(f, func(b []byte, st *Stats) error {
		var names []string
		return parseNetDev(b, st, &names)
	}, "dev")
}

func FuzzCPUUsageUsec(f *testing.F) {
	seed(f, "cpu.stat")
	f.Fuzz(func(t *testing.T, b []byte) {
		usage, err := parseCPUUsageUsec(b)
		var st Stats
		if parseCPUStat(b, &st) == nil && st.Has&HasCPUUsage != 0 && strings.Count("\n"+string(b), "\nusage_usec ") == 1 && (err != nil || usage != st.CPUUsage) {
			t.Errorf("%v, %v; the full reading has %v", usage, err, st.CPUUsage)
		}
	})
}

// FuzzNumber compares with strconv.
func FuzzNumber(f *testing.F) {
	seed(f, "memory.current", "memory.max", "memory.limit_in_bytes", "cpuacct.usage", "pids.current")
	f.Add([]byte("18446744073709551615"))
	f.Add([]byte("18446744073709551616"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseNumber(b)
		want, wantErr := strconv.ParseUint(strings.TrimRight(string(b), " \n"), 10, 64)
		if (err == nil) != (wantErr == nil) || err == nil && got != want {
			t.Errorf("%q: %d, %v; strconv: %d, %v", b, got, err, want, wantErr)
		}
		if usage, err := parseCPUAcctUsage(b); err == nil && uint64(usage) != want {
			t.Errorf("%q: cpuacct.usage %d", b, usage)
		}
		if v, limited, err := parseLimit(b); err == nil && limited && v != want {
			t.Errorf("%q: limit %d", b, v)
		}
	})
}

// FuzzKeyed compares with a reader that is slow and plain.
func FuzzKeyed(f *testing.F) {
	seed(f, "memory.stat", "cpu.stat", "memory.events")
	f.Fuzz(func(t *testing.T, b []byte) {
		if strings.ContainsFunc(string(b), func(r rune) bool { return r != '\n' && r != ' ' && (unicode.IsSpace(r) || unicode.IsControl(r)) }) {
			return // the kernel writes none
		}
		lines := strings.SplitAfter(string(b), "\n")
		for rest := b; len(rest) > 0; lines = lines[1:] {
			var key []byte
			var v uint64
			var ok bool
			key, v, rest, ok = keyed(rest)
			wantKey, value, cut := strings.Cut(strings.TrimSuffix(lines[0], "\n"), " ")
			want, err := strconv.ParseUint(strings.TrimRight(value, " "), 10, 64)
			if wantOK := cut && err == nil && wantKey != ""; ok != wantOK || string(key) != wantKey || ok && v != want {
				t.Fatalf("line %q: %q %d %v; want %q %d %v", lines[0], key, v, ok, wantKey, want, wantOK)
			}
		}
	})
}

func FuzzLimit(f *testing.F) {
	fuzzStat(f, limit(HasMemoryLimit, func(st *Stats) *uint64 { return &st.MemoryLimitBytes }), "memory.max", "memory.limit_in_bytes", "memory.swap.max")
}

// FuzzNUMA holds the figures of v1 and v2 to their limit, and each node to one entry.
func FuzzNUMA(f *testing.F) {
	f.Add([]byte("total=3 N0=2 N1=1\nfile=2 N0=2 N1=0\nanon=1 N0=0 N1=1\nhierarchical_file=5 N0=5 N1=0\n"))
	f.Add([]byte("anon N0=4096 N1=0\nfile N0=8192\nunevictable N0=-1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v2 := range []bool{false, true} {
			kept := []NUMAPages{{Node: 7}}
			nodes, _ := parseNUMA(b, kept, v2)
			seen := map[uint64]bool{}
			for _, n := range nodes[1:] {
				if seen[n.Node] {
					t.Errorf("node %d twice", n.Node)
				}
				seen[n.Node] = true
			}
			if nodes[0] != kept[0] || len(nodes) > 1+maxNUMANodes {
				t.Errorf("%d nodes, the first %+v", len(nodes), nodes[0])
			}
		}
	})
}

// FuzzProcs reads a list of processes, of which none is below 1.
func FuzzProcs(f *testing.F) {
	seed(f, "cgroup.procs")
	f.Add([]byte("0\n12\n-1\n99999999999999999999\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if pid := (FS{proc: "/proc"}).oldest(b); pid < 0 {
			t.Errorf("process %d", pid)
		}
	})
}
