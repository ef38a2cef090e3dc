package spool

// ringEntry is a record that waits in memory because the directory refuses
// writes.
type ringEntry struct {
	header
	payload []byte
}

// ring holds records in memory in sequence order, bounded in bytes. Every
// sequence number in it is higher than any on disk.
type ring struct {
	entries  []ringEntry
	bytes    int64
	maxBytes int64
}

// put copies the payload in. The caller made room.
func (r *ring) put(h header, payload []byte) {
	r.entries = append(r.entries, ringEntry{h, append([]byte(nil), payload...)})
	r.bytes += h.size()
}

// removeFront forgets the oldest entry.
func (r *ring) removeFront() {
	r.bytes -= r.entries[0].size()
	r.entries[0] = ringEntry{}
	r.entries = r.entries[1:]
	if len(r.entries) == 0 {
		r.entries = nil
	}
}

// from returns the first entry whose sequence number is lo or higher.
func (r *ring) from(lo uint64) (ringEntry, bool) {
	for _, e := range r.entries {
		if e.seq >= lo {
			return e, true
		}
	}
	return ringEntry{}, false
}
