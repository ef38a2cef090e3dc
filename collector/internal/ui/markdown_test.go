package ui

import (
	"strings"
	"testing"
)

func TestMarkdownBecomesPlainHTML(t *testing.T) {
	for source, want := range map[string]string{
		"# A\n## B":                               "<h1>A</h1>\n<h2>B</h2>\n",
		"#no heading":                             "<p>#no heading</p>\n",
		"one\ntwo\n\nthree":                       "<p>one\ntwo</p>\n<p>three</p>\n",
		"- a\n- b\n  more\n\nc":                   "<ul><li>a\n<li>b\nmore\n</ul>\n<p>c</p>\n",
		"1. a\n2. b":                              "<ol><li>a\n<li>b\n</ol>\n",
		"```\nx < y\n\n# z\n```":                  "<pre><code>x &lt; y\n\n# z\n</code></pre>\n",
		"```\nnever closed":                       "<pre><code>never closed\n</code></pre>\n",
		"| a | b |\n|---|:-:|\n| 1 | `x \\| y` |": "<table><tr><th>a</th><th>b</th></tr>\n<tr><td>1</td><td><code>x | y</code></td></tr>\n</table>\n",
		"> so\n> it is":                           "<blockquote>so\nit is\n</blockquote>\n",
		"a\n\n---\n\nb":                           "<p>a</p>\n<hr>\n<p>b</p>\n",
		"**bold** and *soft* and 2 * 3 * 4":       "<p><strong>bold</strong> and <em>soft</em> and 2 * 3 * 4</p>\n",
		"`rate(x[5m])` **`y`**":                   "<p><code>rate(x[5m])</code> <strong><code>y</code></strong></p>\n",
		"a lone ` mark":                           "<p>a lone ` mark</p>\n",
		"[fleet](/d/cont-fleet?a=1&b=2)":          `<p><a href="../d/cont-fleet?a=1&amp;b=2">fleet</a></p>` + "\n",
		"[site](https://example.org/x)":           `<p><a href="https://example.org/x">site</a></p>` + "\n",
		"":                                        "",
	} {
		if got := string(renderMarkdown(source, "../")); got != want {
			t.Errorf("%q became\n%q, want\n%q", source, got, want)
		}
	}
}

func TestMarkdownNeverLetsMarkupThrough(t *testing.T) {
	for _, source := range []string{
		`<script>alert(1)</script>`, `# <img src=x onerror=alert(1)>`, "- <b>", "| <i> |", "> <u>", "```\n</code></pre><script>\n```", "`<b>`",
		`[x](javascript:alert(1))`, `[x](JaVaScRiPt:alert(1))`, `[x](//evil.example)`, `[x](data:text/html,y)`, `[x](/\evil.example)`, `[a"onclick="b](/x)`, `[a](/x"onclick="b)`, `[x](&#106;avascript:alert(1))`,
		"**<b>**", "*<b>*", "[<b>](/x)", "[`x`](/`\"onclick=`)", "**`<b>`**",
	} {
		got := string(renderMarkdown(source, "../"))
		for _, bad := range []string{"<script", "<img", "<b>", "<i>", "<u>", `href="java`, `href="Java`, `href="JaVa`, `href="//`, `href="data`, `href="/\`, `"onclick=`, `href="&amp;#`} {
			if strings.Contains(got, bad) {
				t.Errorf("%q became %q, which holds %s", source, got, bad)
			}
		}
	}
}
