package projectmap

import (
	"fmt"
	"strconv"
	"strings"
)

// template is a text in which $1 stands for what the conditions captured.
type template []part

// part is a piece of literal text, or capture number capture counted from 1.
type part struct {
	text    string
	capture int
}

// parseTemplate reads $1, ${1}, ${name} and $$; names are those of the captures there are.
func parseTemplate(text string, names []string) (template, error) {
	var t template
	for text != "" {
		before, rest, found := strings.Cut(text, "$")
		if before != "" {
			t = append(t, part{text: before})
		}
		if !found {
			break
		}
		var reference string
		switch {
		case strings.HasPrefix(rest, "$"):
			t, text = append(t, part{text: "$"}), rest[1:]
			continue
		case strings.HasPrefix(rest, "{"):
			inside, after, closed := strings.Cut(rest[1:], "}")
			if !closed {
				return nil, fmt.Errorf("${ has no closing brace")
			}
			reference, text = inside, after
		default:
			digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
			if digits == 0 {
				return nil, fmt.Errorf("$ must be followed by the number of a capture, $1 or ${1}, or by a name, ${name}; write $$ for a dollar sign")
			}
			reference, text = rest[:digits], rest[digits:]
		}
		number, err := captureNumber(reference, names)
		if err != nil {
			return nil, err
		}
		t = append(t, part{capture: number})
	}
	return t, nil
}

func captureNumber(reference string, names []string) (int, error) {
	if n, err := strconv.Atoi(reference); err == nil {
		if n < 1 || n > len(names) {
			return 0, fmt.Errorf("capture $%s does not exist: the conditions of the rule capture %d", reference, len(names))
		}
		return n, nil
	}
	found := 0
	for i, name := range names {
		if name == reference && name != "" {
			if found > 0 {
				return 0, fmt.Errorf("capture ${%s} exists twice", reference)
			}
			found = i + 1
		}
	}
	if found == 0 {
		return 0, fmt.Errorf("capture ${%s} does not exist: no condition of the rule has (?P<%s>…)", reference, reference)
	}
	return found, nil
}

// expand writes the text, without blanks around it. captures are as many as parseTemplate was told of.
func (t template) expand(captures []string) string {
	switch len(t) {
	case 0:
		return ""
	case 1:
		if t[0].capture == 0 {
			return strings.TrimSpace(t[0].text)
		}
	}
	var b strings.Builder
	for _, p := range t {
		if p.capture > 0 {
			b.WriteString(captures[p.capture-1])
		} else {
			b.WriteString(p.text)
		}
	}
	return strings.TrimSpace(b.String())
}

// literal is the text of a template without captures.
func (t template) literal() (text string, ok bool) {
	for _, p := range t {
		if p.capture > 0 {
			return "", false
		}
	}
	return t.expand(nil), true
}
