package spool

import "slices"

// span is an inclusive range of sequence numbers.
type span struct{ lo, hi uint64 }

// spans is a set of sequence numbers as sorted ranges that neither touch nor
// overlap. A receiver that takes data in order has one.
type spans []span

// add puts every number from lo to hi into the set.
func (s *spans) add(lo, hi uint64) {
	if lo > hi {
		return
	}
	list := *s
	// first is the first range that touches or follows lo, last is past the
	// final range that touches hi.
	first := 0
	for first < len(list) && list[first].hi < lo && lo-list[first].hi > 1 {
		first++
	}
	last := first
	for last < len(list) && (list[last].lo <= hi || list[last].lo-hi == 1) {
		lo = min(lo, list[last].lo)
		hi = max(hi, list[last].hi)
		last++
	}
	if last == first {
		*s = slices.Insert(list, first, span{lo, hi})
		return
	}
	list[first] = span{lo, hi}
	*s = slices.Delete(list, first+1, last)
}

// covers reports whether every number from lo to hi is in the set.
func (s spans) covers(lo, hi uint64) bool {
	for _, r := range s {
		if r.lo <= lo && hi <= r.hi {
			return true
		}
	}
	return lo > hi
}

// max is the highest number in the set, 0 when empty.
func (s spans) max() uint64 {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].hi
}

// appendMissing appends to dst the ranges from lo to hi that are not in s.
func (s spans) appendMissing(dst []span, lo, hi uint64) []span {
	for _, r := range s {
		if r.hi < lo {
			continue
		}
		if r.lo > hi || lo > hi {
			break
		}
		if r.lo > lo {
			dst = append(dst, span{lo, r.lo - 1})
		}
		lo = r.hi + 1
	}
	if lo <= hi {
		dst = append(dst, span{lo, hi})
	}
	return dst
}
