package host

import (
	"testing"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// FuzzProc: files of /proc about the node. A parser takes them the same way twice.
func FuzzProc(f *testing.F) {
	f.Add([]byte("MemTotal:       16000000 kB\nMemFree: 1 kB\nCached: 2 kB\nSReclaimable: 3 kB\n"))
	f.Add([]byte("pgfault 12\npgmajfault 3\noom_kill 1\n"))
	f.Add([]byte("0.10 0.20 0.30 2/345 6789\n"))
	f.Add([]byte("   8       0 sda 1 2 3 4 5 6 7 8 9 10 11\n 253 1 vda1 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n"))
	f.Add([]byte("some avg10=0.00 avg60=0.00 avg300=0.00 total=12\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=3\n"))
	f.Add([]byte("4194304\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, parse := range map[string]func(*Node, []byte, *cgroup.Stats) error{
			"vmstat": parseVmstat, "loadavg": parseLoadavg, "threads-max": parseThreadsMax, "pid_max": parsePIDMax,
			"pressure/cpu": parseCPUPressure, "pressure/memory": parseMemoryPressure, "pressure/io": parseIOPressure,
			"diskstats": (*Node).parseDiskstats, "meminfo": (*Node).parseMeminfo,
		} {
			var first, second cgroup.Stats
			err := parse(&Node{}, b, &first)
			if again := parse(&Node{}, b, &second); (again == nil) != (err == nil) || first.Has != second.Has || len(first.IO) != len(second.IO) {
				t.Errorf("%s: %v, then %v", name, err, again)
			}
		}
	})
}
