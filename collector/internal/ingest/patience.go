package ingest

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/collector/internal/turns"
)

// A caller who keeps sending what is no message, or too large, is heard less: once the allowance is spent, only what costs
// no more than an agent's batch is taken from that caller, and the rest answered before it is read. So who must try large messages waits and
// loses nothing, and others who share token and address go on.
const (
	offencesPerSec    = 1
	lightBodyBytes    = 1 << 20
	lightMessageBytes = 4 << 20 // some times an agent's batch, which is closed once it is over 1 MiB
)

// patience is how long the caller of a request has to wait until everything is taken again.
type patience struct {
	wait   time.Duration
	unread prometheus.Counter
}

func (h *Handler) patience(r *http.Request) patience {
	return patience{h.offences.Wait(turns.Who(r.Context())), h.m.unread}
}

// body judges the length that the header of a request states.
func (p patience) body(length int64) *refusal {
	if p.wait == 0 || length >= 0 && length <= lightBodyBytes {
		return nil
	}
	return p.end()
}

// message judges what the start of a body says of the whole.
func (p patience) message(encoding string, start []byte) *refusal {
	if p.wait == 0 {
		return nil
	}
	if size, ok := stated(encoding, start); ok && size <= lightMessageBytes {
		return nil
	}
	return p.end()
}

func (p patience) end() *refusal {
	p.unread.Inc()
	return later(http.StatusTooManyRequests, p.wait+time.Second-1, fmt.Sprintf("too many messages of this sender were refused as too large or as none (--limit.write-refused); until there are less, only those are taken that have at most %d bytes and state at most %d", lightBodyBytes, lightMessageBytes))
}
