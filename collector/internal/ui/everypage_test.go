package ui

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/plimsoll/plimsoll/dashboards"
)

// TestEveryPageInABrowser holds every page, the dashboards the collector ships among them, to what is asked of all: drawn without an
// error or a failed request, without a serious or critical finding of axe-core in dark and light, and no wider than a phone.
func TestEveryPageInABrowser(t *testing.T) {
	t.Parallel()
	axe := axeCore(t)
	chromium := browser(t)
	list, err := dashboards.Load(dashboards.FS())
	if err != nil {
		t.Fatal(err)
	}
	minor := 0
	visit := func(name, path string, look func(*testing.T, *tab, *scriptedAPI)) {
		t.Run(name, func(t *testing.T) {
			handler, api := scriptedFor(t, dashboards.FS())
			p := newTab(t, chromium, handler)
			p.open(path)
			look(t, p, api)
			minor += p.axe(axe, name+" dark")
			p.shot(name + "-desktop-dark")
			p.media("light")
			p.settle()
			p.axe(axe, name+" light", "color-contrast")
			p.shot(name + "-desktop-light")
			p.screen(390, 844)
			p.settle()
			if over := evaluate[int](p, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
				t.Errorf("%d px wider than a phone", over)
			}
			p.shot(name + "-phone-light")
			if artifacts() != "" {
				p.media("dark")
				p.settle()
				p.shot(name + "-phone-dark")
			}
			p.clean()
		})
	}
	for _, d := range list {
		visit(d.UID, "/d/"+d.UID, func(t *testing.T, p *tab, api *scriptedAPI) { everyPanelIsDrawn(t, p, api, len(d.Panels)) })
	}
	nothingMore := func(*testing.T, *tab, *scriptedAPI) {}
	visit("alerts", "/alerts", silenceOne)
	visit("alerts-not-armed", "/alerts?state=unarmed", nothingMore)
	visit("silence-form", "/alerts", func(_ *testing.T, p *tab, _ *scriptedAPI) {
		p.do(chromedp.Click(`button.silence`))
		p.wait(`document.querySelector('dialog[open]')`)
	})
	visit("keys", "/nodes", func(_ *testing.T, p *tab, _ *scriptedAPI) {
		p.do(chromedp.KeyEvent("?"))
		p.wait(`document.querySelector('dialog[open]')`)
	})
	visit("menu", "/exits", func(_ *testing.T, p *tab, _ *scriptedAPI) {
		p.do(chromedp.Click(`#dashboards`))
		p.wait(fmt.Sprintf(`document.querySelectorAll('.places a').length === %d`, len(list)))
	})
	visit("exits", "/exits", nothingMore)
	visit("nodes", "/nodes", nothingMore)
	visit("runbooks", "/runbooks/", nothingMore)
	visit("runbook", "/runbooks/ContainerOOMKilled", nothingMore)
	t.Logf("axe-core: 0 serious or critical findings unless said above, %d of less weight", minor)
}

func everyPanelIsDrawn(t *testing.T, p *tab, api *scriptedAPI, panels int) {
	evaluate[bool](p, `([...document.querySelectorAll('.section > h2 > [aria-expanded="false"]')].forEach(b => b.click()), true)`)
	p.screen(1440, evaluate[int64](p, `document.documentElement.scrollHeight`))
	p.wait(`[...document.querySelectorAll('.panel')].every(x => x.dataset.state && x.dataset.state !== 'loading')`)
	if n := evaluate[int](p, `document.querySelectorAll('.panel').length`); n != panels {
		t.Errorf("%d panels on the page, %d in the file", n, panels)
	}
	if bad := p.text(`[...document.querySelectorAll('.panel')].filter(x => x.dataset.state !== 'drawn' || /Not applied here/.test(x.innerText)).map(x => x.dataset.title + ': ' + x.innerText).join('\n')`); bad != "" {
		t.Errorf("not drawn:\n%s", bad)
	}
	for _, q := range api.asked() {
		if strings.Contains(q.Get("query"), "$") && !strings.Contains(q.Get("query"), "label_replace") {
			t.Errorf("a variable is left in %s", q.Get("query"))
		}
	}
}

func silenceOne(_ *testing.T, p *tab, _ *scriptedAPI) {
	p.do(chromedp.Click(`button.silence`))
	p.wait(`document.querySelector('dialog[open]')`)
	p.do(chromedp.SendKeys(`[name=owner]`, "ann"), chromedp.Click(`dialog .primary`))
	p.wait(`document.querySelectorAll('#silences tbody tr').length === 1`)
	evaluate[bool](p, `(localStorage.clear(), true)`)
}
