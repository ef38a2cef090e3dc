package ui

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/plimsoll/plimsoll/dashboards"
)

// What the page promises with 10,000 containers in the engine.
const (
	paintBar = 1500 * time.Millisecond
	queryBar = 300 * time.Millisecond
)

// TestShowLargeFleet opens the real collector's pages in a real Chromium over 10,000 containers: it times the first paint of the fleet page
// and every query that the ten dashboards ask, each alone.
func TestShowLargeFleet(t *testing.T) {
	if os.Getenv("PLIMSOLL_SHOW") != "ui-10k" {
		t.Skip("takes ten minutes: make show-ui-10k")
	}
	containers := 10_000
	if n, err := strconv.Atoi(os.Getenv("PLIMSOLL_SHOW_CONTAINERS")); err == nil {
		containers = n
	}
	collector, pid := startCollector(t)
	fleet := newLargeFleet(t, collector, containers)
	began := time.Now()
	fleet.send(fleet.end.Add(-70*time.Minute), fleet.end)
	t.Logf("%d containers on %d nodes, %d series, %d samples written over HTTP in %s", containers, containers/100, len(fleet.series), fleet.samples, time.Since(began).Round(time.Second))
	began = time.Now()
	rules, recorded := fleet.record()
	t.Logf("%d recording rules evaluated over the hour, %d series, in %s", rules, recorded, time.Since(began).Round(time.Second))
	defer goOn(t, fleet)()
	time.Sleep(45 * time.Second) // the collector's own evaluations and merges of what came so fast

	chromium := browser(t)
	timePaint(t, chromium, collector)
	asked := timePages(t, chromium, collector)
	timeQueries(t, collector, pid, asked)
}

// goOn sends what comes after the hour, as the agents would, until the returned function is called.
func goOn(t *testing.T, fleet *largeFleet) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for at := fleet.end; ; {
			next := time.Now().Truncate(coarse)
			if next.After(at) {
				fleet.send(at, next)
				at = next
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
		}
	}()
	return func() { cancel(); <-done }
}

// liveTab is a page of the real collector.
func liveTab(t *testing.T, browser context.Context, address string) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(browser)
	t.Cleanup(closeTab)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(cancel)
	return startTab(&tab{t: t, ctx: ctx, origin: address, patience: 2 * time.Minute})
}

// timePaint loads the fleet page five times, the first with nothing in any cache.
func timePaint(t *testing.T, browser context.Context, collector string) {
	p := liveTab(t, browser, collector)
	for n := range 5 {
		p.open("/?from=now-1h&to=now&refresh=")
		paint := time.Duration(evaluate[float64](p, `performance.getEntriesByName('first-contentful-paint')[0].startTime`) * float64(time.Millisecond))
		drawn := time.Duration(evaluate[float64](p, `Math.max(...[...document.querySelectorAll('.panel[data-drawn]')].map(x => Number(x.dataset.drawn)))`) * float64(time.Millisecond))
		t.Logf("fleet page, load %d: first paint after %s, every panel in sight drawn after %s", n+1, paint.Round(time.Millisecond), drawn.Round(time.Millisecond))
		if paint > paintBar {
			t.Errorf("first paint took %s, the bar is %s", paint, paintBar)
		}
	}
	p.shot("fleet-10k")
	p.screen(1280, 860)
	p.media("light")
	p.settle()
	p.shot("fleet-10k-light")
	p.clean()
}

// query is one that a page asked.
type query struct{ page, panel, path, form string }

// timePages opens every dashboard with every row unfolded and notes what it asks.
func timePages(t *testing.T, browser context.Context, collector string) []query {
	list, err := dashboards.Load(dashboards.FS())
	if err != nil {
		t.Fatal(err)
	}
	queries := regexp.MustCompile(`/api/v1/(query|query_range|series|label/\w+/values)\?|/api/v1/(query|query_range)$`)
	var all []query
	for _, d := range list {
		p := liveTab(t, browser, collector)
		var mu sync.Mutex
		var asked []query
		if err := chromedp.Listen(p.ctx, func(event any) {
			e, ok := event.(*network.EventRequestWillBeSent)
			if !ok || !queries.MatchString(e.Request.URL) {
				return
			}
			address, form, _ := strings.Cut(e.Request.URL, "?")
			for _, part := range e.Request.PostDataEntries {
				form += string(part.Bytes)
			}
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, query{page: d.UID, path: strings.TrimPrefix(address, collector), form: form})
		}); err != nil {
			t.Fatal(err)
		}
		p.open("/d/" + d.UID + "?refresh=")
		evaluate[bool](p, `([...document.querySelectorAll('.section > h2 > [aria-expanded="false"]')].forEach(b => b.click()), true)`)
		p.screen(1440, evaluate[int64](p, `document.documentElement.scrollHeight`))
		p.wait(`[...document.querySelectorAll('.panel')].every(x => x.dataset.state && x.dataset.state !== 'loading')`)
		p.wait(`!document.querySelector('#events') || document.querySelector('#events .chosen').innerText !== ''`)
		if bad := p.text(`[...document.querySelectorAll('.panel')].filter(x => x.dataset.state === 'error').map(x => x.dataset.title + ': ' + x.innerText).join('\n')`); bad != "" {
			t.Errorf("%s: %s", d.UID, bad)
		}
		empty := p.text(`[...document.querySelectorAll('.panel')].filter(x => x.dataset.state === 'empty').map(x => x.dataset.title).join(', ')`)
		titles := evaluate[map[string]string](p, `Object.fromEntries([...document.querySelectorAll('.panel')].flatMap(x => [...new URLSearchParams(x.querySelector('a[href*="vmui"]')?.href.split('?')[1])].filter(([k]) => k.endsWith('.expr')).map(([, v]) => [v, x.dataset.title])))`)
		mu.Lock()
		for i := range asked {
			values, _ := url.ParseQuery(asked[i].form)
			asked[i].panel = titles[values.Get("query")]
			if asked[i].panel == "" && asked[i].path == "/api/v1/query_range" {
				asked[i].panel = "events"
			}
		}
		all = append(all, asked...)
		t.Logf("%s: %d requests; empty panels: %s", d.UID, len(asked), cmp.Or(empty, "none"))
		mu.Unlock()
		p.shot(d.UID + "-10k")
		p.clean()
	}
	return all
}

// spent is what a query took: by the clock, and of the collector's CPU time.
type spent struct{ clock, cpu time.Duration }

// least is the better witness: on a machine that does other work the clock runs on, and the collector does other work too.
func (s spent) least() time.Duration { return min(s.clock, s.cpu) }

func (s spent) String() string {
	return fmt.Sprintf("%5.0f (CPU %4.0f)", s.clock.Seconds()*1000, s.cpu.Seconds()*1000)
}

// timeQueries asks each again, alone: without the engine's cache of results three times, of which the best counts, since others use this
// machine too; then with it, as a page that refreshes does.
func timeQueries(t *testing.T, collector string, pid int, asked []query) {
	type timed struct {
		query
		plain, cached spent
	}
	known := map[string]bool{}
	var all []timed
	for _, q := range asked {
		if key := q.path + q.form; known[key] {
			continue
		} else {
			known[key] = true
		}
		one := timed{query: q, plain: timeOne(t, pid, collector+q.path, q.form+"&nocache=1")}
		for range 2 {
			if again := timeOne(t, pid, collector+q.path, q.form+"&nocache=1"); again.least() < one.plain.least() {
				one.plain = again
			}
		}
		timeOne(t, pid, collector+q.path, q.form)
		one.cached = timeOne(t, pid, collector+q.path, q.form)
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b timed) int { return cmp.Compare(b.plain.least(), a.plain.least()) })
	t.Logf("%d queries; milliseconds by the clock (and of the collector's CPU), without and with the cache of results", len(all))
	slow := 0
	for _, q := range all {
		form, _ := url.ParseQuery(q.form)
		t.Logf("%s %s  %-16s %-40.40s %s", q.plain, q.cached, q.page, q.panel, strings.Join(strings.Fields(cmp.Or(form.Get("query"), form.Get("match[]"), q.path)), " "))
		if q.plain.least() > queryBar {
			slow++
		}
	}
	if slow > 0 {
		t.Errorf("%d of %d queries take longer than %s", slow, len(all), queryBar)
	}
}

func timeOne(t *testing.T, pid int, address, form string) spent {
	t.Helper()
	began, before := time.Now(), cpuOf(pid)
	answer, err := http.Post(address, "application/x-www-form-urlencoded", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("%s %s: %s %.300s %v", address, form, answer.Status, text, err)
	}
	return spent{time.Since(began), cpuOf(pid) - before}
}

// cpuOf is the CPU time of a process so far, utime and stime of /proc/PID/stat in hundredths of a second.
func cpuOf(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if err != nil || len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
