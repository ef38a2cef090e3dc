package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"

	"github.com/plimsoll/plimsoll/collector/internal/engine"
	"github.com/plimsoll/plimsoll/collector/internal/turns"
	"github.com/plimsoll/plimsoll/collector/internal/view"
)

// Query evaluates expr at one time, within the view of ctx; each series of the answer has one value.
func (e *Engine) Query(ctx context.Context, expr string, at time.Time) ([]engine.Series, error) {
	return e.evaluate(ctx, "/api/v1/query", expr, url.Values{"time": {seconds(at)}})
}

// QueryRange evaluates expr, within the view of ctx, at from, from+step, … up to to.
func (e *Engine) QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]engine.Series, error) {
	return e.evaluate(ctx, "/api/v1/query_range", expr, url.Values{"start": {seconds(from)}, "end": {seconds(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)}})
}

func seconds(at time.Time) string {
	return strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)
}

// mostAnswerBytes bounds an answer that is read here; one that is passed on is not held.
const mostAnswerBytes = 256 << 20

func (e *Engine) evaluate(ctx context.Context, path, expr string, form url.Values) ([]engine.Series, error) {
	if v := view.Of(ctx); v != nil {
		var err error
		if expr, err = rewrite(expr, v); err != nil {
			return nil, fmt.Errorf("%w: %w", engine.ErrQuery, err)
		}
	}
	form.Set("query", expr)
	form.Set("nocache", "1") // samples come late, and a rule must not see what was kept before they came
	resp, release, err := e.ask(ctx, path, form)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrQuery, err)
	}
	defer release()
	var answer struct {
		Status, Error string
		Data          struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, mostAnswerBytes)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("%w: the engine answers %s: %w", engine.ErrQuery, resp.Status, err)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%w: %s", engine.ErrQuery, answer.Error)
	}
	return read(answer.Data.ResultType, answer.Data.Result)
}

// read makes series of the result of a query.
func read(kind string, result json.RawMessage) ([]engine.Series, error) {
	if kind == "scalar" || kind == "string" {
		var one point
		if err := json.Unmarshal(result, &one); err != nil {
			return nil, fmt.Errorf("%w: read the answer: %w", engine.ErrQuery, err)
		}
		return []engine.Series{{Values: []float64{one.value}, TimestampsMillis: []int64{one.millis}}}, nil
	}
	var all []struct {
		Metric map[string]string
		Value  *point
		Values []point
	}
	if err := json.Unmarshal(result, &all); err != nil {
		return nil, fmt.Errorf("%w: read the answer: %w", engine.ErrQuery, err)
	}
	out := make([]engine.Series, 0, len(all))
	for _, one := range all {
		if one.Value != nil {
			one.Values = append(one.Values, *one.Value)
		}
		var s engine.Series
		for name, value := range one.Metric {
			s.Labels = append(s.Labels, prompb.Label{Name: name, Value: value})
		}
		slices.SortFunc(s.Labels, func(a, b prompb.Label) int { return strings.Compare(a.Name, b.Name) }) // __name__ comes first
		for _, p := range one.Values {
			if !math.IsNaN(p.value) {
				s.Values = append(s.Values, p.value)
				s.TimestampsMillis = append(s.TimestampsMillis, p.millis)
			}
		}
		if len(s.Values) > 0 {
			out = append(out, s)
		}
	}
	return out, nil
}

// point is [seconds, "value"].
type point struct {
	millis int64
	value  float64
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *point) UnmarshalJSON(b []byte) error {
	var at float64
	var text string
	if err := json.Unmarshal(b, &[]any{&at, &text}); err != nil {
		return err
	}
	v, err := strconv.ParseFloat(text, 64)
	p.millis, p.value = int64(math.Round(at*1000)), v
	return err
}

// ask sends a query within the limits. The caller reads the answer, then calls release.
func (e *Engine) ask(ctx context.Context, path string, form url.Values) (resp *http.Response, release func(), err error) {
	if n := len(form.Get("query")); int64(n) > e.cfg.QueryLengthBytes {
		return nil, nil, fmt.Errorf("the expression has %d bytes, the most is --limit.query-length=%d", n, e.cfg.QueryLengthBytes)
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.QueryDuration)
	stand, err := e.slots.Take(ctx, turns.Who(ctx))
	if err != nil {
		cancel()
		return nil, nil, fmt.Errorf("waiting for one of --limit.query-concurrency=%d slots: %w", e.slots.Seats(), err)
	}
	leave := func() {
		cancel()
		stand()
	}
	req, err := request(ctx, strings.TrimRight(e.cfg.QueryURL, "/")+path, form, path == "/api/v1/metadata" || labelOf(path) != "")
	if err != nil {
		leave()
		return nil, nil, err
	}
	if resp, err = e.do("query", req); err != nil {
		leave()
		return nil, nil, err
	}
	return resp, func() {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)) // so that the connection can be used again
		resp.Body.Close()
		leave()
	}, nil
}

// request carries form in the body, or in the URL where a POST is not known.
func request(ctx context.Context, target string, form url.Values, inURL bool) (*http.Request, error) {
	if inURL {
		return http.NewRequestWithContext(ctx, http.MethodGet, target+"?"+form.Encode(), nil)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req, nil
}
