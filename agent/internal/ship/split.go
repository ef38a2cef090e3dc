package ship

import "encoding/binary"

// part is a range of a batch's plain payload, which is cut between series. The
// zero value is all of it.
type part struct{ from, to int }

// of returns the bytes of the part.
func (p part) of(plain []byte) []byte {
	if p == (part{}) {
		return plain
	}
	return plain[p.from:p.to]
}

// halve cuts the part between two series, as near to its middle as can be. It
// reports false for a part of one series, or of what is no write request.
func (p part) halve(plain []byte) (first, second part, ok bool) {
	body := p.of(plain)
	cut, nearest := 0, len(body)
	for at := 0; at < len(body); {
		_, size := field(body[at:])
		if size == 0 {
			return p, part{}, false
		}
		at += size
		if distance := abs(2*at - len(body)); at < len(body) && distance < nearest {
			cut, nearest = at, distance
		}
	}
	if cut == 0 {
		return p, part{}, false
	}
	return part{p.from, p.from + cut}, part{p.from + cut, p.from + len(body)}, true
}

func abs(n int) int { return max(n, -n) }

// samplesIn counts the samples of a write request, prometheus.WriteRequest:
// field 1 is a series, and in it field 2 a sample.
func samplesIn(request []byte) (n int) {
	each(request, 1, func(series []byte) {
		each(series, 2, func([]byte) { n++ })
	})
	return n
}

// each calls f with the content of every length-delimited field of that number.
func each(message []byte, number uint64, f func([]byte)) {
	for len(message) > 0 {
		tag, size := field(message)
		if size == 0 {
			return
		}
		if tag == number<<3|lengthDelimited {
			_, head := binary.Uvarint(message)
			_, length := binary.Uvarint(message[head:])
			f(message[head+length : size])
		}
		message = message[size:]
	}
}

// lengthDelimited is the wire type of strings and messages,
// https://protobuf.dev/programming-guides/encoding/.
const lengthDelimited = 2

// field returns the tag of the field at the start of a message and the field's
// size with its tag, 0 when there is no whole field.
func field(message []byte) (tag uint64, size int) {
	tag, head := binary.Uvarint(message)
	if head <= 0 {
		return 0, 0
	}
	rest := message[head:]
	switch tag & 7 {
	case 0:
		_, n := binary.Uvarint(rest)
		if n <= 0 {
			return 0, 0
		}
		return tag, head + n
	case 1:
		size = 8
	case lengthDelimited:
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > uint64(len(rest)) {
			return 0, 0
		}
		size = n + int(length)
	case 5:
		size = 4
	default:
		return 0, 0
	}
	if size > len(rest) {
		return 0, 0
	}
	return tag, head + size
}
