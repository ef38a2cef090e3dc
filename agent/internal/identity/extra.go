package identity

import (
	"iter"
	"strings"
)

// Extra are labels let through from the container, in one comparable value: each is name NUL value NUL. Values have no NUL,
// as clean takes control characters out.
type Extra string

func (e Extra) with(name, value string) Extra {
	if value == "" {
		return e
	}
	return e + Extra(name+"\x00"+value+"\x00")
}

// All yields label name and value.
func (e Extra) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		rest := string(e)
		for rest != "" {
			var name, value string
			name, rest, _ = strings.Cut(rest, "\x00")
			value, rest, _ = strings.Cut(rest, "\x00")
			if !yield(name, value) {
				return
			}
		}
	}
}
