package ui

import (
	"fmt"
	"html"
	"html/template"
	"regexp"
	"strings"
)

// renderMarkdown turns the part of Markdown that runbooks use into HTML: headings, paragraphs, lists, fenced code, tables,
// quotes, rules, and inline code, bold, emphasis and links. Every character is escaped before any tag is written, so markup inside the text
// stays text; links go to http, https or this collector only, whose root is reached by root from the page.
func renderMarkdown(source, root string) template.HTML {
	m := &markdown{
		root:     root,
		span:     regexp.MustCompile("`[^`]+`"),
		link:     regexp.MustCompile(`\[([^\]]+)\]\(([^()\s\x00]+)\)`),
		bold:     regexp.MustCompile(`\*\*([^*]+)\*\*`),
		emphasis: regexp.MustCompile(`\*([^*\s][^*]*)\*`),
	}
	for line := range strings.Lines(strings.ReplaceAll(source, "\r\n", "\n")) {
		m.line(strings.TrimSuffix(line, "\n"))
	}
	m.closeCode()
	m.closeBlock()
	return template.HTML(m.out.String())
}

// markdown is the state between two lines: inside a code fence, or inside one open block whose end tag is known.
type markdown struct {
	out       strings.Builder
	root      string // put before links that begin with a slash, in its place
	code      bool
	block     string // "p", "ul", "ol", "table", "blockquote" or ""
	paragraph []string

	span                 *regexp.Regexp // over the text as it is
	link, bold, emphasis *regexp.Regexp // over escaped text
}

func (m *markdown) line(line string) {
	text := strings.TrimSpace(line)
	switch {
	case strings.HasPrefix(text, "```"):
		if m.code {
			m.closeCode()
			return
		}
		m.closeBlock()
		m.code = true
		m.out.WriteString("<pre><code>")
	case m.code:
		m.out.WriteString(html.EscapeString(line) + "\n")
	case text == "":
		m.closeBlock()
	case heading(text) > 0:
		m.closeBlock()
		n := heading(text)
		fmt.Fprintf(&m.out, "<h%d>%s</h%d>\n", n, m.inline(strings.TrimSpace(text[n:])), n)
	case text == "---" || text == "***":
		m.closeBlock()
		m.out.WriteString("<hr>\n")
	case strings.HasPrefix(text, "|") && strings.HasSuffix(text, "|"):
		m.tableRow(text)
	case strings.HasPrefix(text, "> ") || text == ">":
		m.openBlock("blockquote")
		m.out.WriteString(m.inline(strings.TrimSpace(text[1:])) + "\n")
	default:
		if item, list := listItem(text); list != "" {
			m.openBlock(list)
			m.out.WriteString("<li>" + m.inline(item) + "\n") // HTML closes an item at the next one, so a continued line can follow
			return
		}
		if m.block == "ul" || m.block == "ol" {
			m.out.WriteString(m.inline(text) + "\n")
			return
		}
		m.openBlock("p")
		m.paragraph = append(m.paragraph, text)
	}
}

func (m *markdown) openBlock(tag string) {
	if m.block == tag {
		return
	}
	m.closeBlock()
	m.block = tag
	m.out.WriteString("<" + tag + ">")
}

func (m *markdown) closeBlock() {
	if m.block == "" {
		return
	}
	if m.block == "p" {
		m.out.WriteString(m.inline(strings.Join(m.paragraph, "\n")))
		m.paragraph = nil
	}
	m.out.WriteString("</" + m.block + ">\n")
	m.block = ""
}

func (m *markdown) closeCode() {
	if m.code {
		m.out.WriteString("</code></pre>\n")
		m.code = false
	}
}

func (m *markdown) tableRow(text string) {
	const bar = "\x01" // stands for an escaped bar while the row is cut at the bare ones
	cells := strings.Split(strings.Trim(strings.ReplaceAll(text, `\|`, bar), "|"), "|")
	if strings.Trim(text, "|-: ") == "" {
		return // the line under the header
	}
	tag := "td"
	if m.block != "table" {
		m.openBlock("table")
		tag = "th"
	}
	m.out.WriteString("<tr>")
	for _, cell := range cells {
		m.out.WriteString("<" + tag + ">" + m.inline(strings.ReplaceAll(strings.TrimSpace(cell), bar, "|")) + "</" + tag + ">")
	}
	m.out.WriteString("</tr>\n")
}

// heading returns the level of an ATX heading, 0 for none.
func heading(text string) int {
	n := len(text) - len(strings.TrimLeft(text, "#"))
	if n == 0 || n > 6 || n == len(text) || text[n] != ' ' {
		return 0
	}
	return n
}

// listItem returns the item's text and the list's tag, or "" for both.
func listItem(text string) (item, tag string) {
	if strings.HasPrefix(text, "- ") || strings.HasPrefix(text, "* ") {
		return strings.TrimSpace(text[2:]), "ul"
	}
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	if digits > 0 && digits < 4 && strings.HasPrefix(text[digits:], ". ") {
		return strings.TrimSpace(text[digits+2:]), "ol"
	}
	return "", ""
}

// inline renders the marks inside one run of text. Code spans are cut out first and put back last: nothing inside them is a mark.
func (m *markdown) inline(text string) string {
	const hole = "\x00" // where a code span was
	var spans []string
	text = m.span.ReplaceAllStringFunc(strings.ReplaceAll(text, hole, ""), func(s string) string {
		spans = append(spans, "<code>"+html.EscapeString(strings.Trim(s, "`"))+"</code>")
		return hole
	})
	text = m.link.ReplaceAllStringFunc(html.EscapeString(text), func(s string) string {
		sub := m.link.FindStringSubmatch(s)
		if !safeLink(sub[2]) {
			return s
		}
		if path, ours := strings.CutPrefix(sub[2], "/"); ours {
			sub[2] = m.root + path
		}
		return `<a href="` + sub[2] + `">` + sub[1] + `</a>`
	})
	text = m.bold.ReplaceAllString(text, "<strong>$1</strong>")
	text = m.emphasis.ReplaceAllString(text, "<em>$1</em>")
	for _, span := range spans {
		text = strings.Replace(text, hole, span, 1)
	}
	return text
}

// safeLink admits http, https, and paths and fragments of this server.
func safeLink(url string) bool {
	lower := strings.ToLower(url)
	if strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://") || strings.HasPrefix(lower, "#") {
		return true
	}
	if strings.HasPrefix(lower, "/") {
		return !strings.HasPrefix(lower, "//") && !strings.HasPrefix(lower, `/\`)
	}
	return !strings.Contains(lower, ":") && !strings.Contains(lower, "&")
}
