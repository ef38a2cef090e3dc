package spool

import "time"

// freeRide is how much of the backlog may go at once, as time at the rate.
const freeRide = time.Second

// rate spaces out what is read of a backlog so that over time no more than
// bytesPerSecond come out. The zero value is no bound.
type rate struct {
	bytesPerSecond int64
	due            time.Time // of the next record
}

// wait is how long the next record has to wait, 0 when it may be read.
func (r *rate) wait(now time.Time) time.Duration {
	if r.bytesPerSecond == 0 {
		return 0
	}
	return max(0, r.due.Sub(now))
}

// took notes a record that was read.
func (r *rate) took(bytes int64, now time.Time) {
	if r.bytesPerSecond == 0 {
		return
	}
	if earliest := now.Add(-freeRide); r.due.Before(earliest) {
		r.due = earliest
	}
	r.due = r.due.Add(time.Duration(float64(bytes) / float64(r.bytesPerSecond) * float64(time.Second)))
}
