package robot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/template"
)

// group is one notification of Alertmanager: some alerts with something in common.
type group struct {
	title string
	items []item
}

// item is one alert: as a block of lines, and as the one line it becomes when there are many.
type item struct {
	block, line string
	firing      bool
	critical    bool
}

// message is what a vendor's dialect sends.
type message struct {
	title    string
	text     string
	firing   bool // false: all is resolved
	critical bool // something critical fires
}

// render has the template say what each alert is. Values of labels and annotations cannot be markup: whoever names a
// container cannot call the whole group with <at id=all>.
func render(tmpl *template.Template, data *template.Data) (group, error) {
	data = plain(data)
	var g group
	var err error
	text := func(name string, value any) string {
		if err != nil {
			return ""
		}
		var s string
		s, err = tmpl.ExecuteTextString(`{{ template "`+name+`" . }}`, value)
		return strings.TrimSpace(s)
	}
	g.title = text("plimsoll.title", data)
	for _, a := range data.Alerts {
		firing := a.Status == "firing"
		g.items = append(g.items, item{
			block: text("plimsoll.markdown.alert", a), line: text("plimsoll.markdown.line", a),
			firing: firing, critical: firing && a.Labels["severity"] == "critical",
		})
	}
	if err != nil {
		return group{}, fmt.Errorf("template: %w", err)
	}
	return g, nil
}

// plain is a copy of data without the characters that begin a tag.
func plain(data *template.Data) *template.Data {
	harmless := strings.NewReplacer("<", "＜", ">", "＞")
	clean := func(from template.KV) template.KV {
		to := template.KV{}
		for name, value := range from {
			to[name] = harmless.Replace(value)
		}
		return to
	}
	copied := *data
	copied.GroupLabels, copied.CommonLabels, copied.CommonAnnotations = clean(data.GroupLabels), clean(data.CommonLabels), clean(data.CommonAnnotations)
	copied.Alerts = slices.Clone(data.Alerts)
	for i := range copied.Alerts {
		copied.Alerts[i].Labels, copied.Alerts[i].Annotations = clean(copied.Alerts[i].Labels), clean(copied.Alerts[i].Annotations)
	}
	return &copied
}

// Up to so many alerts are told at length in one message; more become a line each.
const mostBlocks = 5

// mostMessages bounds what one batch may send; a fleet with more to say than that says how much more.
const mostMessages = 5

// pack puts groups into as few messages of at most limit bytes as hold them, what fires first.
func pack(groups []group, limit int) []message {
	var items []item
	firing, critical := 0, false
	for _, g := range groups {
		items = append(items, g.items...)
	}
	slices.SortStableFunc(items, func(a, b item) int { return rank(a) - rank(b) })
	for _, it := range items {
		if it.firing {
			firing++
		}
		critical = critical || it.critical
	}
	title := groups[0].title
	if len(groups) > 1 {
		title = fmt.Sprintf("[%d firing, %d resolved] %d groups of alerts", firing, len(items)-firing, len(groups))
	}
	limit -= len(title) + reserve
	var texts []string
	var text strings.Builder
	for i, it := range items {
		part := it.line
		if len(items) <= mostBlocks {
			part = it.block
		}
		part = cut(part, limit)
		if text.Len() > 0 && text.Len()+len(part)+2 > limit {
			if len(texts) == mostMessages-1 {
				fmt.Fprintf(&text, "\n\n… and %d more", len(items)-i)
				break
			}
			texts = append(texts, text.String())
			text.Reset()
		}
		if text.Len() > 0 {
			text.WriteString(between(len(items)))
		}
		text.WriteString(part)
	}
	texts = append(texts, text.String())
	messages := make([]message, len(texts))
	for i, t := range texts {
		messages[i] = message{title: title, text: t, firing: firing > 0, critical: critical && i == 0}
		if len(texts) > 1 {
			messages[i].title = fmt.Sprintf("%s (%d of %d)", title, i+1, len(texts))
		}
	}
	return messages
}

// reserve is room for what is added to a text: its heading, mentions, "and N more".
const reserve = 400

func between(items int) string {
	if items <= mostBlocks {
		return "\n\n"
	}
	return "\n"
}

func rank(it item) int {
	switch {
	case it.critical:
		return 0
	case it.firing:
		return 1
	}
	return 2
}

// cut shortens s to limit bytes at the end of a character.
func cut(s string, limit int) string {
	const mark = "…"
	if len(s) <= limit {
		return s
	}
	kept := s[:max(0, limit-len(mark))]
	return strings.ToValidUTF8(kept, "") + mark
}
