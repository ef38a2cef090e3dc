package ui

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

func alertsPage(t *testing.T, p *tab, _ *scriptedAPI) {
	p.open("/alerts")
	p.wait(`document.querySelectorAll('tbody tr').length === 2`)
	got := p.text(`[...document.querySelectorAll('tbody tr')].map(r => r.cells[1].innerText).join()`)
	if got != "ContainerOOMKilled,ContainerThrottled" {
		t.Errorf("order is %s, and Watchdog is no trouble", got)
	}
	if links := p.text(`[...document.querySelectorAll('tbody a')].map(a => a.getAttribute('href')).join()`); links != "/runbooks/ContainerOOMKilled" {
		t.Errorf("links are %q: the runbook is here, and javascript: is no link", links)
	}
	if got := p.text(`[...document.querySelectorAll('.toolbar .tab')].map(b => b.innerText).join()`); got != "All 2,Firing 1,Pending 1,Silenced 0,Not armed 1" {
		t.Errorf("the states are %q", got)
	}
	p.shot("alerts-dark")
	p.do(chromedp.Click(`.tab[data-key="pending"]`))
	p.wait(`document.querySelectorAll('tbody tr').length === 1 && location.search === '?state=pending'`)
	p.do(chromedp.Click(`.tab[data-key="all"]`))
	p.do(chromedp.SendKeys(`input[type=search]`, "search"))
	p.wait(`document.querySelectorAll('tbody tr').length === 1 && location.search === '?q=search'`)
	p.open("/alerts?state=pending&q=nothing-like-it")
	if got := p.text(`document.querySelector('.message').innerText`); !strings.Contains(got, "No alert matches this filter") {
		t.Errorf("the page says %q", got)
	}
	p.clean()
}

func noAlerts(t *testing.T, p *tab, api *scriptedAPI) {
	api.alerts = `{"status":"success","data":{"alerts":[]}}`
	p.open("/alerts")
	if got := p.text(`document.querySelector('.message').innerText`); !strings.Contains(got, "Nothing is firing") || !strings.Contains(got, "1 alert rule is loaded, last evaluated") {
		t.Errorf("the page says %q", got)
	}
	if got := p.text(`document.querySelector('#silences').innerText`); !strings.Contains(got, "None. Silence on an alert makes one") {
		t.Errorf("of silences the page says %q", got)
	}
	p.clean()
}

func unarmedAndNoisy(t *testing.T, p *tab, _ *scriptedAPI) {
	p.open("/alerts?state=unarmed")
	if got := p.text(`document.querySelector('tbody').innerText.replace(/\s+/g, ' ')`); got != "A container_process_file_descriptors_ratio agent group process is off" {
		t.Errorf("of rules without input the page says %q", got)
	}
	p.do(chromedp.Click(`.noisy summary`))
	p.wait(`document.querySelectorAll('.noisy li').length === 2`)
	if got := p.text(`document.querySelector('.noisy li').innerText`); got != "Flaps warning: fired 40×, 38 shorter than 5 min, never acted on: no silence, acknowledgement or release; last 2 h ago" {
		t.Errorf("of the noisiest rule the page says %q", got)
	}
	if got := p.text(`document.querySelector('.noisy').innerText`); !strings.Contains(got, "<script>") || !strings.Contains(got, "of them 2 silenced, 1 followed by a release") {
		t.Errorf("of noisy rules the page says %q", got)
	}
	p.do(chromedp.SendKeys(`input[type=search]`, "nothing-like-it"))
	p.wait(`document.querySelector('.message')?.innerText.includes('No rule matches')`)
	if !p.truth(`document.querySelector('.noisy').open && document.querySelectorAll('.noisy li').length === 2`) {
		t.Error("what was unfolded is folded after a redraw")
	}
	p.clean()
}

func silencing(t *testing.T, p *tab, api *scriptedAPI) {
	p.open("/alerts")
	evaluate[bool](p, `(localStorage.setItem('plimsoll-owner', 'ann'), true)`)
	p.do(chromedp.Click(`tbody tr:first-child button.silence`))
	p.wait(`document.querySelector('dialog#silence[open]')`)
	if got := p.text(`document.querySelector('#silence-ends').innerText`); !strings.Contains(got, "Silences 1 alert now") {
		t.Errorf("the form says %q", got)
	}
	p.shot("silence-form")
	p.do(chromedp.Click(`dialog#silence button.primary`))
	p.wait(`!document.querySelector('dialog') && document.querySelectorAll('#silences tbody tr').length === 1`)

	made := api.silenced()
	if len(made) != 1 || made[0].CreatedBy != "ann" || made[0].Comment != "Looking into it" || made[0].EndsAt.Sub(made[0].StartsAt).String() != "2h0m0s" {
		t.Fatalf("two clicks made %+v", made)
	}
	var names []string
	for _, m := range made[0].Matchers {
		names = append(names, m.Name)
		if m.Name == "container" && m.Value != hostile {
			t.Errorf("the matcher of the container is %q", m.Value)
		}
	}
	if got := strings.Join(names, ","); got != "alertname,container,idc,project" {
		t.Errorf("matchers are %s: a silence holds for one place and every severity", got)
	}
	if got := p.text(`[...document.querySelectorAll('.toolbar .tab')].map(b => b.innerText).join()`); got != "All 2,Firing 0,Pending 1,Silenced 1,Not armed 1" {
		t.Errorf("the states are %q", got)
	}
	if got := p.text(`document.querySelector('#silences tbody').innerText.replace(/\s+/g, ' ')`); !strings.Contains(got, "ann alertname ContainerOOMKilled") || !strings.Contains(got, "in 2 h 1 alert Expire now") {
		t.Errorf("the silence is listed as %q", got)
	}
	p.shot("alerts-silenced")
	p.do(chromedp.Click(`#silences tbody button`))
	p.wait(`document.querySelectorAll('#silences tbody tr').length === 0`)
	if left := api.silenced(); len(left) != 0 {
		t.Errorf("after it was ended there is %+v", left)
	}
	evaluate[bool](p, `(localStorage.clear(), true)`)
	p.clean()
}

func silencingRefused(t *testing.T, p *tab, api *scriptedAPI) {
	p.open("/alerts")
	p.do(chromedp.Click(`tbody tr:first-child button.silence`))
	p.do(chromedp.Click(`dialog#silence button.primary`))
	p.wait(`document.querySelector('#silence .bad').innerText.includes('Say who answers for it') && document.activeElement.name === 'owner'`)
	p.do(chromedp.KeyEvent("bob"))
	evaluate[bool](p, `(f => { f.value = 'soon'; f.dispatchEvent(new Event('input')); return true })(document.querySelector('#silence [name=length]'))`)
	p.wait(`document.querySelector('#silence .primary').disabled && document.querySelector('#silence-ends').innerText === 'Write 90m, 2h or 3d.'`)
	evaluate[bool](p, `([...document.querySelectorAll('.lengths button')].find(b => b.innerText === '8h').click(), true)`)
	api.set("/api/v2/silences", http.StatusForbidden)
	p.do(chromedp.Click(`dialog#silence button.primary`))
	p.wait(`document.querySelector('#silence .bad').innerText.includes('Not allowed: the script says no')`)
	p.do(chromedp.Click(`#silence .bad button`))
	p.wait(`document.querySelector('dialog#token[open]') && !document.querySelector('dialog#silence')`)
	p.do(chromedp.KeyEvent("\x1b"))
	p.wait(`!document.querySelector('dialog')`)
	if made := api.silenced(); len(made) != 0 {
		t.Errorf("refused, and yet there is %+v", made)
	}
	if !strings.Contains(p.complaints(), "403") {
		t.Error("the collector was not asked")
	}
}

func exitsPage(t *testing.T, p *tab, api *scriptedAPI) {
	p.open("/exits")
	p.wait(`document.querySelectorAll('tbody tr').length === 4`)
	if got := p.text(`[...document.querySelectorAll('.toolbar .tab')].map(b => b.innerText).join()`); got != "All 4,Crashed 2,Short-lived 1" {
		t.Errorf("the kinds are %q", got)
	}
	if got := p.text(`document.querySelector('tbody tr').innerText.replace(/\s+/g, ' ')`); !strings.HasSuffix(got, "web OOM-killed, signal 9 40.1 s 148 ms 16 MiB project shop workload web node node-1 cluster k8s-a idc bj") {
		t.Errorf("the newest is %q", got)
	}
	if got, want := p.text(`document.querySelector('tbody a').getAttribute('href')`), "/d/cont-container?from=1769846320000&to=1769846780000&var-project=shop&var-idc=bj&var-cluster=k8s-a&var-node=node-1&var-workload=web&var-container=web"; got != want {
		t.Errorf("its charts are at %s\nwant %s", got, want)
	}
	p.shot("exits-dark")
	p.do(chromedp.Click(`.tab[data-key="crashed"]`))
	p.wait(`document.querySelectorAll('tbody tr').length === 2 && location.search.includes('kind=crashed')`)
	p.do(chromedp.SendKeys(`input[name=project]`, "shop"), chromedp.KeyEvent("\r"))
	p.wait(`location.search.includes('project=shop')`)
	p.wait(`document.querySelectorAll('tbody tr').length === 1`)
	if got := api.lastExits.Get("project"); got != "shop" {
		t.Errorf("the collector was asked for project %q", got)
	}
	p.open("/exits?since=yesterday")
	p.wait(`document.querySelector('.message.bad')`)
	if got := p.text(`document.querySelector('.message.bad').innerText`); !strings.Contains(got, "parameter since") {
		t.Errorf("of a time that is none the page says %q", got)
	}
}

func noExits(t *testing.T, p *tab, api *scriptedAPI) {
	p.open("/exits?project=none-like-it&since=1h")
	p.wait(`document.querySelector('.message')`)
	if got := p.text(`document.querySelector('.message').innerText.replace(/\s+/g, ' ')`); got != "No exit matches this choice In the last hour. Filters compare whole values. Show all exits" {
		t.Errorf("the page says %q", got)
	}
	p.do(chromedp.Click(`.message button`))
	p.wait(`document.querySelectorAll('tbody tr').length === 4`)
	api.mu.Lock()
	api.noExits = true
	api.mu.Unlock()
	p.open("/exits")
	p.wait(`document.querySelector('.message')?.innerText.includes('No container ended in the last 24 hours')`)
	if got := p.text(`document.querySelector('.message').innerText`); !strings.Contains(got, "2 agents tell of every end as it happens") {
		t.Errorf("the page says %q", got)
	}
	p.clean()
}

func nodesPage(t *testing.T, p *tab, _ *scriptedAPI) {
	p.open("/nodes")
	p.wait(`document.querySelectorAll('tbody tr').length === 3`)
	if got := p.text(`[...document.querySelectorAll('tbody tr')].map(r => r.cells[3].innerText).join()`); got != "never,15 min ago,3 s ago" {
		t.Errorf("last data by row is %q: the one nobody heard of first, then the silent one", got)
	}
	if got := p.text(`document.querySelectorAll('tbody tr')[1].cells[4].innerText.replace(/\s+/g, ' ')`); got != "Docker does not answer Containers have no names, health or restarts from it: check --docker.host and the socket’s permissions." {
		t.Errorf("of a node that can not see Docker the page says %q", got)
	}
	if got := p.text(`document.querySelector('tbody').lastChild.innerText.replace(/\s+/g, ' ')`); got != "node-1 bj k8s-a 3 s ago all well 42 1.5 s 7 5.2 s 0.1.0" {
		t.Errorf("the well node's row is %q", got)
	}
	if got := p.text(`document.querySelector('.toolbar').innerText`); !strings.Contains(got, "3 nodes, 2 silent, 1 with findings, 2 agent versions") {
		t.Errorf("the bar says %q", got)
	}
	if got := p.text(`document.querySelector('tbody').lastChild.querySelector('a').getAttribute('href')`); got != "/d/cont-node?var-idc=bj&var-cluster=k8s-a&var-node=node-1" {
		t.Errorf("the node leads to %s", got)
	}
	p.shot("nodes-dark")
	p.do(chromedp.SendKeys(`input[type=search]`, "node-1"))
	p.wait(`document.querySelectorAll('tbody tr').length === 1 && location.search === '?q=node-1'`)
	p.clean()
}

func senselessVariables(t *testing.T, p *tab, _ *scriptedAPI) {
	p.open("/?var-idc=nowhere&var-idc=bj&var-projct=shop&var-container=web")
	p.wait(`document.querySelectorAll('.problems p').length === 2`)
	got := p.text(`document.querySelector('.problems').innerText.replace(/\s+/g, ' ')`)
	for _, want := range []string{"No series in this time has IDC “nowhere”. Choose IDC", "The address sets a variable “projct”, which no dashboard has"} {
		if !strings.Contains(got, want) {
			t.Errorf("the page says %q, want %q", got, want)
		}
	}
	p.do(chromedp.Click(`.problems button`))
	p.wait(`document.querySelector('.popover [type=checkbox]')`)
	p.clean()
}

func events(t *testing.T, p *tab, api *scriptedAPI) {
	p.screen(1440, 1300)
	p.open("/?from=now-1h&to=now")
	p.wait(`document.querySelector('#events .chosen')?.innerText === '3'`)
	if found := api.expressions("marks_oom"); len(found) != 1 || found[0] != `marks_oom{idc=~".*"} offset 60s` {
		t.Errorf("asked %q", found)
	}
	colored := func() int { // columns of the CPU chart with the mark's red in its lower half
		return evaluate[int](p, `(() => {
			const canvas = document.querySelector('.panel[data-title="CPU by project"] canvas');
			const { width, height } = canvas;
			const data = canvas.getContext('2d').getImageData(0, height / 2, width, height / 2).data;
			const columns = new Set();
			for (let i = 0; i < data.length; i += 4) if (data[i] > 200 && data[i + 1] < 130 && data[i + 2] < 140) columns.add((i / 4) % width);
			return columns.size;
		})()`)
	}
	if n := colored(); n < 20 {
		t.Errorf("%d columns of the chart are red, want three marks of which one lasts", n)
	}
	p.do(chromedp.Click(`#events`))
	p.wait(`document.querySelectorAll('.events button').length === 3`)
	if got := p.text(`document.querySelector('.switches').innerText.replace(/\s+/g, ' ')`); got != "OOM kills 3 Releases 0" {
		t.Errorf("the switches say %q", got)
	}
	if got := p.text(`document.querySelector('.events').innerText`); !strings.Contains(got, "OOM kill: shop") || !strings.Contains(got, "<script>") {
		t.Errorf("the list says %q", got)
	}
	p.shot("events")
	p.do(chromedp.Click(`.switches input`))
	p.wait(`document.querySelectorAll('.events button').length === 0`)
	n := colored()
	for deadline := time.Now().Add(p.patience); n != 0 && time.Now().Before(deadline); n = colored() { // a chart is drawn anew a frame later
		time.Sleep(50 * time.Millisecond)
	}
	if n != 0 {
		t.Errorf("%d columns are red after the marks were switched off", n)
	}
	p.do(chromedp.Click(`.switches input`))
	p.do(chromedp.Click(`.events li:first-child button`))
	p.wait(`(q => q.get('to') - q.get('from') === 1800000)(new URLSearchParams(location.search))`)
	p.wait(`document.querySelector('.events') === null`)
}

func keys(t *testing.T, p *tab, _ *scriptedAPI) {
	p.open("/?from=now-2h&to=now")
	p.do(chromedp.KeyEvent("?"))
	p.wait(`document.querySelector('#key-list[open]')`)
	if got := p.text(`document.querySelector('#key-list').innerText.replace(/\s+/g, ' ')`); !strings.Contains(got, "g a Go to the alerts") || !strings.Contains(got, "t Choose the time") {
		t.Errorf("the list of keys says %q", got)
	}
	p.shot("keys")
	p.do(chromedp.KeyEvent("\x1b"))
	p.wait(`!document.querySelector('dialog')`)
	p.do(chromedp.KeyEvent("["))
	p.wait(`/^\d+$/.test(new URLSearchParams(location.search).get('from'))`)
	if hours := evaluate[float64](p, `(q => (Date.now() - q.get('to')) / 3600000)(new URLSearchParams(location.search))`); hours < 0.99 || hours > 1.05 {
		t.Errorf("half of two hours back ends %.2f hours ago", hours)
	}
	p.do(chromedp.KeyEvent("t"))
	p.wait(`document.querySelector('.popover input[name=from]')`)
	p.do(chromedp.Focus(`.popover input[name=from]`), chromedp.KeyEvent("ga"))
	if path := p.text(`location.pathname`); path != "/" {
		t.Errorf("typing in a field led to %s", path)
	}
	p.do(chromedp.KeyEvent("\x1b"))
	p.do(chromedp.KeyEvent("g"), chromedp.KeyEvent("a"))
	p.wait(`location.pathname === '/alerts' && document.documentElement.dataset.ready === 'true'`)
	p.do(chromedp.KeyEvent("/"))
	p.wait(`document.activeElement.type === 'search'`)
	p.clean()
}

// A reverse proxy may serve the pages below a path of its own, and the pages are not told.
func belowAPath(t *testing.T, p *tab, _ *scriptedAPI) {
	p.handler = http.StripPrefix("/ops/plimsoll", p.handler)
	for _, path := range []string{"/", "/d/cont-container/any-slug", "/alerts", "/exits", "/nodes", "/runbooks/", "/runbooks/ContainerOOMKilled"} {
		p.open("/ops/plimsoll" + path)
		if astray := p.text(`[...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href')).filter(h => h.startsWith('/') && !h.startsWith('/ops/plimsoll/'))`); astray != "" {
			t.Errorf("%s links outside: %s", path, astray)
		}
	}
	p.do(chromedp.Click(`article a`))
	p.wait(`location.pathname === '/ops/plimsoll/d/cont-container'`)
	p.open("/ops/plimsoll/?from=now-2h&to=now")
	p.do(chromedp.Click(`.panel.table tbody tr:nth-child(3) td:last-child`))
	p.wait(`location.pathname === '/ops/plimsoll/d/cont-container'`)
	p.settle()
	p.clean()
}

func runbook(t *testing.T, p *tab, _ *scriptedAPI) {
	p.open("/runbooks/ContainerOOMKilled")
	if p.truth(`document.querySelector('article script')`) || p.truth(`[...document.querySelectorAll('article a')].some(a => a.protocol === 'javascript:')`) {
		t.Error("the runbook's text has become markup")
	}
	if got := p.text(`document.querySelector('article pre').innerText`); !strings.Contains(got, `echo "<b>"`) {
		t.Errorf("code is %q", got)
	}
	p.shot("runbook-dark")
	p.clean()
}

func tokenAsked(t *testing.T, p *tab, api *scriptedAPI) {
	api.fail["/api/v1/alerts"] = http.StatusUnauthorized
	p.open("/alerts")
	p.wait(`document.querySelector('dialog[open]')`)
	p.shot("token")
	api.mu.Lock()
	delete(api.fail, "/api/v1/alerts")
	api.mu.Unlock()
	p.do(chromedp.SendKeys(`dialog input`, "secret"), chromedp.KeyEvent("\r"))
	p.wait(`!document.querySelector('dialog') && document.querySelectorAll('tbody tr').length === 2`)
	if got := p.text(`sessionStorage.getItem('plimsoll-token')`); got != "secret" {
		t.Errorf("token kept is %q", got)
	}
}
