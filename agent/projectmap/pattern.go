package projectmap

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

// condition is one line of a match: the attribute must fit one of the patterns.
type condition struct {
	attribute attribute
	patterns  []pattern // at least one; all have the same captures
}

func (c *condition) match(of *Container) (captures []string, ok bool) {
	value := c.attribute.of(of)
	if value == "" {
		return nil, false
	}
	for i := range c.patterns {
		if captures, ok = c.patterns[i].match(value); ok {
			return captures, true
		}
	}
	return nil, false
}

// within tells that every value c lets through, other lets through too. False may mean that it could not be seen.
func (c *condition) within(other *condition) bool {
	if c.attribute != other.attribute {
		return false
	}
	for i := range c.patterns {
		if !slices.ContainsFunc(other.patterns, func(wider pattern) bool { return c.patterns[i].within(&wider) }) {
			return false
		}
	}
	return true
}

// pattern is a text to equal, a glob or a regular expression.
type pattern struct {
	exact  string
	glob   []rune         // the glob's tokens: star and any stand for * and ?
	regexp *regexp.Regexp // of a glob or a regular expression; nil of an exact text
	source string         // as written
	names  []string       // of the captures, in order; "" has none
}

// Tokens of a glob. They are outside Unicode, so no text holds them.
const (
	star rune = -1 - iota // any run of characters, also none; it captures
	any1                  // any one character
)

func (p *pattern) match(value string) (captures []string, ok bool) {
	if p.regexp == nil {
		return nil, value == p.exact
	}
	if len(p.names) == 0 {
		return nil, p.regexp.MatchString(value)
	}
	found := p.regexp.FindStringSubmatch(value)
	if found == nil {
		return nil, false
	}
	return found[1:], true
}

func exactly(text string) pattern { return pattern{exact: text, source: text} }

// hasGlob tells that a plain value is meant as a glob.
func hasGlob(text string) bool { return strings.ContainsAny(text, `*?\`) }

// compileGlob compiles a text in which * is any run of characters, ? any one, and a backslash takes the meaning off the next.
func compileGlob(text string) (pattern, error) {
	p := pattern{source: text}
	var expr, literal strings.Builder
	escaped := false
	flush := func() {
		expr.WriteString(regexp.QuoteMeta(literal.String()))
		literal.Reset()
	}
	for _, r := range text {
		switch {
		case escaped || r != '*' && r != '?' && r != '\\':
			p.glob = append(p.glob, r)
			literal.WriteRune(r)
			escaped = false
		case r == '\\':
			escaped = true
		case r == '?':
			flush()
			p.glob = append(p.glob, any1)
			expr.WriteString(".")
		case len(p.glob) == 0 || p.glob[len(p.glob)-1] != star: // ** is *
			flush()
			p.glob = append(p.glob, star)
			p.names = append(p.names, "")
			expr.WriteString("(.*)")
		}
	}
	flush()
	if escaped {
		return pattern{}, errors.New("a backslash takes the meaning off the character after it, and there is none")
	}
	if !slices.Contains(p.glob, star) && !slices.Contains(p.glob, any1) {
		return pattern{exact: string(p.glob), source: text}, nil
	}
	p.regexp = regexp.MustCompile(`(?s)\A` + expr.String() + `\z`)
	return p, nil
}

// compileRegexp compiles an RE2 expression that the whole value must fit.
func compileRegexp(text string) (pattern, error) {
	if _, err := regexp.Compile(text); err != nil { // alone first, so that the message shows what was written
		return pattern{}, err
	}
	re, err := regexp.Compile(`(?s)\A(?:` + text + `)\z`)
	if err != nil {
		return pattern{}, err
	}
	return pattern{regexp: re, source: text, names: re.SubexpNames()[1:]}, nil
}

// within tells that every value p fits, wider fits too. It is right when it says so, and may miss it between two regular
// expressions that are written differently.
func (p *pattern) within(wider *pattern) bool {
	switch {
	case wider.everything():
		return true
	case p.regexp == nil:
		_, ok := wider.match(p.exact)
		return ok
	case p.glob != nil && wider.glob != nil:
		return globWithin(p.glob, wider.glob)
	case p.glob == nil && wider.glob == nil && wider.regexp != nil:
		return p.source == wider.source
	default:
		return false
	}
}

// everything tells that the pattern fits every value there can be; values are never empty.
func (p *pattern) everything() bool {
	if p.glob != nil {
		return len(p.glob) == 1 && p.glob[0] == star
	}
	return p.regexp != nil && slices.Contains([]string{".*", ".+", "(.*)", "(.+)"}, p.source)
}

// globWithin matches wider against p's tokens: what p leaves open only what wider leaves open can cover.
func globWithin(p, wider []rune) bool {
	// fits[j]: the tokens of p so far fit the first j of wider.
	fits := make([]bool, len(wider)+1)
	fits[0] = true
	for j := 1; j <= len(wider) && wider[j-1] == star; j++ {
		fits[j] = true
	}
	for _, token := range p {
		next := make([]bool, len(wider)+1)
		for j := 1; j <= len(wider); j++ {
			switch w := wider[j-1]; {
			case w == star:
				next[j] = fits[j] || next[j-1]
			case w == any1:
				next[j] = fits[j-1] && token != star
			default:
				next[j] = fits[j-1] && token == w
			}
		}
		fits = next
	}
	return fits[len(wider)]
}
