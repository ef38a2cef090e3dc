package process

import (
	"bytes"
	"strconv"
	"time"
)

// Schedule sums what the scheduler says of threads. https://docs.kernel.org/scheduler/sched-stats.html
type Schedule struct {
	Run      time.Duration // field 1 of schedstat, ns
	Runqueue time.Duration // field 2, ns
	Periods  uint64        // field 3
}

func (s *Schedule) add(o Schedule) {
	s.Run += o.Run
	s.Runqueue += o.Runqueue
	s.Periods += o.Periods
}

// Schedules keeps the counters of one container's threads, so that the sum does not step back when a thread ends. The zero value is ready.
type Schedules struct {
	threads map[int]Schedule
	ended   Schedule
}

// Schedule reads the threads of the processes and returns the sum of all that kept has seen.
func (p *Proc) Schedule(pids []int, kept *Schedules) Schedule {
	now := make(map[int]Schedule, len(kept.threads))
	for _, pid := range pids {
		dir := p.path(pid, "task")
		err := eachName(dir, func(name string) {
			tid, err := strconv.Atoi(name)
			if err != nil {
				return
			}
			b, err := p.read(dir + "/" + name + "/schedstat")
			if gone(err) {
				return
			}
			s, ok := parseSchedstat(b)
			if err == nil && !ok {
				err = errMalformed
			}
			if err != nil {
				p.fault("schedstat", err)
				if s, ok = kept.threads[tid]; !ok { // it runs on, and what it ran before would count twice as that of one that ended
					return
				}
			}
			now[tid] = s
		})
		p.fault("task", err)
	}
	sum := kept.ended
	for tid, was := range kept.threads {
		if is, still := now[tid]; !still || is.Run < was.Run { // ended, or its number was taken by another
			kept.ended.add(was)
			sum.add(was)
		}
	}
	for _, is := range now {
		sum.add(is)
	}
	kept.threads = now
	return sum
}

func parseSchedstat(b []byte) (Schedule, bool) {
	var v [3]uint64
	fields := bytes.Fields(b)
	if len(fields) != len(v) {
		return Schedule{}, false
	}
	for i := range v {
		var err error
		if v[i], err = strconv.ParseUint(string(fields[i]), 10, 63); err != nil {
			return Schedule{}, false
		}
	}
	return Schedule{Run: time.Duration(v[0]), Runqueue: time.Duration(v[1]), Periods: v[2]}, true
}
