package spool

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// On disk a segment is one segment header followed by records. A record is a
// header of headerBytes and then its payload. Both headers have the same
// layout, little endian, and differ in their magic:
//
//	 0  magic           uint32
//	 4  header checksum uint32  CRC-32C of bytes 8 to 47
//	 8  payload checksum uint32 CRC-32C of the payload
//	12  payload length  uint32  bytes
//	16  samples         uint32
//	20  encoding        uint32  of the payload: 0 plain, 1 zstd
//	24  sequence        uint64
//	32  created         int64   Unix milliseconds
//	40  samples before  uint64  samples written to the spool before this record
//
// The header has its own checksum so that a record with a damaged payload can
// be stepped over and its samples counted. "Samples before" turns any other
// damage into an exact figure: the difference between the next readable record
// and the last one is what was lost.
//
// In a segment header, sequence is that of its first record, and of its length,
// which is none, two fields say when it was made by a clock that nobody sets:
//
//	 8  boot            uint32  which run of the machine, 0 unknown, see readBoot
//	16  uptime          uint32  of the machine, seconds
const (
	headerBytes = 48

	recordMagic  uint32 = 0x31524c50 // "PLR1"
	segmentMagic uint32 = 0x31534c50 // "PLS1"

	// maxPayloadBytes is the largest payload of one record, bytes. It matches
	// the largest write request that common receivers accept.
	maxPayloadBytes = 32 << 20
)

// header is the decoded form of a record header or a segment header.
type header struct {
	payloadCRC    uint32
	payloadBytes  uint32
	samples       uint32
	encoding      Encoding
	seq           uint64
	createdMillis int64
	samplesBefore uint64

	// boot and upMillis are on disk in segment headers only; records have theirs
	// by their segment's.
	boot     uint32
	upMillis int64
}

// size is what the record takes on disk, bytes.
func (h header) size() int64 { return headerBytes + int64(h.payloadBytes) }

// samplesAfter is the spool's running total once this record is counted.
func (h header) samplesAfter() uint64 { return h.samplesBefore + uint64(h.samples) }

var (
	errShortHeader = errors.New("header is cut short")
	errMagic       = errors.New("no record starts here")
	errHeaderCRC   = errors.New("header checksum does not match")
	errLength      = errors.New("payload length is past the limit")
	errEncoding    = errors.New("payload encoding is not known")
)

// putHeader encodes h into dst, which is at least headerBytes long.
func putHeader(dst []byte, magic uint32, h header) {
	_ = dst[headerBytes-1]
	le := binary.LittleEndian
	le.PutUint32(dst[0:], magic)
	le.PutUint32(dst[8:], h.payloadCRC)
	le.PutUint32(dst[12:], h.payloadBytes)
	le.PutUint32(dst[16:], h.samples)
	le.PutUint32(dst[20:], uint32(h.encoding))
	le.PutUint64(dst[24:], h.seq)
	le.PutUint64(dst[32:], uint64(h.createdMillis))
	le.PutUint64(dst[40:], h.samplesBefore)
	le.PutUint32(dst[4:], checksum(dst[8:headerBytes]))
}

// parseHeader decodes the header at the start of src.
func parseHeader(src []byte, magic uint32) (header, error) {
	if len(src) < headerBytes {
		return header{}, errShortHeader
	}
	le := binary.LittleEndian
	if le.Uint32(src[0:]) != magic {
		return header{}, errMagic
	}
	if le.Uint32(src[4:]) != checksum(src[8:headerBytes]) {
		return header{}, errHeaderCRC
	}
	h := header{
		payloadCRC:    le.Uint32(src[8:]),
		payloadBytes:  le.Uint32(src[12:]),
		samples:       le.Uint32(src[16:]),
		encoding:      Encoding(le.Uint32(src[20:])),
		seq:           le.Uint64(src[24:]),
		createdMillis: int64(le.Uint64(src[32:])),
		samplesBefore: le.Uint64(src[40:]),
	}
	if h.payloadBytes > maxPayloadBytes {
		return header{}, errLength
	}
	if h.encoding > Zstd {
		return header{}, errEncoding
	}
	return h, nil
}

// putSegmentHeader encodes the header of a segment.
func putSegmentHeader(dst []byte, h header) {
	h.payloadBytes, h.encoding = 0, Plain
	h.payloadCRC, h.samples = h.boot, uint32(max(h.upMillis, 0)/1000)
	putHeader(dst, segmentMagic, h)
}

// parseSegmentHeader decodes the header of a segment.
func parseSegmentHeader(src []byte) (header, error) {
	h, err := parseHeader(src, segmentMagic)
	h.boot, h.upMillis = h.payloadCRC, int64(h.samples)*1000
	h.payloadCRC, h.samples = 0, 0
	return h, err
}

func checksum(b []byte) uint32 {
	return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
}
