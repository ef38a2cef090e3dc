package ship

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// verdict is what an answer means for the batch.
type verdict int

const (
	accepted     verdict = iota // the receiver has it
	retry                       // it may be taken later
	unauthorised                // it may be taken with other credentials
	misdirected                 // it may be taken at another address or otherwise encoded
	tooLarge                    // parts of it may be taken
	rejected                    // it will never be taken
)

// judge tells what a status code means for the batch that was sent.
func judge(status int) verdict {
	switch {
	case status >= 200 && status < 300:
		return accepted
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return unauthorised
	case status >= 300 && status < 400,
		status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusProxyAuthRequired,
		status == http.StatusUnsupportedMediaType:
		return misdirected
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return retry
	case status == http.StatusRequestEntityTooLarge:
		return tooLarge
	case status >= 400 && status < 500:
		return rejected
	}
	return retry
}

// refusesEncoding tells whether an answer can mean that the receiver does not
// know the compression: newer Prometheus says 415, older ones and most others
// cannot decode the body and say 400.
func refusesEncoding(status int) bool {
	return status == http.StatusUnsupportedMediaType || status == http.StatusBadRequest
}

// maxRetryAfter bounds what a receiver can ask for.
const maxRetryAfter = 2 * time.Minute

// receiversNow is the time by the clock of the receiver, which its dates are of, as far as its answer says it.
func receiversNow(h http.Header, now time.Time) time.Time {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		return date
	}
	return now
}

// parseRetryAfter reads the header of that name, RFC 9110 section 10.2.3:
// seconds or a date. It returns 0 for an absent, past or unreadable value.
func parseRetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	var wait time.Duration
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		if seconds >= maxRetryAfter.Seconds() {
			return maxRetryAfter
		}
		wait = time.Duration(seconds * float64(time.Second))
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// backoff is how long to pause after failures in a row.
type backoff struct{ min, max time.Duration }

// delay is the pause after the given number of failures, at least 1. random is
// from [0, 1). A pause that the receiver asked for is kept and spread by up to
// a tenth.
func (b backoff) delay(failures int, retryAfter time.Duration, random float64) time.Duration {
	if retryAfter > 0 {
		return retryAfter + time.Duration(random*float64(retryAfter)/10)
	}
	longest := 2 * b.min
	for ; failures > 1 && longest < b.max; failures-- {
		longest *= 2
	}
	longest = min(longest, b.max)
	return longest - time.Duration(random*float64(longest)/2)
}
