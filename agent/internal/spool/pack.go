package spool

import (
	"sync"

	"github.com/plimsoll/plimsoll/agent/internal/squeeze"
)

// Encoding is how a record's payload is stored; the flags field of its header.
type Encoding uint32

const (
	Plain Encoding = 0 // as it was appended
	Zstd  Encoding = 1 // one zstd frame
)

// packer compresses one payload at a time into a buffer that is kept. The one
// who holds its lock has the buffer.
type packer struct {
	sync.Mutex
	encoder *squeeze.Encoder // nil: payloads are stored as they are
	buf     []byte
}

// pack returns what to store of a payload.
func (p *packer) pack(payload []byte) ([]byte, Encoding) {
	if p.encoder == nil {
		return payload, Plain
	}
	p.buf = p.encoder.EncodeAll(payload, p.buf[:0])
	if len(p.buf) >= len(payload) {
		return payload, Plain
	}
	return p.buf, Zstd
}
