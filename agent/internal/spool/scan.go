package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// resyncWindowBytes is how much is read at a time when looking for the next
// record after damage.
const resyncWindowBytes = 64 << 10

// scan walks the records of one segment from off to end. It never fails: what
// it cannot read it steps over and reports as damaged bytes.
type scan struct {
	f       file
	off     int64
	end     int64
	readErr error // the last error of the file system, nil for plain damage
	head    [headerBytes]byte
}

// header returns the next readable header at or after off and leaves off at
// it. damaged is how many bytes had to be stepped over. At the end of the
// segment it returns io.EOF.
func (c *scan) header() (h header, damaged int64, err error) {
	for c.off < c.end {
		if c.end-c.off >= headerBytes {
			if _, err := c.f.ReadAt(c.head[:], c.off); err != nil {
				if !errors.Is(err, io.EOF) {
					c.readErr = err
				}
				damaged += c.end - c.off
				c.off = c.end
				break
			}
			h, err := parseHeader(c.head[:], recordMagic)
			if err == nil && c.off+h.size() <= c.end {
				return h, damaged, nil
			}
		}
		next := c.resync(c.off + 1)
		damaged += next - c.off
		c.off = next
	}
	return header{}, damaged, io.EOF
}

// resync returns the offset of the first complete record header at or after
// from, or end.
func (c *scan) resync(from int64) int64 {
	var magic [4]byte
	binary.LittleEndian.PutUint32(magic[:], recordMagic)
	window := make([]byte, resyncWindowBytes)
	for c.end-from >= headerBytes {
		n, err := c.f.ReadAt(window[:min(int64(len(window)), c.end-from)], from)
		if err != nil && !errors.Is(err, io.EOF) {
			c.readErr = err
			return c.end
		}
		if n < headerBytes {
			return c.end
		}
		for i := 0; ; i++ {
			j := bytes.Index(window[i:n], magic[:])
			if j < 0 || i+j+headerBytes > n {
				break
			}
			i += j
			h, err := parseHeader(window[i:n], recordMagic)
			if err == nil && from+int64(i)+h.size() <= c.end {
				return from + int64(i)
			}
		}
		from += int64(n - headerBytes + 1)
	}
	return c.end
}

// payload reads the payload of the record at off, whose header is h, into
// dst's storage. It reports false when the bytes cannot be read or do not match
// their checksum.
func (c *scan) payload(h header, dst []byte) ([]byte, bool) {
	n := int(h.payloadBytes)
	if cap(dst) < n {
		dst = make([]byte, n)
	}
	dst = dst[:n]
	if _, err := c.f.ReadAt(dst, c.off+headerBytes); err != nil {
		if !errors.Is(err, io.EOF) {
			c.readErr = err
		}
		return dst[:0], false
	}
	return dst, checksum(dst) == h.payloadCRC
}

// skip moves past the record at off.
func (c *scan) skip(h header) { c.off += h.size() }
