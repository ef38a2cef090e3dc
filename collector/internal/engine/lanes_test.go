package engine

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/turns"
)

func TestAScanIsReadWhenTheQuerySays(t *testing.T) {
	const hour, minute = int64(3600_000), int64(60_000)
	now := 1000 * hour
	for expr, want := range map[string]string{
		`m`:                                 "-1m..0 61 points",
		`rate(m[5m])`:                       "-5m..0 61 points",
		`m offset 1h`:                       "-61m..-60m 61 points",
		`m[5m] offset -1h`:                  "55m..60m 61 points",
		`sum(rate(m[1h] offset 1h)) + 1`:    "-120m..-60m 61 points",
		`max_over_time(m[1h])`:              "-60m..0 61 points whole",
		`max_over_time(rate(m[5m])[1h:1m])`: "-65m..0 121 points",
		`m @ 3600`:                          "59m..60m of 1970 1 points",
		`m @ end()`:                         "-1m..0 61 points",
		`m @ n`:                             "all",
		`{a="b" or c="d"}`:                  "-1m..0 61 points",
		`WITH (x = m[2h]) rate(x)`:          "-120m..0 61 points",
	} {
		from, to := now-hour, now
		scans := scansOf(expr, from, to, minute, nil)
		if len(scans) == 0 {
			t.Errorf("%s: no selector is found", expr)
			continue
		}
		s := scans[0]
		text := ""
		for _, end := range []int64{s.from, s.to} {
			text += fmt.Sprint(end) + " "
		}
		rel := func(at, edge int64) string {
			if d := (at - edge) / minute; d != 0 {
				return fmt.Sprintf("%dm", d)
			}
			return "0"
		}
		got := rel(s.from, from) + ".." + rel(s.to, to)
		points := s.values - (s.to-s.from)/10_000
		switch {
		case s.from == 0 && s.to > 0:
			got = "all"
		case s.to < 10*hour:
			got = rel(s.from, 0) + ".." + rel(s.to, 0) + fmt.Sprintf(" of 1970 %d points", points)
		case points > 1000:
			got += " 61 points whole"
		default:
			got += fmt.Sprintf(" %d points", points)
		}
		if got != want {
			t.Errorf("%s: %s, want %s (%s)", expr, got, want, text)
		}
	}
	for _, expr := range []string{`1 + 2`, `{}`, `sum(`, `time()`} {
		if scans := scansOf(expr, 0, now, minute, nil); len(scans) > 0 {
			t.Errorf("%s: %+v", expr, scans)
		}
	}
	for _, expr := range []string{`m[99999999y]`, `m offset -99999999y`, `m @ 1e300`, `m[9y:1ms]`} {
		for _, s := range scansOf(expr, 0, 1<<62, 1, nil) {
			if s.from < 0 || s.to < s.from || s.values < 0 || s.values > manyValues {
				t.Errorf("%s: %+v", expr, s)
			}
		}
	}
}

// busy tells whether somebody has a turn or waits for one.
func busy(lane *turns.Turns) bool {
	taken, waiting := lane.Load()
	return taken+waiting > 0
}

// asked answers a request for who.
func asked(ctx context.Context, who, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	shared.ServeHTTP(w, httptest.NewRequest("GET", target, nil).WithContext(turns.As(ctx, who)))
	return w
}

func many(t *testing.T, name string, n int) {
	t.Helper()
	for from := 0; from < n; from += 1000 {
		tss := mustSeries(name, from, min(n-from, 1000))
		mustAppend(t, tss...)
	}
}

func TestALargeQueryWaitsAndASmallOneGoesPastIt(t *testing.T) {
	many(t, "t_lanes", lightSeries+1)
	mustAppend(t, sample("t_lanes_small", time.Now(), 1))
	var leave []func()
	for range shared.lanes.heavy.Seats() {
		one, err := shared.lanes.heavy.Take(t.Context(), fmt.Sprint("large ", len(leave)))
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, one)
	}
	for i := range 2 * shared.cfg.QueryConcurrency { // of two callers, who wait
		go asked(t.Context(), fmt.Sprint("waiting ", i%2), "/api/v1/query?query=count(t_lanes)")
	}
	if w := asked(t.Context(), "small", "/api/v1/query?query=t_lanes_small"); w.Code != 200 || !strings.Contains(w.Body.String(), "t_lanes_small") {
		t.Errorf("a small query waits: %d %s", w.Code, w.Body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if w := asked(ctx, "large", "/api/v1/query?query=count(t_lanes)"); w.Code != 429 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "its turn did not come") {
		t.Errorf("a large query does not wait: %d %s", w.Code, w.Body)
	}
	if _, err := shared.Query(turns.As(ctx, "large"), "count(t_lanes)", time.Now()); err == nil || !strings.Contains(err.Error(), "its turn did not come") {
		t.Errorf("one in-process does not wait: %v", err)
	}
	if got := mustQuery(t, "count(t_lanes)", time.Now()); len(got) != 1 || got[0].Values[0] != lightSeries+1 {
		t.Errorf("the program itself waits for readers: %+v", got)
	}
	for _, one := range leave {
		one()
	}
	if w := asked(t.Context(), "large", "/api/v1/query?query=count(t_lanes)"); w.Code != 200 || !strings.Contains(w.Body.String(), `"3001"`) {
		t.Errorf("when its turn comes: %d %s", w.Code, w.Body)
	}
	for patience := time.Now().Add(20 * time.Second); busy(shared.lanes.large) && time.Now().Before(patience); {
		time.Sleep(time.Millisecond)
	}
	for name, lane := range map[string]*turns.Turns{"answers": shared.lanes.answers, "large": shared.lanes.large, "light": shared.lanes.light, "heavy": shared.lanes.heavy} {
		if busy(lane) {
			t.Errorf("somebody still has a turn in lane %s", name)
		}
	}
}

func TestAQueryThatMatchesTooMuchIsRefusedBeforeItReads(t *testing.T) {
	many(t, "t_scanned", testScan+1)
	for _, target := range []string{
		"/api/v1/query?query=" + url.QueryEscape("count(t_scanned)"), "/api/v1/query_range?query=" + url.QueryEscape("sum(rate({__name__=~\"t_scan.*\"}[5m]))"),
		"/api/v1/series?match[]=t_scanned", "/api/v1/export?match[]=t_scanned", "/api/v1/labels?match[]=t_scanned",
	} {
		before := shared.refused["query-scan"].Load()
		w := asked(t.Context(), "curious", target)
		if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), fmt.Sprintf("--limit.query-scan=%d", testScan)) || shared.refused["query-scan"].Load() != before+1 {
			t.Errorf("%s: %d %s, counted %d", target, w.Code, w.Body, shared.refused["query-scan"].Load()-before)
		}
	}
	for _, ctx := range []context.Context{t.Context(), turns.As(t.Context(), "curious")} {
		if _, err := shared.Query(ctx, "count(t_scanned)", time.Now()); err == nil || !strings.Contains(err.Error(), "--limit.query-scan") {
			t.Errorf("in-process, %q: %v", turns.Who(ctx), err)
		}
	}
	if w := asked(t.Context(), "curious", "/api/v1/labels"); w.Code != 200 || !strings.Contains(w.Body.String(), `"i"`) {
		t.Errorf("the names of all labels: %d %s", w.Code, w.Body)
	}
	if w := asked(t.Context(), "curious", "/api/v1/query?query="+url.QueryEscape(`count(t_scanned{i=~"1.?"})`)); w.Code != 200 {
		t.Errorf("a part of it: %d %s", w.Code, w.Body)
	}
}

// TestASlowReaderHoldsNobodysTurn: an answer that is not taken gives its turn back while it is sent.
func TestASlowReaderHoldsNobodysTurn(t *testing.T) {
	many(t, "t_slow", 2000)
	stuck := &stuckWriter{ResponseRecorder: httptest.NewRecorder(), reached: make(chan struct{}), release: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		shared.ServeHTTP(stuck, httptest.NewRequest("GET", fmt.Sprintf("/api/v1/export?match[]=t_slow&end=%d", time.Now().Unix()+10), nil).WithContext(turns.As(t.Context(), "slow")))
	}()
	<-stuck.reached
	for patience := time.Now().Add(10 * time.Second); busy(shared.lanes.heavy) || busy(shared.lanes.light); time.Sleep(time.Millisecond) {
		if time.Now().After(patience) {
			t.Fatal("it holds a turn")
		}
	}
	if !busy(shared.lanes.large) {
		t.Error("it holds no place")
	}
	close(stuck.release)
	<-done
	if n := strings.Count(stuck.Body.String(), "t_slow"); n != 2000 {
		t.Errorf("%d series came", n)
	}
}

type stuckWriter struct {
	*httptest.ResponseRecorder
	reached, release chan struct{}
}

func (w *stuckWriter) Write(b []byte) (int, error) {
	select {
	case <-w.release:
	default:
		close(w.reached)
		<-w.release
	}
	return w.ResponseRecorder.Write(b)
}
