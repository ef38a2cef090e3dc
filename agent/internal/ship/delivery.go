package ship

import "github.com/plimsoll/plimsoll/agent/internal/spool"

// delivery is one batch on its way, with the buffers that its requests need. It
// is used for one batch after another.
type delivery struct {
	encoders
	body    body
	payload []byte // the storage of rec's

	rec         spool.Record
	parts       []part // still to be delivered
	rejected    int    // samples that the receiver will never take
	delivered   bool   // of an earlier part
	failures    int    // requests in a row
	zstdRefused bool
}

// begin makes rec the batch on its way.
func (d *delivery) begin(rec spool.Record) {
	d.rec, d.payload = rec, rec.Payload
	d.parts = append(d.parts[:0], part{})
	d.rejected, d.delivered, d.failures, d.zstdRefused = 0, false, 0, false
}

// samples is how many are in the next part.
func (d *delivery) samples() int { return d.samplesOf(d.parts[0]) }

func (d *delivery) samplesOf(p part) int {
	if p == (part{}) {
		return d.rec.Samples
	}
	plain, err := d.decode(d.rec)
	if err != nil {
		return 0 // it was decoded to be split
	}
	return samplesIn(p.of(plain))
}

// took notes that the receiver has the next part.
func (d *delivery) took() {
	d.parts = d.parts[1:]
	d.delivered = true
}

// divisible tells whether the next part can be split.
func (d *delivery) divisible() bool {
	plain, err := d.decode(d.rec)
	if err != nil {
		return false
	}
	_, _, ok := d.parts[0].halve(plain)
	return ok
}

// split puts two halves in the place of the next part, if it can.
func (d *delivery) split() bool {
	plain, err := d.decode(d.rec)
	if err != nil {
		return false
	}
	first, second, ok := d.parts[0].halve(plain)
	if ok {
		d.parts = append([]part{first, second}, d.parts[1:]...)
	}
	return ok
}

// reject gives up the next part; when it was one series and too large, and the receiver
// has taken no other part, then all of them: its limit is next to nothing. It
// returns how many samples that are.
func (d *delivery) reject(why verdict) (samples int) {
	for n := len(d.parts); n > 0; n-- {
		samples += d.samples()
		d.parts = d.parts[1:]
		if why != tooLarge || d.delivered {
			break
		}
	}
	d.rejected += samples
	return samples
}
