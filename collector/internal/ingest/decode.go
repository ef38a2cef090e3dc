package ingest

import (
	"errors"
	"net/http"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// snappyMostRatio is more than snappy can compress: its shortest element is 2 bytes for at most 64. A header that claims
// more lies, and is not worth the memory.
const snappyMostRatio = 64

// decompress returns the message in body, in dst's memory when that is large enough. No more than the limit is ever
// allocated: the size is in the header of a snappy block and mostly of a zstd frame, and the zstd decoder stops at the limit.
func (h *Handler) decompress(encoding string, body, dst []byte) ([]byte, *refusal) {
	limit := h.limits.DecodedBytes
	tooLarge := refuse(http.StatusRequestEntityTooLarge, "the decompressed body is larger than %d bytes (--limit.write-decoded)", limit)
	if encoding == "zstd" {
		var header zstd.Header
		if err := header.Decode(body); err != nil {
			return nil, refuse(http.StatusBadRequest, "the body is not zstd: %v", err)
		}
		if header.HasFCS && header.FrameContentSize > uint64(limit) {
			return nil, tooLarge
		}
		out, err := h.zstd.DecodeAll(body, dst[:0])
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
			return nil, tooLarge
		}
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "the body is not zstd: %v", err)
		}
		return out, nil
	}
	size, err := snappy.DecodedLen(body)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the body is not a snappy block: %v", err)
	}
	if int64(size) > limit {
		return nil, tooLarge
	}
	if size > snappyMostRatio*len(body) {
		return nil, refuse(http.StatusBadRequest, "the body is not a snappy block: %d bytes can not hold %d", len(body), size)
	}
	out, err := snappy.Decode(dst[:cap(dst)], body)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the body is not a snappy block: %v", err)
	}
	return out, nil
}
