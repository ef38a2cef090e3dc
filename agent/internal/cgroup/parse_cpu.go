package cgroup

import (
	"bytes"
	"time"
)

// parseCPUAcctUsage reads v1 cpuacct.usage: nanoseconds.
func parseCPUAcctUsage(b []byte) (time.Duration, error) {
	v, err := parseNumber(b)
	if err != nil {
		return 0, err
	}
	d, fits := duration(v, time.Nanosecond)
	if !fits {
		return 0, errMalformed
	}
	return d, nil
}

// parseCPUUsageUsec reads only usage_usec of v2 cpu.stat; it is the first line.
func parseCPUUsageUsec(b []byte) (time.Duration, error) {
	for len(b) > 0 {
		key, v, rest, ok := keyed(b)
		if string(key) == "usage_usec" {
			d, fits := duration(v, time.Microsecond)
			if !ok || !fits {
				return 0, errMalformed
			}
			return d, nil
		}
		b = rest
	}
	return 0, errMalformed
}

// parseCPUAcctStat reads v1 cpuacct.stat: user and system in ticks of 10 ms.
func parseCPUAcctStat(b []byte, st *Stats) error {
	const tick = time.Second / ClockTicksPerSecond
	var bad error
	for len(b) > 0 {
		key, v, rest, ok := keyed(b)
		b = rest
		switch string(key) {
		case "user":
			ok = st.putDuration(HasCPUUser, &st.CPUUser, v, tick, ok)
		case "system":
			ok = st.putDuration(HasCPUSystem, &st.CPUSystem, v, tick, ok)
		}
		if !ok {
			bad = errMalformed
		}
	}
	return bad
}

// parseCPUStat reads cpu.stat: v1 has only the bandwidth figures, in nanoseconds; v2 all of them, in microseconds. Their keys differ.
func parseCPUStat(b []byte, st *Stats) error {
	var bad error
	for len(b) > 0 {
		key, v, rest, ok := keyed(b)
		b = rest
		switch string(key) {
		case "usage_usec":
			ok = st.putDuration(HasCPUUsage, &st.CPUUsage, v, time.Microsecond, ok)
		case "user_usec":
			ok = st.putDuration(HasCPUUser, &st.CPUUser, v, time.Microsecond, ok)
		case "system_usec":
			ok = st.putDuration(HasCPUSystem, &st.CPUSystem, v, time.Microsecond, ok)
		case "nr_periods":
			ok = st.put(HasCPUPeriods, &st.CPUPeriods, v, ok)
		case "nr_throttled":
			ok = st.put(HasCPUThrottledPeriods, &st.CPUThrottledPeriods, v, ok)
		case "throttled_usec":
			ok = st.putDuration(HasCPUThrottled, &st.CPUThrottled, v, time.Microsecond, ok)
		case "throttled_time":
			ok = st.putDuration(HasCPUThrottled, &st.CPUThrottled, v, time.Nanosecond, ok)
		case "nr_bursts":
			ok = st.put(HasCPUBursts, &st.CPUBursts, v, ok)
		case "burst_usec":
			ok = st.putDuration(HasCPUBurst, &st.CPUBurst, v, time.Microsecond, ok)
		case "burst_time":
			ok = st.putDuration(HasCPUBurst, &st.CPUBurst, v, time.Nanosecond, ok)
		}
		if !ok {
			bad = errMalformed
		}
	}
	return bad
}

// parseCFSQuota reads v1 cpu.cfs_quota_us: microseconds, -1 where there is no quota.
func parseCFSQuota(b []byte, st *Stats) error {
	if rest, ok := bytes.CutPrefix(b, []byte("-1")); ok && blank(rest) {
		return nil
	}
	return parseUsec(b, st, HasCPUQuota, &st.CPUQuota)
}

// parseCFSPeriod reads v1 cpu.cfs_period_us: microseconds.
func parseCFSPeriod(b []byte, st *Stats) error {
	return parseUsec(b, st, HasCPUPeriod, &st.CPUPeriod)
}

func parseUsec(b []byte, st *Stats, bit Has, field *time.Duration) error {
	v, err := parseNumber(b)
	if err != nil {
		return err
	}
	if !st.putDuration(bit, field, v, time.Microsecond, true) {
		return errMalformed
	}
	return nil
}

// parseCPUMax reads v2 cpu.max: "20000 100000" or "max 100000", microseconds.
func parseCPUMax(b []byte, st *Stats) error {
	l, _ := line(b)
	i := bytes.IndexByte(l, ' ')
	if i < 0 {
		return errMalformed
	}
	quota, limited, err := parseLimit(l[:i])
	if err != nil {
		return err
	}
	if limited && !st.putDuration(HasCPUQuota, &st.CPUQuota, quota, time.Microsecond, true) {
		return errMalformed
	}
	return parseUsec(l[i+1:], st, HasCPUPeriod, &st.CPUPeriod)
}

// parseCPUWeight reads v2 cpu.weight, 1 to 10000, and keeps it as shares, 2 to 262144, the way cAdvisor maps it.
func parseCPUWeight(b []byte, st *Stats) error {
	v, err := parseNumber(b)
	if err != nil {
		return err
	}
	if v == 0 { // cpu.idle is set: the kernel shows weight 0
		return nil
	}
	if v > 10000 {
		return errMalformed
	}
	st.put(HasCPUShares, &st.CPUShares, 2+(v-1)*262142/9999, true)
	return nil
}
