package engine

import "time"

// persistedAfter is when a sample appended is trusted to be on disk. It waits in memory for the flush of pending rows (due
// after 2 s, looked at every 2 s), then as a part in memory for the flush to disk (the same again): 8 s. A part that is
// being merged when its turn comes waits for the next look, 2 s later, which can repeat: the rest of the minute is for that
// and for a busy machine. The index goes the same way with 1 s in place of the first 2.
const persistedAfter = time.Minute

// Mark is a point in the stream of samples. The function it returns tells whether all that was appended before the call of
// Mark has reached the disk: a minute has passed, and no more rows are in memory than came after it. The second condition
// fails when the disk hangs, as then nothing leaves the memory.
func (e *Engine) Mark() (persisted func() bool) {
	at, rows := time.Now(), e.rows.Load()
	return func() bool {
		if time.Since(at) < persistedAfter {
			return false
		}
		later := e.rows.Load() - rows
		s := e.state()
		return s.known && s.memoryRows <= float64(later)
	}
}
