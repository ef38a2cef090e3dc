package ship

import "time"

// window decides how many batches may be on their way to a receiver at once,
// and when. It opens by one after about as many batches as it is wide were taken while
// all of it was in use, and closes to a half when a request fails. After a
// failure nothing is sent for a while. All its times are arguments.
type window struct {
	most  int     // bound
	width float64 // how many now, at least 1

	taken   int // batches that were taken from the source and are not done
	failing int // of those, the ones whose last request failed
	sent    int // requests under way

	failures    int       // in a row
	failedAt    time.Time // requests that began before it tell nothing new
	pausedUntil time.Time
}

// setMost changes the bound.
func (w *window) setMost(most int) {
	w.most = most
	w.width = max(1, min(w.width, float64(most)))
}

// mayTake tells whether another batch may be taken from the source. One that
// fails again and again does not keep others from being tried.
func (w *window) mayTake() bool { return w.taken-w.failing < int(w.width) && w.taken < w.most }

// maySend tells whether another request may begin. When the pause after a
// failure is what is in the way, wait is what is left of it.
func (w *window) maySend(now time.Time) (may bool, wait time.Duration) {
	if wait := w.pausedUntil.Sub(now); wait > 0 {
		return false, wait
	}
	return w.sent < int(w.width), 0
}

// succeeded notes a request that was taken.
func (w *window) succeeded() {
	w.failures = 0
	if w.taken >= int(w.width) {
		w.width = min(w.width+1/w.width, float64(w.most))
	}
}

// failed notes a request that is to be made again. Of several that fail
// together one counts. pause says how long to wait after so many failures in a
// row.
func (w *window) failed(began, now time.Time, pause func(failures int) time.Duration) {
	if began.Before(w.failedAt) {
		return
	}
	w.failures++
	w.failedAt = now
	w.width = max(1, w.width/2)
	w.pausedUntil = now.Add(pause(w.failures))
}
