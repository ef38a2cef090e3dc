package cgroup

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestParseNumber(t *testing.T) {
	f := func(in string, want uint64, ok bool) {
		t.Helper()
		got, err := parseNumber([]byte(in))
		if (err == nil) != ok || got != want {
			t.Errorf("%q: %d, %v; want %d, ok %v", in, got, err, want, ok)
		}
	}
	f("0\n", 0, true)
	f("2260992\n", 2260992, true)
	f("7", 7, true)
	f("9223372036854771712\n", 9223372036854771712, true)
	f("18446744073709551615\n", math.MaxUint64, true)
	f("00000000000000000000000001\n", 1, true)
	f("18446744073709551616\n", 0, false)
	f("99999999999999999999\n", 0, false)
	f("", 0, false)
	f("\n", 0, false)
	f("-1\n", 0, false)
	f("1 2\n", 0, false)
	f("1x", 0, false)
	f("max\n", 0, false)
}

func TestParseLimit(t *testing.T) {
	f := func(in string, want uint64, limited, ok bool) {
		t.Helper()
		got, isLimited, err := parseLimit([]byte(in))
		if (err == nil) != ok || got != want || isLimited != limited {
			t.Errorf("%q: %d %v, %v; want %d %v, ok %v", in, got, isLimited, err, want, limited, ok)
		}
	}
	f("max\n", 0, false, true)
	f("50\n", 50, true, true)
	f("0\n", 0, true, true)
	f("maximum\n", 0, false, false)
	f("", 0, false, false)
}

// stat runs a parser on a Stats that holds nothing and gives what it then has as text.
func stat(parse func([]byte, *Stats) error, in string) (string, error) {
	var st Stats
	err := parse([]byte(in), &st)
	var lines []string
	for l := range strings.Lines(dump(&st)) {
		if !strings.HasPrefix(l, "IO bytes") && !strings.HasPrefix(l, "Net ") {
			lines = append(lines, strings.TrimSpace(l))
		}
	}
	return strings.Join(lines, "; "), err
}

func TestParsersGiveWhatIsThereAndOnlyThat(t *testing.T) {
	f := func(name string, parse func([]byte, *Stats) error, in, want string, ok bool) {
		t.Helper()
		got, err := stat(parse, in)
		if got != want || (err == nil) != ok {
			t.Errorf("%s of %q:\n got %q, %v\nwant %q, ok %v", name, in, got, err, want, ok)
		}
	}
	f("cpuacct.stat", parseCPUAcctStat, "user 155\nsystem 9\n", "CPUUser 1.55s; CPUSystem 90ms", true)
	f("cpuacct.stat", parseCPUAcctStat, "user x\nsystem 9\n", "CPUSystem 90ms", false)
	f("cpuacct.stat", parseCPUAcctStat, "user 99999999999999999\n", "", false) // 31 million years

	f("cpu.stat v1", parseCPUStat, "nr_periods 82\nnr_throttled 81\nthrottled_time 6376497213\nnr_bursts 2\nburst_time 5\n",
		"CPUPeriods 82; CPUThrottledPeriods 81; CPUThrottled 6.376497213s; CPUBursts 2; CPUBurst 5ns", true)
	f("cpu.stat v2", parseCPUStat, "usage_usec 7\nuser_usec 5\nsystem_usec 2\nnice_usec 0\ncore_sched.force_idle_usec 0\nnr_periods 1\nnr_throttled 1\nthrottled_usec 3\nnr_bursts 0\nburst_usec 0\n",
		"CPUUsage 7µs; CPUUser 5µs; CPUSystem 2µs; CPUPeriods 1; CPUThrottledPeriods 1; CPUThrottled 3µs; CPUBursts 0; CPUBurst 0s", true)
	f("cpu.stat of the unified tree", parseCPUStat, "usage_usec 392997093\nuser_usec 391669808\nsystem_usec 1327285\nnice_usec 0\n",
		"CPUUsage 6m32.997093s; CPUUser 6m31.669808s; CPUSystem 1.327285s", true)
	f("cpu.stat without line end", parseCPUStat, "nr_periods 82", "CPUPeriods 82", true)
	f("cpu.stat, empty", parseCPUStat, "", "", true)
	f("cpu.stat, a key alone", parseCPUStat, "nr_periods\nnr_throttled 4\n", "CPUThrottledPeriods 4", false)
	f("cpu.stat, the last line of a figure decides, also a bad one", parseCPUStat, "nr_periods 1\nnr_periods -\n", "", false)

	f("cpu.cfs_quota_us", parseCFSQuota, "20000\n", "CPUQuota 20ms", true)
	f("cpu.cfs_quota_us, none", parseCFSQuota, "-1\n", "", true)
	f("cpu.cfs_quota_us, bad", parseCFSQuota, "-12\n", "", false)
	f("cpu.cfs_period_us", parseCFSPeriod, "100000\n", "CPUPeriod 100ms", true)
	f("cpu.max", parseCPUMax, "20000 100000\n", "CPUQuota 20ms; CPUPeriod 100ms", true)
	f("cpu.max, none", parseCPUMax, "max 100000\n", "CPUPeriod 100ms", true)
	f("cpu.max, bad quota", parseCPUMax, "x 100000\n", "", false)
	f("cpu.max, one field", parseCPUMax, "20000\n", "", false)
	f("cpu.weight", parseCPUWeight, "100\n", "CPUShares 2597", true) // as cAdvisor
	f("cpu.weight", parseCPUWeight, "1\n", "CPUShares 2", true)
	f("cpu.weight", parseCPUWeight, "10000\n", "CPUShares 262144", true)
	f("cpu.weight, cpu.idle set", parseCPUWeight, "0\n", "", true)
	f("cpu.weight", parseCPUWeight, "10001\n", "", false)

	f("memory.stat v1, the tree wins over the cgroup alone", parseMemoryStatV1,
		"cache 1\nrss 2\nshmem 3\npgfault 4\npgmajfault 5\ntotal_cache 10\ntotal_rss 20\ntotal_shmem 30\ntotal_pgfault 40\ntotal_pgmajfault 50\n",
		"MemoryRSSBytes 20; MemoryCacheBytes 10; MemoryShmemBytes 30; MemoryUnreclaimableBytes 50; PageFaults 4; PageFaultsTree 40; MajorPageFaults 5; MajorPageFaultsTree 50", true)
	f("memory.stat v1, a bad total does not leave the plain figure", parseMemoryStatV1, "rss 2\ncache 1\ntotal_rss x\n", "MemoryCacheBytes 1", false)
	f("memory.stat v1, without shmem the unreclaimable part is unknown", parseMemoryStatV1, "total_rss 20\n", "MemoryRSSBytes 20", true)
	f("memory.stat v2", parseMemoryStatV2, "anon 10\nfile 5\nkernel 100\nshmem 1\nslab_reclaimable 30\nslab_unreclaimable 50\n",
		"MemoryRSSBytes 10; MemoryCacheBytes 5; MemoryKernelBytes 100; MemoryShmemBytes 1; MemoryUnreclaimableBytes 81", true)
	f("memory.stat v2 before Linux 5.18", parseMemoryStatV2, "anon 10\nkernel_stack 3\npagetables 2\npercpu 1\nshmem 1\nslab_reclaimable 30\nslab_unreclaimable 50\n",
		"MemoryRSSBytes 10; MemoryShmemBytes 1; MemoryUnreclaimableBytes 67", true)
	f("memory.stat v2, reclaimable slab unknown", parseMemoryStatV2, "anon 10\nkernel 100\nshmem 1\nslab_reclaimable ?\n",
		"MemoryRSSBytes 10; MemoryKernelBytes 100; MemoryShmemBytes 1", false)
	f("memory.stat v2, more slab than kernel: read at two moments", parseMemoryStatV2, "anon 10\nkernel 1\nshmem 1\nslab_reclaimable 30\n",
		"MemoryRSSBytes 10; MemoryKernelBytes 1; MemoryShmemBytes 1; MemoryUnreclaimableBytes 11", true)

	f("memory.events", parseEvents, "low 0\nhigh 3\nmax 448\noom 14\noom_kill 14\noom_group_kill 0\n", "OOMKills 14; MemoryEventsHigh 3; MemoryEventsMax 448", true)
	f("memory.oom_control", parseEvents, "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", "OOMKills 2", true)
	f("memory.oom_control before Linux 4.13", parseEvents, "oom_kill_disable 0\nunder_oom 0\n", "", true)
	f("pids.max", parsePIDsMax, "50\n", "PIDsMax 50", true)
	f("pids.max, none", parsePIDsMax, "max\n", "", true)
	f("memory.low", parseReservation, "33554432\n", "MemoryReservationBytes 33554432", true)

	f("cpu.pressure", parseCPUPressure, "some avg10=0.00 avg60=0.00 avg300=0.00 total=7322\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=6046\n",
		"CPUPressure some 7.322ms; CPUPressure full 6.046ms", true)
	f("cpu.pressure before Linux 5.13", parseCPUPressure, "some avg10=0.00 avg60=0.00 avg300=0.00 total=7322\n", "CPUPressure some 7.322ms", true)
	f("io.pressure, a bad line", parseIOPressure, "some avg10=0.00 total=x\nfull avg10=0.00 total=1\n", "IOPressure full 1µs", false)
	f("io.pressure, no total", parseIOPressure, "some avg10=1\n", "", false)
	f("memory.pressure, too long for a duration", parseMemoryPressure, "some total=9999999999999999999\n", "", false)
}

func TestParseIOStat(t *testing.T) {
	f := func(in, want string, ok bool) {
		t.Helper()
		got, err := stat(parseIOStat, in)
		if got != want || (err == nil) != ok {
			t.Errorf("%q:\n got %q, %v\nwant %q, ok %v", in, got, err, want, ok)
		}
	}
	vda := "IO {Major:254 Minor:0 ReadBytes:1 WriteBytes:2 Reads:3 Writes:4}"
	f("", "", true)
	f("254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n", vda, true)
	f("254:0 rbytes=1 wbytes=2 rios=3 wios=4 cost.vrate=100.00\n", vda, true)
	f("254:0 rbytes=1 wbytes=2 rios=3 wios=4 cost.vrate=100.00 cost.usage=5 cost.wait=6 cost.indebt=7 cost.indelay=8\n",
		vda[:len(vda)-1]+" Cost:[5µs 6µs 7µs 8µs] HasCost:true}", true)
	f("254:0 rbytes=1 cost.usage=x\n", "IO {Major:254 Minor:0 ReadBytes:1 WriteBytes:0 Reads:0 Writes:0}", false)
	f("7:0 \n254:0 rbytes=1 wbytes=2 rios=3 wios=4\n", vda, true)
	f("7:0 254:0 rbytes=1 wbytes=2 rios=3 wios=4\n", vda, true) // without a line end after the first device
	f("254:0 rbytes=1 wbytes=2 rios=3 wios=4\n8:16 wbytes=9\n", vda+"; IO {Major:8 Minor:16 ReadBytes:0 WriteBytes:9 Reads:0 Writes:0}", true)
	f("254: rbytes=1\n", "", false)
	f("rbytes=1\n", "", false)
}

func TestMoreDevicesThanTheLimitAreAFaultAndTheOthersStay(t *testing.T) {
	var b strings.Builder
	for i := range maxIODevices + 10 {
		b.WriteString("8:" + strconv.Itoa(i) + " rbytes=1 wbytes=1 rios=1 wios=1\n")
	}
	var st Stats
	if err := parseIOStat([]byte(b.String()), &st); err != errLimit || len(st.IO) != maxIODevices || st.Has&HasIOBytes == 0 {
		t.Errorf("%d devices, %v; want %d and the limit", len(st.IO), err, maxIODevices)
	}
}

func TestParseBlkio(t *testing.T) {
	f := func(in, want string, ok bool) {
		t.Helper()
		got, err := stat(parseBlkioBytes, in)
		if got != want || (err == nil) != ok {
			t.Errorf("%q:\n got %q, %v\nwant %q, ok %v", in, got, err, want, ok)
		}
	}
	f("Total 0\n", "", true)
	f("8:0 Read 4096\n8:0 Write 8192\n8:0 Sync 1\n8:0 Async 2\n8:0 Discard 3\n8:0 Total 12288\nTotal 12288\n",
		"IO {Major:8 Minor:0 ReadBytes:4096 WriteBytes:8192 Reads:0 Writes:0}", true)
	f("8:0 Read x\n", "", false)
	f("8 Read 1\n", "", false)
	f("8:0\n", "", false)
	f("4294967296:0 Read 1\n", "", false)
}

func TestParseNetDev(t *testing.T) {
	const head = "Inter-|   Receive  |  Transmit\n face |bytes packets |bytes\n"
	var st Stats
	var names []string
	f := func(lines string, ok bool, want ...Interface) {
		t.Helper()
		st.reset()
		err := parseNetDev([]byte(head+lines), &st, &names)
		if (err == nil) != ok || len(st.Net) != len(want) {
			t.Fatalf("%q: %v, %v; want %v, ok %v", lines, st.Net, err, want, ok)
		}
		for i := range want {
			if st.Net[i] != want[i] {
				t.Errorf("%q: %+v, want %+v", lines, st.Net[i], want[i])
			}
		}
	}
	eth0 := Interface{"eth0", 1252, 14, 1, 2, 9, 10, 11, 12}
	f("    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n", true)
	f("  eth0:    1252      14    1    2    3     4          5         6        9      10   11   12    0     0       0          0\n", true, eth0)
	f("  eth0:1252 14 1 2 3 4 5 6 9 10 11 12 0 0 0 0\n", true, eth0) // no space where the number is wide
	f("veth1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\ndocker0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\nnerdctl0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", true)
	f("lowpan0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", true, Interface{"lowpan0", 1, 2, 3, 4, 9, 10, 11, 12}) // only lo itself is the loopback
	f("  eth0:1252 14 1 2 3 4 5 6 9 10 11 12 0 0 0\n  eth1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", false, Interface{"eth1", 1, 2, 3, 4, 9, 10, 11, 12})
	f("no colon\n", false)
}

func TestInterfaceNamesComeAndGo(t *testing.T) {
	var st Stats
	var names []string
	for i := range 3 * maxInterfaces {
		st.reset()
		name := "tap" + strconv.Itoa(i)
		if err := parseNetDev([]byte("\n\n"+name+": 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"), &st, &names); err != nil || st.Net[0].Name != name {
			t.Fatalf("%v, %v; want %s", st.Net, err, name)
		}
	}
	if len(names) > maxInterfaces {
		t.Errorf("%d names are remembered, want at most %d", len(names), maxInterfaces)
	}
}

func TestCPUUsageAloneIsTheSameAsInTheFullReading(t *testing.T) {
	f := func(in string, want time.Duration, ok bool) {
		t.Helper()
		got, err := parseCPUUsageUsec([]byte(in))
		if got != want || (err == nil) != ok {
			t.Errorf("%q: %v, %v; want %v", in, got, err, want)
		}
	}
	f("usage_usec 7654761\nuser_usec 5642135\n", 7654761*time.Microsecond, true)
	f("user_usec 5642135\nusage_usec 1\n", time.Microsecond, true)
	f("user_usec 5642135\n", 0, false)
	f("usage_usec x\n", 0, false)
	f("usage_usec 18446744073709551615\n", 0, false)
}
