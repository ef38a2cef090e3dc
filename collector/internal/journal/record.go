package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

// A segment is a file of records, little endian:
//
//	 0  magic            uint32  "PLJ1"
//	 4  header checksum  uint32  CRC-32C of bytes 8 to 31
//	 8  payload checksum uint32  CRC-32C of the payload
//	12  payload length   uint32  bytes
//	16  samples          uint32
//	20  encoding         uint8   0 snappy, 1 zstd
//	21  agent length     uint8   bytes
//	22  zero             uint16
//	24  received         int64   Unix milliseconds
//
// The payload is the sequence and the first sequence, 8 bytes each, the agent's name and the body. The header has its own
// checksum so that a record with a damaged payload is stepped over with its samples counted.
const (
	headerBytes   = 32
	sequenceBytes = 16

	magic uint32 = 0x314a4c50

	encodingSnappy = 0
	encodingZstd   = 1

	suffix = ".journal"
)

// appendRecord appends b as one record to dst.
func appendRecord(dst []byte, b Batch) []byte {
	le := binary.LittleEndian
	start := len(dst)
	agent := b.Agent[:min(len(b.Agent), 255)]
	dst = append(dst, make([]byte, headerBytes)...)
	dst = le.AppendUint64(dst, b.Sequence)
	dst = le.AppendUint64(dst, b.First)
	dst = append(dst, agent...)
	dst = append(dst, b.Body...)
	payload := dst[start+headerBytes:]
	head := dst[start : start+headerBytes]
	le.PutUint32(head[0:], magic)
	le.PutUint32(head[8:], checksum(payload))
	le.PutUint32(head[12:], uint32(len(payload)))
	le.PutUint32(head[16:], uint32(b.Samples))
	head[20] = encodingSnappy
	if b.Encoding == "zstd" {
		head[20] = encodingZstd
	}
	head[21] = byte(len(agent))
	le.PutUint64(head[24:], uint64(b.Received.UnixMilli()))
	le.PutUint32(head[4:], checksum(head[8:]))
	return dst
}

// damage is what could not be given back of a segment.
type damage struct {
	bytes   int
	samples int // of records whose header is whole; those of others are not known
}

// walk calls apply with each whole record of a segment and steps over what is damaged. The batch's body aliases segment.
func walk(segment []byte, apply func(Batch) error) (damage, error) {
	var lost damage
	for len(segment) > 0 {
		payload, ok := parseHeader(segment)
		if !ok {
			next := resync(segment[1:]) + 1
			lost.bytes += next
			segment = segment[next:]
			continue
		}
		b, whole := parsePayload(segment[:headerBytes], payload)
		segment = segment[headerBytes+len(payload):]
		if !whole {
			lost.bytes += headerBytes + len(payload)
			lost.samples += b.Samples
			continue
		}
		if err := apply(b); err != nil {
			return lost, err
		}
	}
	return lost, nil
}

// parseHeader returns the payload of the record at the start of src.
func parseHeader(src []byte) (payload []byte, ok bool) {
	le := binary.LittleEndian
	if len(src) < headerBytes+sequenceBytes || le.Uint32(src) != magic || le.Uint32(src[4:]) != checksum(src[8:headerBytes]) {
		return nil, false
	}
	n := int64(le.Uint32(src[12:]))
	if n > int64(len(src)-headerBytes) || n < sequenceBytes+int64(src[21]) {
		return nil, false
	}
	return src[headerBytes : headerBytes+int(n)], true
}

func parsePayload(head, payload []byte) (b Batch, whole bool) {
	le := binary.LittleEndian
	b = Batch{Encoding: "snappy", Samples: int(le.Uint32(head[16:])), Received: time.UnixMilli(int64(le.Uint64(head[24:])))}
	if le.Uint32(head[8:]) != checksum(payload) {
		return b, false
	}
	if head[20] == encodingZstd {
		b.Encoding = "zstd"
	}
	b.Sequence, b.First = le.Uint64(payload), le.Uint64(payload[8:])
	rest := payload[sequenceBytes:]
	b.Agent, b.Body = string(rest[:head[21]]), rest[head[21]:]
	return b, true
}

// resync is the offset of the next record in src, or its length.
func resync(src []byte) int {
	var start [4]byte
	binary.LittleEndian.PutUint32(start[:], magic)
	for at := 0; ; at++ {
		i := bytes.Index(src[at:], start[:])
		if i < 0 {
			return len(src)
		}
		at += i
		if _, ok := parseHeader(src[at:]); ok {
			return at
		}
	}
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func nameOf(number uint64) string { return fmt.Sprintf("%020d%s", number, suffix) }

func parseName(name string) (number uint64, ok bool) {
	digits, ours := strings.CutSuffix(name, suffix)
	if !ours || len(digits) != 20 {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, err == nil
}
