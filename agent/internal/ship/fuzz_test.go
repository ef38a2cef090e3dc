package ship

import (
	"bytes"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzParts: a batch that is cut in two is all there, and each half can be cut again, down to one field.
func FuzzParts(f *testing.F) {
	f.Add(numbered(3))
	f.Add([]byte{1<<3 | 2, 0, 1<<3 | 2, 0})
	f.Add([]byte{0x08, 0x80})
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, plain []byte) {
		parts := []part{{}}
		for i := 0; i < len(parts) && len(parts) < 100; i++ {
			first, second, ok := parts[i].halve(plain)
			if !ok {
				continue
			}
			if first.to != second.from || first.to <= first.from || second.to <= second.from {
				t.Fatalf("%v was cut to %v and %v", parts[i], first, second)
			}
			if whole, cut := parts[i].of(plain), append(bytes.Clone(first.of(plain)), second.of(plain)...); !bytes.Equal(whole, cut) {
				t.Fatalf("%q was cut to %q", whole, cut)
			}
			if all, sum := samplesIn(parts[i].of(plain)), samplesIn(first.of(plain))+samplesIn(second.of(plain)); all != sum {
				t.Fatalf("%d samples were cut to %d", all, sum)
			}
			parts = append(parts, first, second)
		}
	})
}

// FuzzAnswer: what a receiver says beside its status.
func FuzzAnswer(f *testing.F) {
	f.Add("120", "try later")
	f.Add("Fri, 02 Jan 2026 03:04:35 GMT", "\x00\xff\n\n\u2028")
	f.Add("-1e308", string(bytes.Repeat([]byte("ä"), 400)))
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, retryAfter, text string) {
		if wait := parseRetryAfter(retryAfter, now); wait < 0 || wait > maxRetryAfter {
			t.Errorf("Retry-After %q waits %s", retryAfter, wait)
		}
		said := clean(text)
		if len(said) > maxReasonBytes+len("…") || utf8.ValidString(text) && !utf8.ValidString(said) || bytes.ContainsAny([]byte(said), "\n\r\x00") {
			t.Errorf("%q is said as %q", text, said)
		}
	})
}
