package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/klauspost/compress/snappy"

	"github.com/plimsoll/plimsoll/collector/internal/engine"
	"github.com/plimsoll/plimsoll/collector/internal/view"
)

func shop(t *testing.T) *view.View {
	t.Helper()
	names, err := view.NewNames([]string{"shop", "s-*"})
	if err != nil {
		t.Fatal(err)
	}
	return view.New(names)
}

func TestEverySelectorOfAnExpressionIsRewritten(t *testing.T) {
	const f = `project=~"shop|s-.*",project!=""`
	v := shop(t)
	for expr, want := range map[string]string{
		`a`:                                 `a{` + f + `}`,
		`a{b="c"}[5m] offset 1h`:            `a{b="c",` + f + `}[5m] offset 1h`,
		`{project="bank"}`:                  `{project="bank",` + f + `}`,
		`a{x="1" or y="2"}`:                 `a{x="1",` + f + ` or y="2",` + f + `}`,
		`sum(rate(a[5m])) by (b) > c`:       `sum(rate(a{` + f + `}[5m])) by(b) > c{` + f + `}`,
		`a @ max(b)`:                        `a{` + f + `} @ max(b{` + f + `})`,
		`max_over_time((a + b)[1h:1m])`:     `max_over_time((a{` + f + `} + b{` + f + `})[1h:1m])`,
		`WITH (x = a{p="q"}) x or x{y="z"}`: `a{p="q",` + f + `} or a{p="q",y="z",` + f + `}`,
		`absent(a{project="bank"})`:         `absent(a{project="bank",` + f + `})`,
		`1 + time()`:                        `1 + time()`,
	} {
		if got, err := rewrite(expr, v); err != nil || got != want {
			t.Errorf("%s\ngot  %s (%v)\nwant %s", expr, got, err, want)
		}
	}
	if got, err := rewrite("a{x=\"1\"}", v.AndNodes()); err != nil || got != `a{x="1",`+f+` or x="1",node!="",project="",namespace="",workload="",pod="",container="",image=""}` {
		t.Errorf("with nodes: %s %v", got, err)
	}
	if _, err := rewrite("sum(", v); err == nil {
		t.Error("half an expression passes")
	}
}

// other is an engine elsewhere that answers as it is told.
type other struct {
	*httptest.Server
	code  int
	body  string
	asked string
	token string
	wrote []byte
}

func newOther(t *testing.T) (*other, *Engine) {
	t.Helper()
	o := &other{code: 200, body: `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"a","z":"1"},"value":[1700000000.5,"2"]},{"metric":{},"value":[1,"NaN"]}]}}`}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.token = r.Header.Get("Authorization")
		if strings.HasSuffix(r.URL.Path, "/write") {
			o.wrote, _ = io.ReadAll(r.Body)
		} else {
			r.ParseForm()
			o.asked = r.URL.Path + " " + r.Form.Encode()
		}
		w.WriteHeader(o.code)
		io.WriteString(w, o.body)
	}))
	t.Cleanup(o.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := Open(Config{WriteURL: o.URL + "/write", QueryURL: o.URL + "/select/0/", TokenFile: token})
	if err != nil {
		t.Fatal(err)
	}
	return o, e
}

func TestAnAnswerTellsWhetherToSendAgain(t *testing.T) {
	o, e := newOther(t)
	tss := []prompb.TimeSeries{{Labels: []prompb.Label{{Name: "__name__", Value: "a"}}, Samples: []prompb.Sample{{Value: 1, Timestamp: 2}}}}
	for code, want := range map[int]error{200: nil, 204: nil, 400: engine.ErrLabels, 422: engine.ErrLabels, 429: engine.ErrReadOnly, 401: engine.ErrReadOnly, 500: engine.ErrReadOnly, 503: engine.ErrReadOnly} {
		o.code, o.body = code, "because"
		if err := e.Append(tss); !errors.Is(err, want) || err != nil && !strings.Contains(err.Error(), "because") {
			t.Errorf("%d: %v, want %v", code, err, want)
		}
	}
	decoded, err := snappy.Decode(nil, o.wrote)
	if err != nil {
		t.Fatal(err)
	}
	var u prompb.WriteRequestUnmarshaler
	if wr, err := u.UnmarshalProtobuf(decoded); err != nil || fmt.Sprint(wr.Timeseries[0].Samples) != "[{1 2}]" || o.token != "Bearer s3" {
		t.Errorf("%v %v token %q", wr, err, o.token)
	}
	o.Close()
	if err := e.Append(tss); !errors.Is(err, engine.ErrReadOnly) {
		t.Errorf("nobody there: %v", err)
	}
}

func TestAQueryIsAskedWithinTheView(t *testing.T) {
	o, e := newOther(t)
	got, err := e.Query(view.With(t.Context(), shop(t)), "a", time.Unix(1_700_000_000, 5e8))
	if err != nil || len(got) != 1 || got[0].Label("z") != "1" || got[0].Values[0] != 2 || got[0].TimestampsMillis[0] != 1_700_000_000_500 {
		t.Errorf("%+v %v", got, err)
	}
	if want := "/select/0/api/v1/query nocache=1&query=a%7Bproject%3D~%22shop%7Cs-.%2A%22%2Cproject%21%3D%22%22%7D&time=1700000000.500"; o.asked != want {
		t.Errorf("asked %s\nwant  %s", o.asked, want)
	}
	o.body = `{"status":"success","data":{"resultType":"scalar","result":[3,"4"]}}`
	if got, err := e.Query(t.Context(), "4", time.Now()); err != nil || got[0].Values[0] != 4 {
		t.Errorf("a scalar: %v %v", got, err)
	}
	o.body, o.code = `{"status":"error","error":"too much"}`, 422
	if _, err := e.Query(t.Context(), "a", time.Now()); !errors.Is(err, engine.ErrQuery) || !strings.Contains(err.Error(), "too much") {
		t.Errorf("an error: %v", err)
	}
	if _, err := e.Query(t.Context(), strings.Repeat("a", 20_000), time.Now()); err == nil || !strings.Contains(err.Error(), "--limit.query-length=16384") {
		t.Errorf("a long one: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Query(gone, "a", time.Now()); err == nil {
		t.Error("an answer for nobody")
	}
	if taken, waiting := e.slots.Load(); taken+waiting > 0 {
		t.Errorf("%d slots are not given back, %d wait", taken, waiting)
	}
}

func TestARequestIsMadeAnew(t *testing.T) {
	o, e := newOther(t)
	ask := func(v *view.View, method, target string) int {
		r := httptest.NewRequest(method, target, nil)
		r.Header.Set("X-Scope-OrgID", "bank")
		if v != nil {
			r = r.WithContext(view.With(r.Context(), v))
		}
		w := httptest.NewRecorder()
		o.asked = ""
		e.ServeHTTP(w, r)
		return w.Code
	}
	for target, want := range map[string]string{
		"/prometheus/api/v1/query?query=a&time=1&trace=1&query=b": "/select/0/api/v1/query query=a&time=1",
		"/api/v1/series?match[]=a&match=b":                        "/select/0/api/v1/series match%5B%5D=a&match%5B%5D=b",
		"/api/v1/label/project/values":                            "/select/0/api/v1/label/project/values ",
	} {
		if code := ask(nil, "GET", target); code != 200 || o.asked != want {
			t.Errorf("%s: %d, asked %s, want %s", target, code, o.asked, want)
		}
	}
	if ask(shop(t), "GET", "/api/v1/label/project/values"); !strings.Contains(o.asked, "match%5B%5D=%7Bproject") {
		t.Errorf("label values of everybody: %s", o.asked)
	}
	for target, want := range map[string]int{"/api/v1/metadata": 403, "/vmui/": 404, "/api/v1/label/../values": 404, "/api/v1/admin/tsdb/delete_series": 404, "/api/v1/query?query=a&extra_label=project%3Dbank": 400, "/api/v1/query?query=(": 400, "/api/v1/series?match[]=(": 400} {
		if code := ask(shop(t), "GET", target); code != want || o.asked != "" {
			t.Errorf("%s: %d, want %d, asked %s", target, code, want, o.asked)
		}
	}
	if code := ask(nil, "DELETE", "/api/v1/series"); code != 405 {
		t.Errorf("DELETE: %d", code)
	}
}

func TestBothURLsAreNeeded(t *testing.T) {
	for _, cfg := range []Config{{WriteURL: "http://a/"}, {QueryURL: "http://a/"}, {WriteURL: "a:1", QueryURL: "http://a"}, {WriteURL: "ftp://a", QueryURL: "http://a"}, {WriteURL: "http://a", QueryURL: "http://a", TokenFile: "/nowhere"}} {
		if _, err := Open(cfg); !errors.Is(err, engine.ErrConfig) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}
