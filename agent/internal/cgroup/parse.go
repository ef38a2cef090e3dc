package cgroup

import (
	"bytes"
	"math"
	"time"
)

// The parsers take the bytes of one file and allocate nothing. A line they cannot use costs its own figure: the rest
// is still read, and the first error is returned.

// unlimitedBytes is where v1's "no limit" begins: page_counter's maximum rounded down to a page (9223372036854771712).
const unlimitedBytes = 1 << 62

// digits reads the number at the head of b and returns what follows it; ok is false where there is none or it does not fit.
func digits(b []byte) (v uint64, rest []byte, ok bool) {
	i := 0
	for i < len(b) {
		d := uint64(b[i] - '0')
		if d > 9 {
			break
		}
		if i >= 19 && (v > math.MaxUint64/10 || v*10 > math.MaxUint64-d) { // 19 digits always fit
			return 0, b, false
		}
		v = v*10 + d
		i++
	}
	return v, b[i:], i > 0
}

// isCount tells a count from a negative number that the kernel has written without its sign, as older ones do with sums over CPUs.
func isCount(v uint64) bool { return v <= math.MaxInt64 }

// endedLines is the lines of a file without what follows the last line end: the kernel ends each line, so that is a part of one, and a part of a
// number is another number.
func endedLines(b []byte) ([]byte, error) {
	if end := bytes.LastIndexByte(b, '\n') + 1; end < len(b) {
		return b[:end], errTruncated
	}
	return b, nil
}

// parseNumber reads a file that holds one number, as memory.current does.
func parseNumber(b []byte) (uint64, error) {
	v, rest, ok := digits(b)
	if !ok || !blank(rest) {
		return 0, errMalformed
	}
	return v, nil
}

// parseLimit reads a file that holds a number or "max", as memory.max and pids.max do.
func parseLimit(b []byte) (v uint64, limited bool, err error) {
	if rest, ok := bytes.CutPrefix(b, []byte("max")); ok && blank(rest) {
		return 0, false, nil
	}
	if v, err = parseNumber(b); err == nil && !isCount(v) {
		err = errMalformed
	}
	return v, err == nil, err
}

// blank reports whether only line ends and spaces are left.
func blank(b []byte) bool {
	for _, c := range b {
		if c != '\n' && c != ' ' {
			return false
		}
	}
	return true
}

// line cuts the first line, without its end, off b.
func line(b []byte) (first, rest []byte) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// keyed cuts the first line of a flat keyed file ("key 123\n") off b; ok is false where its value is no number.
func keyed(b []byte) (key []byte, v uint64, rest []byte, ok bool) {
	i := 0
	for i < len(b) && b[i] > ' ' {
		i++
	}
	key = b[:i]
	if i < len(b) && b[i] == ' ' {
		v, rest, ok = digits(b[i+1:])
		if ok && len(rest) > 0 && rest[0] == '\n' {
			return key, v, rest[1:], len(key) > 0
		}
	}
	l, rest := line(b)
	v, ok = numberAfter(l, i)
	return key, v, rest, ok && len(key) > 0
}

// numberAfter is the slow way of keyed: the last line of a file without a line end, or a bad one.
func numberAfter(l []byte, i int) (v uint64, ok bool) {
	if i >= len(l) || l[i] != ' ' {
		return 0, false
	}
	v, tail, ok := digits(l[i+1:])
	return v, ok && blank(tail)
}

// duration is count units of the given length; false where it does not fit (292 years).
func duration(count uint64, unit time.Duration) (time.Duration, bool) {
	if count > uint64(math.MaxInt64/int64(unit)) {
		return 0, false
	}
	return time.Duration(count) * unit, true
}
