package ui

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

func TestPagesInABrowser(t *testing.T) {
	t.Parallel()
	chromium := browser(t)
	for name, test := range map[string]func(*testing.T, *tab, *scriptedAPI){
		"the fleet page draws every panel in sight":                     drawsEveryPanel,
		"label values stay text":                                        labelValuesStayText,
		"a row and its link lead to the container with time and filter": rowsLead,
		"variables come from the address and reach the queries":         variablesFromAddress,
		"choosing a value changes the address and asks again":           choosingAValue,
		"a value that is hostile is chosen, quoted and matched":         hostileValue,
		"a folded row asks nothing until it is opened":                  foldedRow,
		"errors and emptiness are explained in the panel":               troubleExplained,
		"a range or refresh that is none is named in the page":          senselessAddress,
		"a variable or value that is none is named in the page":         senselessVariables,
		"events are marked on the charts and listed":                    events,
		"single keys work everywhere and are listed":                    keys,
		"a fleet just connected is offered a range that fits":           youngFleet,
		"dragging over a chart narrows the range":                       dragging,
		"hovering shows every series' value":                            hovering,
		"the legend hides and shows series by keyboard":                 legendByKeyboard,
		"the theme follows the browser until it is switched":            theme,
		"nothing overflows on a phone":                                  phone,
		"alerts are listed worst first":                                 alertsPage,
		"no alert is told from no rules":                                noAlerts,
		"rules that can not fire and rules that cry wolf are told":      unarmedAndNoisy,
		"an alert is silenced in two clicks and the silence ended":      silencing,
		"who may not silence is told so":                                silencingRefused,
		"exits are listed newest first and lead to their charts":        exitsPage,
		"no exit is told from no agent":                                 noExits,
		"nodes are listed by their trouble, with what doctor says":      nodesPage,
		"a runbook is rendered":                                         runbook,
		"the pages work below a path of a proxy":                        belowAPath,
		"a collector that wants a token gets one":                       tokenAsked,
		"one panel alone has its own address":                           panelAlone,
		"the keyboard reaches everything":                               keyboard,
	} {
		t.Run(name, func(t *testing.T) {
			handler, api := scripted(t)
			test(t, newTab(t, chromium, handler), api)
		})
	}
}

func drawsEveryPanel(t *testing.T, p *tab, _ *scriptedAPI) {
	p.screen(1440, 1300)
	p.open("/?from=now-3h&to=now&refresh=")
	for _, title := range []string{"Containers running", "OOM kills, 24 h", "Memory in use", "Firing alerts", "Containers", "Use of limits", "CPU by project", "Throttled", "About"} {
		if state := p.text(fmt.Sprintf(`document.querySelector('.panel[data-title=%q]').dataset.state`, title)); state != "drawn" {
			t.Errorf("panel %q is %s, want drawn: %s", title, state, p.panelText(title))
		}
	}
	if n := evaluate[int](p, `document.querySelectorAll('.panel.timeseries canvas').length`); n != 2 {
		t.Errorf("%d canvases, want 2", n)
	}
	for title, want := range map[string]string{"Memory in use": "3.5TiB", "OOM kills, 24 h": "3", "Firing alerts": "critical\n0\nwarning\n2"} {
		if got := strings.TrimSpace(p.panelText(title)); got != want {
			t.Errorf("panel %q shows %q, want %q", title, got, want)
		}
	}
	if got := p.panelText("Containers"); !strings.Contains(got, "no limit") || !strings.Contains(got, "95%") {
		t.Errorf("table lacks the mapped text or the share of the limit: %s", got)
	}
	p.shot("fleet-dark")
	p.clean()
}

func labelValuesStayText(t *testing.T, p *tab, _ *scriptedAPI) {
	p.screen(1440, 1300)
	p.open("/")
	if got := p.text(`document.title`); got != "Fleet overview · Plimsoll" {
		t.Errorf("title is %q: a label value has run", got)
	}
	if p.truth(`document.querySelector('main script, main img')`) {
		t.Error("a label value has become an element")
	}
	if !strings.Contains(p.panelText("Containers"), "<script>document.title") || !strings.Contains(p.panelText("CPU by project"), "<script>document.title") {
		t.Error("the hostile value is not shown as text")
	}
	shown := p.text(`[...document.querySelectorAll('td a')].find(a => a.textContent.startsWith('<script>')).textContent`)
	whole := p.text(`[...document.querySelectorAll('td')].find(a => a.textContent.startsWith('<script>')).title`)
	if len([]rune(shown)) > 120 || whole != hostile {
		t.Errorf("long value: %d characters shown, want at most 120 with the whole of it in the title (%d of %d)", len([]rune(shown)), len(whole), len(hostile))
	}
	p.clean()
}

func rowsLead(t *testing.T, p *tab, _ *scriptedAPI) {
	p.open("/?from=now-2h&to=now&var-idc=bj&var-idc=sh")
	href := p.text(`[...document.querySelectorAll('td a')].find(a => a.textContent === 'worker-with-a-rather-long-name-7f9c4d').getAttribute('href')`)
	if want := "/d/cont-container?var-idc=bj&var-idc=sh&var-container=worker-with-a-rather-long-name-7f9c4d&from=now-2h&to=now"; href != want {
		t.Errorf("link is %s\nwant    %s", href, want)
	}
	p.do(chromedp.Click(`.panel.table tbody tr:nth-child(3) td:last-child`))
	p.wait(`location.pathname === '/d/cont-container'`)
	p.settle()
	if got := p.text(`document.querySelector('[data-variable="container"]').innerText.replace(/\s+/g, ' ')`); got != "Container web" {
		t.Errorf("the container page shows %q, want Container web", got)
	}
	p.clean()
}

func variablesFromAddress(t *testing.T, p *tab, api *scriptedAPI) {
	p.screen(1440, 1300)
	p.open("/?var-idc=bj&var-idc=s.h&var-cluster=All&from=now-6h&to=now")
	found := api.expressions("containers_now")
	if want := `containers_now{idc=~"(bj|s\\.h)", cluster=~".*"}`; len(found) == 0 || found[0] != want {
		t.Errorf("query %q\nwant  %q", found, want)
	}
	for _, q := range api.asked() {
		if strings.Contains(q.Get("query"), "cpu_by_project") && q.Get("step") != "120" {
			t.Errorf("step %s s for 6 h on half a page, want 120", q.Get("step"))
		}
		if strings.Contains(q.Get("query"), "$") {
			t.Errorf("a variable is left in %s", q.Get("query"))
		}
	}
	p.clean()
}

func choosingAValue(t *testing.T, p *tab, api *scriptedAPI) {
	p.open("/")
	p.do(chromedp.Click(`[data-variable="idc"]`))
	p.wait(`document.querySelectorAll('.popover .options input').length === 5`)
	p.shot("variable-menu")
	p.do(chromedp.KeyEvent("gz"), chromedp.KeyEvent("\r"))
	p.wait(`new URLSearchParams(location.search).get('var-idc') === 'gz'`)
	p.settle()
	if len(api.expressions(`idc=~"gz"`)) == 0 {
		t.Error("no query asks for gz")
	}
	p.do(chromedp.NavigateBack())
	p.wait(`!location.search.includes('var-idc=gz') && document.documentElement.dataset.ready === 'true'`)
	p.clean()
}

func hostileValue(t *testing.T, p *tab, api *scriptedAPI) {
	p.open("/?var-idc=" + url.QueryEscape(hostile))
	found := api.expressions("containers_now")
	if len(found) == 0 || !strings.Contains(found[0], `idc=~"<script>document\\.title=\"owned\"</script>`) {
		t.Errorf("query %.200q", found)
	}
	if p.text(`document.title`) != "Fleet overview · Plimsoll" {
		t.Error("a variable's value has run")
	}
	p.clean()
}

func foldedRow(t *testing.T, p *tab, api *scriptedAPI) {
	p.screen(1440, 1600)
	p.open("/")
	if n := len(api.expressions("folded_metric")); n != 0 {
		t.Errorf("%d queries of a folded row", n)
	}
	evaluate[bool](p, `(([...document.querySelectorAll('.section h2 button')].at(-1)).click(), true)`)
	p.wait(`document.querySelector('.panel[data-title="In the fold"]').dataset.state === 'drawn'`)
	p.clean()
}

func troubleExplained(t *testing.T, p *tab, _ *scriptedAPI) {
	p.open("/d/trouble?var-idc=bj")
	for title, want := range map[string]string{
		"Broken":       `missing closing brace in "broken_metric{"`,
		"Absent":       "No series named container_absent_total in this range\nIs an agent running, and are there containers on its host? plimsoll-agent doctor",
		"Filtered":     "No series match this selection",
		"Compared":     "Nothing passes this query’s condition",
		"Stale":        "No new samples of stale_metric at the end of this range",
		"Unknown kind": "This page does not draw “heatmap” panels",
		"Half broken":  "Query B: missing closing brace",
	} {
		if got := strings.Join(strings.Fields(p.panelText(title)), " "); !strings.Contains(got, strings.Join(strings.Fields(want), " ")) {
			t.Errorf("panel %q says\n%s\nwant %s", title, got, want)
		}
	}
	if !p.truth(`document.querySelector('.panel[data-title="Half broken"] canvas')`) {
		t.Error("one failing query hides the other's chart")
	}
	if p.truth(`(x => x.querySelector('.uplot').clientHeight > x.querySelector('.chart').clientHeight)(document.querySelector('.panel[data-title="Half broken"]'))`) {
		t.Error("the chart is taller than its place: the time axis is cut off")
	}
	p.do(chromedp.Click(`#events`))
	if got := p.text(`document.querySelector('.switches').innerText.replace(/\s+/g, ' ')`); got != "Releases could not be read" {
		t.Errorf("of events that can not be read the page says %q", got)
	}
	p.shot("trouble-dark")
	evaluate[bool](p, `([...document.querySelectorAll('.message button')].find(b => b.textContent === 'Clear the filters').click(), true)`)
	p.wait(`new URLSearchParams(location.search).get('var-idc') === 'All'`)
}

func senselessAddress(t *testing.T, p *tab, _ *scriptedAPI) {
	p.open("/?from=yesterday&to=now&refresh=soon&var-nonsense=1")
	if got := p.text(`document.querySelector('.problems').innerText`); !strings.Contains(got, "“yesterday” is no time. Write now-6h") || !strings.Contains(got, "“soon” is no refresh interval") {
		t.Errorf("the page says %q", got)
	}
	p.open("/?from=now&to=now-1h")
	if got := p.text(`document.querySelector('.problems').innerText`); !strings.Contains(got, "is empty: the start is not before the end") {
		t.Errorf("the page says %q", got)
	}
	if state := p.text(`document.querySelector('.panel[data-title="Throttled"]').dataset.state`); state != "drawn" {
		t.Errorf("panel is %s, want drawn over the dashboard's own range", state)
	}
	for query, want := range map[string]string{"from=0001-01-01&to=now": "outside the years 1970 to 2100", "from=now-9999y&to=now": "outside the years", "from=now%2B1h&to=now%2B2h": "has not begun: it starts in 60 min"} {
		p.open("/?" + query)
		if got := p.text(`document.querySelector('.problems').innerText`); !strings.Contains(got, want) {
			t.Errorf("%s: the page says %q, want %q", query, got, want)
		}
	}
	p.clean()
}

func youngFleet(t *testing.T, p *tab, api *scriptedAPI) {
	api.mu.Lock()
	api.since = time.Now().Add(-2 * time.Minute)
	api.mu.Unlock()
	p.open("/?from=now-6h&to=now")
	p.wait(`document.querySelector('.young')`)
	if got := p.text(`document.querySelector('.young').innerText.replace(/\s+/g, ' ')`); !strings.HasPrefix(got, "The data begin only a short while ago. Show the last ") {
		t.Errorf("the page says %q", got)
	}
	p.do(chromedp.Click(`.young button`))
	p.wait(`/^now-\d+m$/.test(new URLSearchParams(location.search).get('from'))`)
	p.clean()
}

const chartBox = `JSON.stringify((r => [r.left, r.top, r.width, r.height])(document.querySelector('.panel[data-title="CPU by project"] .u-over').getBoundingClientRect()))`

func overChart(p *tab) (left, top, width, height float64) {
	p.t.Helper()
	p.screen(1440, 1300)
	if _, err := fmt.Sscanf(p.text(chartBox), "[%f,%f,%f,%f]", &left, &top, &width, &height); err != nil {
		p.t.Fatal(err)
	}
	return left, top, width, height
}

func dragging(t *testing.T, p *tab, _ *scriptedAPI) {
	p.screen(1440, 1300)
	p.open("/?from=now-2h&to=now")
	left, top, width, height := overChart(p)
	p.do(chromedp.DragAndDropXY(left+width*0.25, top+height/2, left+width*0.75, top+height/2, 8))
	p.wait(`/^\d{13}$/.test(new URLSearchParams(location.search).get('from'))`)
	p.settle()
	if minutes := evaluate[float64](p, `(q => (q.get('to') - q.get('from')) / 60000)(new URLSearchParams(location.search))`); minutes < 55 || minutes > 65 {
		t.Errorf("half of two hours became %.1f minutes", minutes)
	}
	p.clean()
}

func hovering(t *testing.T, p *tab, _ *scriptedAPI) {
	p.screen(1440, 1300)
	p.open("/")
	left, top, width, height := overChart(p)
	p.do(chromedp.MouseEvent("mouseMoved", left+width/3, top+height/3), chromedp.MouseEvent("mouseMoved", left+width/2, top+height/2))
	p.wait(`document.querySelector('.tooltip:not([hidden])')`)
	got := p.text(`document.querySelector('.tooltip:not([hidden])').innerText`)
	for _, want := range []string{"capacity", "shop", "search", "billing", "mail", "<script>"} {
		if !strings.Contains(got, want) {
			t.Errorf("the tooltip lacks %s: %s", want, got)
		}
	}
	if !strings.HasPrefix(strings.Split(got, "\n")[1], "capacity") {
		t.Errorf("the greatest value is not first: %s", got)
	}
	p.shot("tooltip")
	p.clean()
}

func legendByKeyboard(t *testing.T, p *tab, _ *scriptedAPI) {
	p.screen(1440, 1300)
	p.open("/")
	entries := `[...document.querySelectorAll('.panel[data-title="Throttled"] .entry')]`
	evaluate[bool](p, `(`+entries+`.find(e => e.title === 'db').focus(), true)`)
	p.do(chromedp.KeyEvent("\r"))
	p.wait(entries + `.map(e => e.title + e.getAttribute('aria-pressed')).sort().join() === 'dbtrue,webfalse'`)
	if got := p.text(`document.activeElement.title`); got != "db" {
		t.Errorf("the focus went to %q", got)
	}
	p.do(chromedp.KeyEvent("\r"))
	p.wait(entries + `.every(e => e.getAttribute('aria-pressed') === 'true')`)
	p.clean()
}

func theme(t *testing.T, p *tab, _ *scriptedAPI) {
	p.screen(1440, 1300)
	bright := func() bool {
		return p.truth(`getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).every(c => c > 200)`)
	}
	p.open("/")
	if bright() {
		t.Error("light although the browser prefers dark")
	}
	p.media("light")
	p.settle()
	if !bright() {
		t.Error("dark although the browser prefers light")
	}
	p.shot("fleet-light")
	p.do(chromedp.Click(`#theme`))
	if bright() {
		t.Error("still light after the switch")
	}
	p.open("/alerts")
	if bright() {
		t.Error("the choice is forgotten on the next page")
	}
	evaluate[bool](p, `(localStorage.clear(), true)`)
	p.clean()
}

func phone(t *testing.T, p *tab, _ *scriptedAPI) {
	p.screen(390, 844)
	for _, path := range []string{"/", "/d/trouble", "/d/cont-container", "/alerts", "/nodes", "/runbooks/ContainerOOMKilled", "/nowhere"} {
		p.open(path)
		if over := evaluate[int](p, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
			t.Errorf("%s is %d px wider than the screen", path, over)
		}
		p.shot("phone" + strings.ReplaceAll(path, "/", "-"))
	}
	p.open("/")
	for _, button := range []string{"#range", "#dashboards", `[data-variable="cluster"]`} {
		p.do(chromedp.Click(button))
		p.wait(`document.querySelector('.popover')`)
		if p.truth(`(r => r.left < 0 || r.right > innerWidth)(document.querySelector('.popover').getBoundingClientRect())`) {
			t.Errorf("the box under %s leaves the screen", button)
		}
		p.shot("phone-box" + strings.Trim(button, `#[]"`))
		p.do(chromedp.KeyEvent("\x1b"))
		p.wait(`!document.querySelector('.popover')`)
	}
}

func panelAlone(t *testing.T, p *tab, _ *scriptedAPI) {
	p.open("/?viewPanel=11")
	if got := p.text(`[...document.querySelectorAll('.panel')].map(x => x.dataset.title).join()`); got != "Throttled" {
		t.Errorf("panels shown: %s", got)
	}
	p.open("/?viewPanel=999")
	if got := p.text(`document.querySelector('.notice').innerText`); !strings.Contains(got, "There is no panel 999") {
		t.Errorf("the page says %q", got)
	}
	p.clean()
}

func keyboard(t *testing.T, p *tab, _ *scriptedAPI) {
	p.open("/")
	var path []string
	for range 60 {
		p.do(chromedp.KeyEvent("\t"))
		if p.truth(`document.activeElement === document.body`) {
			break // round once
		}
		path = append(path, p.text(`(e => e.id || e.dataset.variable || e.getAttribute('aria-label') || e.textContent.trim().slice(0, 30))(document.activeElement)`))
		if !p.truth(`(e => { const s = getComputedStyle(e); return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1 })(document.activeElement)`) {
			t.Errorf("the focus cannot be seen on %s", path[len(path)-1])
		}
	}
	order := strings.Join(path, " | ")
	at := -1
	for _, want := range []string{"Skip to content", "dashboards", "Alerts", "Nodes", "theme", "idc", "cluster", "range", "refresh", "Now", "About Containers running"} {
		next := strings.Index(order[at+1:], want)
		if next < 0 {
			t.Fatalf("%s is not reached, or out of order: %s", want, order)
		}
		at += 1 + next
	}
	p.do(chromedp.Focus(`#range`), chromedp.KeyEvent("\r"))
	p.wait(`document.querySelector('.popover')?.contains(document.activeElement)`)
	p.shot("time-picker")
	p.do(chromedp.KeyEvent("\x1b"))
	p.wait(`document.activeElement.id === 'range' && !document.querySelector('.popover')`)
	p.clean()
}
