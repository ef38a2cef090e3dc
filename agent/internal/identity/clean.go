package identity

import (
	"fmt"
	"hash/fnv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean makes *value fit for a label in place and returns 1 if it had to cut it, else 0. Bytes that are no UTF-8 and control
// characters become U+FFFD; blanks around the value go. A cut value ends in ~ and 8 hex digits of a hash of the whole, so that
// two long values that differ only past the cut stay two series.
func clean(value *string, maxRunes int) (truncated int) {
	v := strings.TrimSpace(*value)
	if !utf8.ValidString(v) {
		v = strings.ToValidUTF8(v, "\uFFFD")
	}
	if strings.IndexFunc(v, unicode.IsControl) >= 0 {
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
		truncated = 1
	}
	*value = v
	return truncated
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
