package ui

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser starts one Chromium for a test and its subtests. Without Chromium the test is skipped, or fails where CI=true.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no browser: %v (apt-get install chromium)", err)
		}
		t.Skipf("no browser: %v", err)
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(allocator)
	t.Cleanup(end)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return ctx
}

// origin is where the pages seem to be. Its requests never reach a network: the test answers them from the handler itself, since
// Chromium breaks off every request, loopback's too, when an interface of the machine comes or goes, as container hosts' do all the time.
const origin = "http://collector.test"

// tab is one page and everything that went wrong in it.
type tab struct {
	t        *testing.T
	ctx      context.Context
	origin   string
	handler  http.Handler  // nil: origin is a real address
	patience time.Duration // of wait

	mu       sync.Mutex
	problems []string
}

func newTab(t *testing.T, browser context.Context, handler http.Handler) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(browser)
	t.Cleanup(closeTab)
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	return startTab(&tab{t: t, ctx: ctx, origin: origin, handler: handler, patience: time.Minute})
}

func startTab(p *tab) *tab {
	p.t.Helper()
	if err := chromedp.Listen(p.ctx, p.listen); err != nil {
		p.t.Fatal(err)
	}
	if p.handler != nil {
		call(p, fetch.Enable, fetch.EnableParams{})
	}
	call(p, network.Enable, network.EnableParams{})
	call(p, log.Enable, cdp.Empty{})
	call(p, runtime.Enable, cdp.Empty{})
	p.screen(1440, 1000)
	p.media("dark")
	return p
}

// call runs one command of the browser's protocol.
func call[P, R any](p *tab, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	result, err := chromedp.Call(p.ctx, command, params)
	if err != nil {
		p.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

func (p *tab) listen(event any) {
	var problem string
	switch e := event.(type) {
	case *fetch.EventRequestPaused:
		go p.answer(e) // the listener itself must not wait
	case *runtime.EventExceptionThrown:
		problem = fmt.Sprintf("exception: %s %s", e.ExceptionDetails.Text, described(e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			problem = fmt.Sprintf("console %s: %s", e.Type, described(e.Args[0]))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			problem = fmt.Sprintf("log %s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
		}
	case *network.EventLoadingFailed:
		if !e.Canceled {
			problem = "request failed: " + e.ErrorText
		}
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			problem = fmt.Sprintf("request failed: %d %s", e.Response.Status, e.Response.URL)
		}
	}
	if problem != "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.problems = append(p.problems, problem)
	}
}

// answer gives the page the handler's response. A request to any other origin fails, and so the test.
func (p *tab) answer(e *fetch.EventRequestPaused) {
	path, ours := strings.CutPrefix(e.Request.URL, origin)
	if !ours {
		_, _ = chromedp.Call(p.ctx, fetch.FailRequest, fetch.FailRequestParams{RequestID: e.RequestID, ErrorReason: network.ErrorReasonAccessDenied})
		return
	}
	var body bytes.Buffer
	for _, part := range e.Request.PostDataEntries {
		body.Write(part.Bytes)
	}
	r := httptest.NewRequest(e.Request.Method, path, &body)
	r.Host = strings.TrimPrefix(origin, "http://")
	for name, value := range e.Request.Headers {
		r.Header.Set(name, fmt.Sprint(value))
	}
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	reply := fetch.FulfillRequestParams{RequestID: e.RequestID, ResponseCode: int64(w.Code), Body: w.Body.Bytes()}
	for name := range w.Result().Header {
		reply.ResponseHeaders = append(reply.ResponseHeaders, &fetch.HeaderEntry{Name: name, Value: w.Result().Header.Get(name)})
	}
	_, _ = chromedp.Call(p.ctx, fetch.FulfillRequest, reply) // a page that has gone needs no answer
}

func described(o *runtime.RemoteObject) string {
	if o == nil {
		return ""
	}
	return o.Description + string(o.Value)
}

func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.t.Fatal(err)
	}
}

func (p *tab) screen(width, height int64) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(width, height))
}

// media sets what the browser says the reader prefers: "dark" or "light".
func (p *tab) media(scheme string) {
	p.t.Helper()
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// open loads the page at a path and waits until it is drawn and no panel in sight is still waiting for data.
func (p *tab) open(path string) {
	p.t.Helper()
	p.do(chromedp.Navigate(p.origin + path))
	p.settle()
}

func (p *tab) settle() {
	p.t.Helper()
	p.wait(`document.documentElement.dataset.ready === 'true' && [...document.querySelectorAll('.panel')].every(x => {
		const r = x.getBoundingClientRect();
		return r.height === 0 || r.top > innerHeight || r.bottom < 0 || (x.dataset.state && x.dataset.state !== 'loading');
	})`)
}

// wait polls until the script's expression is true.
func (p *tab) wait(expression string) {
	p.t.Helper()
	deadline := time.Now().Add(p.patience)
	for time.Now().Before(deadline) {
		// Between two pages there is no document, or no page at all: that is not yet.
		yes, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](`(() => { try { return Boolean(`+expression+`) } catch { return false } })()`))
		if err == nil && yes {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.t.Fatalf("still not true after %s: %s\npage: %s\nproblems: %s", p.patience, expression, p.text(`document.body.innerText`), p.complaints())
}

func (p *tab) truth(expression string) bool {
	p.t.Helper()
	return evaluate[bool](p, `Boolean(`+expression+`)`)
}

func (p *tab) text(expression string) string {
	p.t.Helper()
	return evaluate[string](p, `String(`+expression+`)`)
}

// evaluate runs a script in the page and waits for the promise it may give.
func evaluate[T any](p *tab, expression string) T {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// panelText is what a reader sees in the body of the panel with this title.
func (p *tab) panelText(title string) string {
	p.t.Helper()
	return p.text(fmt.Sprintf(`document.querySelector('.panel[data-title=%q] .body')?.innerText`, title))
}

func (p *tab) complaints() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.problems, "\n")
}

// clean fails the test if anything was written to the console or any request failed.
func (p *tab) clean() {
	p.t.Helper()
	if c := p.complaints(); c != "" {
		p.t.Errorf("the page is not clean:\n%s", c)
	}
}

// artifacts is the folder for what people look at after a run; empty when nobody will.
func artifacts() string { return os.Getenv("PLIMSOLL_ARTIFACTS") }

// shot keeps a picture of what is on the screen among the artifacts.
func (p *tab) shot(name string) {
	p.t.Helper()
	if artifacts() == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatalf("screenshot %s: %v", name, err)
	}
	dir := filepath.Join(artifacts(), "screenshots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}
