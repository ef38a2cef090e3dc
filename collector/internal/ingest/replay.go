package ingest

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"

	"github.com/plimsoll/plimsoll/collector/internal/journal"
)

// Replay stores a batch of the journal again. It was validated when it came, so no one is told of a fault now, and what
// changed in it is old news to the rules. While the store takes nothing it waits until ctx ends.
func (h *Handler) Replay(ctx context.Context, batch journal.Batch) error {
	decoded, giveBack, answer := h.decoders.unpack(batch.Encoding, batch.Body)
	defer giveBack()
	if answer != nil {
		h.log.Error("a batch of the journal can not be read, left out", "samples", batch.Samples, "error", answer.reason)
		return nil
	}
	u := prompb.GetWriteRequestUnmarshaler()
	defer prompb.PutWriteRequestUnmarshaler(u)
	wr, err := u.UnmarshalProtobuf(decoded)
	if err != nil {
		h.log.Error("a batch of the journal can not be read, left out", "samples", batch.Samples, "error", err)
		return nil
	}
	valid := h.limits.admit(wr.Timeseries, ever(), new(faults))
	for told := false; ; told = true {
		answer := h.give(wr, valid)
		if answer == nil {
			h.nodes.observe(valid, batch, "")
			if h.census != nil {
				h.census.note(valid)
			}
			return nil
		}
		if answer.code == http.StatusBadRequest {
			h.log.Error("a batch of the journal is refused, left out", "samples", batch.Samples, "error", answer.reason)
			return nil
		}
		if answer.code != http.StatusServiceUnavailable {
			return fmt.Errorf("store a batch of the journal: %s", answer.reason)
		}
		if !told {
			h.log.Warn("the replay waits for the engine", "reason", answer.reason)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
