package identity

import (
	"fmt"
	"hash/fnv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mended counts values that were not fit for a label as they were.
type Mended struct {
	Truncated int // cut to the longest allowed
	Sanitised int // held bytes that are no UTF-8, or control characters
}

// clean makes *value fit for a label in place and counts what it had to do. Bytes that are no UTF-8 and control characters
// become U+FFFD; blanks around the value go. A cut value ends in ~ and 8 hex digits of a hash of the whole, so that
// two long values that differ only past the cut stay two series.
func (m *Mended) clean(value *string, maxRunes int) {
	v := strings.TrimSpace(*value)
	sanitised := 0
	if !utf8.ValidString(v) {
		sanitised = 1
		v = strings.ToValidUTF8(v, "\uFFFD")
	}
	if strings.IndexFunc(v, unicode.IsControl) >= 0 {
		sanitised = 1
		v = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return utf8.RuneError
			}
			return r
		}, v)
	}
	if len(v) > maxRunes && utf8.RuneCountInString(v) > maxRunes {
		hash := fnv.New32a()
		hash.Write([]byte(v))
		suffix := fmt.Sprintf("~%08x", hash.Sum32())
		v = firstRunes(v, maxRunes-len(suffix)) + suffix
		m.Truncated++
	}
	m.Sanitised += sanitised
	*value = v
}

func firstRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
