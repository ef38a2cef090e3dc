package docker

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// FuzzEvent: a line of the engine's event stream.
func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{"Type":"container","Action":"die","Actor":{"ID":"a","Attributes":{"exitCode":"137","image":"nginx","name":"web","project":"shop"}},"time":1,"timeNano":1000000001}`), "systemd")
	f.Add([]byte(`{"Type":"container","Action":"health_status: unhealthy","Actor":{"ID":"a"},"time":1}`), "cgroupfs")
	f.Add([]byte(`{"Type":"container","Action":"kill","Actor":{"ID":"a","Attributes":{"signal":"SIGRTMIN+3"}}}`), "")
	f.Fuzz(func(t *testing.T, line []byte, driver string) {
		var m events.Message
		if json.Unmarshal(line, &m) != nil {
			return
		}
		ev, ok := eventOf(m)
		if !ok {
			return
		}
		if ev.id == "" {
			t.Errorf("an event of nobody: %+v", ev)
		}
		ev.exit(true)
		ev.stops(15)
		if c := ev.container(driver); c.ID != ev.id {
			t.Errorf("the container of %q is %q", ev.id, c.ID)
		}
	})
}

// FuzzStats: the engine's answer with the figures of a container. None that is shown is negative or no number.
func FuzzStats(f *testing.F) {
	f.Add([]byte(`{"read":"2026-01-02T03:04:05Z","cpu_stats":{"cpu_usage":{"total_usage":1000,"usage_in_usermode":400},"throttling_data":{"throttled_time":5}},"memory_stats":{"usage":4096,"limit":9223372036854771712,"stats":{"anon":1024,"file":2048,"inactive_file":1000,"pgfault":7}},"pids_stats":{"current":3,"limit":100},"networks":{"eth0":{"rx_bytes":5,"tx_packets":6}},"blkio_stats":{"io_service_bytes_recursive":[{"major":8,"minor":0,"op":"read","value":7}]}}`), int64(1<<20))
	f.Add([]byte(`{"cpu_stats":{"cpu_usage":{"total_usage":18446744073709551615}},"memory_stats":{"usage":1,"stats":{"total_inactive_file":18446744073709551615}}}`), int64(0))
	f.Fuzz(func(t *testing.T, answer []byte, memoryLimit int64) {
		var in container.StatsResponse
		if json.Unmarshal(answer, &in) != nil {
			return
		}
		var st cgroup.Stats
		statsOf(&in, limitsOf(&container.HostConfig{Resources: container.Resources{Memory: memoryLimit, NanoCPUs: memoryLimit}}), &st)
		if st.CPUUsage < 0 || st.CPUUser < 0 || st.CPUSystem < 0 || st.CPUThrottled < 0 {
			t.Errorf("time runs backwards: %+v", st)
		}
		if st.Has&cgroup.HasPIDsMax != 0 && st.PIDsMax >= math.MaxInt64 {
			t.Errorf("a limit of %d processes", st.PIDsMax)
		}
		if st.MemoryWorkingSetBytes > st.MemoryUsageBytes && st.Has&cgroup.HasMemoryWorkingSet != 0 {
			t.Errorf("working set %d of usage %d", st.MemoryWorkingSetBytes, st.MemoryUsageBytes)
		}
	})
}

// FuzzInspection: the engine's description of a container.
func FuzzInspection(f *testing.F) {
	f.Add([]byte(`{"Id":"a","Name":"/web","Created":"2026-01-02T03:04:05.6Z","State":{"Pid":7,"StartedAt":"2026-01-02T03:04:05Z","Health":{"Status":"healthy"}},"HostConfig":{"CgroupParent":"/x","NetworkMode":"host"},"Config":{"Image":"nginx","Labels":{"a":"b"},"StopSignal":"15"}}`), "systemd")
	f.Add([]byte(`{}`), "cgroupfs")
	f.Add([]byte(`{"Id":"a","HostConfig":{"CgroupParent":"a-b-c.slice"}}`), "systemd")
	f.Fuzz(func(t *testing.T, answer []byte, driver string) {
		var in container.InspectResponse
		if json.Unmarshal(answer, &in) != nil {
			return
		}
		_, _ = inspectionOf(in, driver)
	})
}
