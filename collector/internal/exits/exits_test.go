package exits

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// engine answers every query with a text and remembers what it was asked.
type engine struct {
	code  int
	text  string
	query string
	at    string
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.query, e.at = r.FormValue("query"), r.FormValue("time")
	w.WriteHeader(e.code)
	fmt.Fprint(w, e.text)
}

func get(t *testing.T, e *engine, params string) (code int, list []Exit, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	New(e, noon).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/exits"+params, nil))
	var got struct{ Data []Exit }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return w.Code, got.Data, w.Body.String()
}

const twoExits = `{"status":"success","data":{"resultType":"matrix","result":[
{"metric":{"__name__":"container_exit_code","project":"shop","container":"api","id":"/docker/a","reason":"oom_killed"},"values":[[1795434900.25,"137"],[1795434990,"137"],[1795434991,"NaN"]]},
{"metric":{"__name__":"container_exit_runtime_seconds","project":"shop","container":"api","id":"/docker/a","reason":"oom_killed"},"values":[[1795434900.25,"0.5"],[1795434990,"60"]]},
{"metric":{"__name__":"container_exit_cpu_seconds","project":"shop","container":"api","id":"/docker/a","reason":"oom_killed"},"values":[[1795434990,"1.5"]]}]}}`

func TestTheSamplesOfOneExitAreOneRecordNewestFirst(t *testing.T) {
	e := &engine{code: 200, text: twoExits}
	code, list, body := get(t, e, "")
	if code != 200 || len(list) != 2 {
		t.Fatalf("%d: %s", code, body)
	}
	last, first := list[0], list[1]
	if last.Project != "shop" || last.Reason != "oom_killed" || *last.Code != 137 || last.Signal != 9 || *last.CPUSeconds != 1.5 || *last.RuntimeSeconds != 60 {
		t.Errorf("newest: %s", body)
	}
	if last.End.Sub(*last.Start) != time.Minute {
		t.Errorf("it ran from %s to %s", last.Start, last.End)
	}
	if first.CPUSeconds != nil || first.MemoryPeakBytes != nil || strings.Contains(body, "memory_peak_bytes") {
		t.Errorf("what is not known must be absent: %s", body)
	}
	if first.End.Nanosecond() != 250e6 {
		t.Errorf("the time lost its milliseconds: %s", first.End)
	}
}

func TestFiltersBecomeMatchersAndSinceTheWindow(t *testing.T) {
	e := &engine{code: 200, text: `{"status":"success","data":{"result":[]}}`}
	f := func(params, wantFilter, wantWindow string) {
		t.Helper()
		if code, list, body := get(t, e, params); code != 200 || list == nil {
			t.Fatalf("%s: %d %s", params, code, body)
		}
		if !strings.HasSuffix(e.query, wantFilter+"}["+wantWindow+"]") || e.at != "1795435200.000" {
			t.Errorf("%s asks %s at %s", params, e.query, e.at)
		}
	}
	f("", `seconds"`, "3600000ms")
	f("?project=shop&reason=error&since=90m", `,project="shop",reason="error"`, "5400000ms")
	f("?project="+`a%22b`, `,project="a\"b"`, "3600000ms")
	f("?since=2d", "", "172800000ms")
	f("?since=2026-11-23T11:59:00Z", "", "60000ms")
	f("?since=1795435190", "", "10000ms")
}

func TestTheLimitSaysThatThereIsMore(t *testing.T) {
	_, list, body := get(t, &engine{code: 200, text: twoExits}, "?limit=1")
	if len(list) != 1 || !strings.Contains(body, `"truncated":true`) || *list[0].RuntimeSeconds != 60 {
		t.Error(body)
	}
}

// A container that was told to stop has not crashed, and what a limit cuts off is counted all the same.
func TestKindsAreToldApartAndCountedBeyondTheLimit(t *testing.T) {
	var series []string
	for i, end := range []struct {
		reason        string
		code, seconds int
	}{{"completed", 0, 5}, {"error", 3, 3600}, {"oom_killed", 137, 2}, {"signalled", 143, 90}, {"signalled", 130, 90}, {"signalled", 139, 90}, {"signalled", 137, 90}} {
		labels := fmt.Sprintf(`"reason":%q,"id":"/docker/%d"`, end.reason, i)
		series = append(series,
			fmt.Sprintf(`{"metric":{"__name__":"container_exit_code",%s},"values":[[%d,"%d"]]}`, labels, 1795434900-i, end.code),
			fmt.Sprintf(`{"metric":{"__name__":"container_exit_runtime_seconds",%s},"values":[[%d,"%d"]]}`, labels, 1795434900-i, end.seconds))
	}
	e := &engine{code: 200, text: `{"status":"success","data":{"result":[` + strings.Join(series, ",") + `]}}`}
	f := func(params, want string) {
		t.Helper()
		_, list, body := get(t, e, params)
		var got []string
		for _, x := range list {
			got = append(got, strings.TrimPrefix(x.ID, "/docker/"))
		}
		if strings.Join(got, "") != want || !strings.Contains(body, `"counts":{"all":7,"crashed":4,"short":2}`) {
			t.Errorf("%s: exits %v, want %s in %s", params, got, want, body)
		}
	}
	f("", "0123456")
	f("?kind=all&limit=2", "01")
	f("?kind=crashed", "1256")
	f("?kind=crashed&limit=1", "1")
	f("?kind=short", "02")
}

func TestBadParametersAreNamed(t *testing.T) {
	f := func(params, want string) {
		t.Helper()
		e := &engine{code: 200, text: `{}`}
		if code, _, body := get(t, e, params); code != 400 || !strings.Contains(body, want) || e.query != "" {
			t.Errorf("%s: %d %s", params, code, body)
		}
	}
	f("?limit=0", "parameter limit")
	f("?limit=x", "from 1 to 10000")
	f("?kind=bad", "none of all, crashed, short")
	f("?since=yesterday", "neither a duration like 90m")
	f("?since=-1h", "parameter since")
	f("?since=99999999d", "parameter since")
	f("?since=2030-01-01T00:00:00Z", "parameter since")
	f("?projekt=a", "known are since, limit, kind, project")
	f("?project=a&project=b", "given 2 times")
}

func TestTheEnginesRefusalIsPassedOn(t *testing.T) {
	f := func(code int, text string, wantCode int, want string) {
		t.Helper()
		if got, _, body := get(t, &engine{code: code, text: text}, ""); got != wantCode || !strings.Contains(body, want) {
			t.Errorf("%d %s: %d %s", code, text, got, body)
		}
	}
	f(422, `{"status":"error","error":"too many samples: --limit.query-samples"}`, 422, "--limit.query-samples")
	f(503, `closing`, 503, "Service Unavailable")
	f(200, `<html>`, 502, "read exit records")
}
