package exits

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/inprocess"
)

// ask is what a request wants.
type ask struct {
	matches map[string]string
	from    time.Time
	to      time.Time
	limit   int
	kind    kind
}

// parse reads the request; an error names the parameter and what would be right.
func parse(r *http.Request, now time.Time) (ask, error) {
	a := ask{matches: map[string]string{}, from: now.Add(-defaultSince), to: now, limit: defaultLimit, kind: all}
	for name, values := range r.URL.Query() {
		value := values[0]
		var err error
		switch {
		case len(values) > 1:
			err = fmt.Errorf("given %d times", len(values))
		case name == "since":
			a.from, err = parseSince(value, now)
		case name == "limit":
			a.limit, err = strconv.Atoi(value)
			if err != nil || a.limit < 1 || a.limit > mostLimit {
				err = fmt.Errorf("%q is no number from 1 to %d", value, mostLimit)
			}
		case name == "kind":
			a.kind = kind(value)
			if !slices.Contains(kinds(), a.kind) {
				err = fmt.Errorf("%q is none of all, crashed, short", value)
			}
		case slices.Contains(filters(), name):
			a.matches[name] = value
		default:
			err = fmt.Errorf("unknown; known are since, limit, kind, %s", strings.Join(filters(), ", "))
		}
		if err != nil {
			return ask{}, fmt.Errorf("parameter %s: %w", name, err)
		}
	}
	return a, nil
}

// parseSince takes a duration back from now (90m, 7d, 2w) or a moment (RFC 3339, seconds since 1970).
func parseSince(text string, now time.Time) (time.Time, error) {
	wrong := fmt.Errorf("%q is neither a duration like 90m or 7d nor a past moment like %s", text, now.UTC().Format(time.RFC3339))
	at, err := time.Parse(time.RFC3339, text)
	if seconds, numberErr := strconv.ParseInt(text, 10, 64); numberErr == nil {
		at, err = time.Unix(seconds, 0), nil
	}
	if err == nil {
		if !at.Before(now) || at.Unix() < 0 {
			return time.Time{}, wrong
		}
		return at, nil
	}
	number, unit := text, time.Duration(1)
	for suffix, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if whole, ok := strings.CutSuffix(text, suffix); ok {
			number, unit = whole, length
		}
	}
	var back time.Duration
	if unit == 1 {
		back, err = time.ParseDuration(number)
	} else {
		var n int64
		n, err = strconv.ParseInt(number, 10, 32)
		back = time.Duration(n) * unit
		if n > 36500 {
			return time.Time{}, wrong
		}
	}
	if err != nil || back < time.Millisecond {
		return time.Time{}, wrong
	}
	return now.Add(-back), nil
}

// series is one of a Prometheus answer to a range selector.
type series struct {
	Metric map[string]string `json:"metric"`
	Values []point           `json:"values"`
}

type point struct {
	millis int64
	value  float64
}

// UnmarshalJSON reads [seconds, "value"].
func (p *point) UnmarshalJSON(b []byte) error {
	var seconds float64
	var text string
	if err := json.Unmarshal(b, &[]any{&seconds, &text}); err != nil {
		return err
	}
	v, err := strconv.ParseFloat(text, 64)
	p.millis, p.value = int64(seconds*1000+0.5), v
	return err
}

// samples asks for the raw samples; on an error code is the answer's.
func (h *Handler) samples(r *http.Request, a ask) (all []series, code int, err error) {
	form := url.Values{
		"query": {fmt.Sprintf("%s[%dms]", selector(a.matches), a.to.Sub(a.from).Milliseconds())},
		"time":  {strconv.FormatFloat(float64(a.to.UnixMilli())/1000, 'f', 3, 64)},
	}
	inner, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "/api/v1/query?"+form.Encode(), nil)
	if err != nil {
		return nil, http.StatusInternalServerError, fmt.Errorf("ask for exit records: %w", err)
	}
	got := inprocess.Ask(h.query, inner)
	var body struct {
		Status, Error string
		Data          struct{ Result []series }
	}
	switch err := json.Unmarshal(got.Body.Bytes(), &body); {
	case got.Code >= http.StatusBadRequest && (err != nil || body.Error == ""):
		return nil, got.Code, fmt.Errorf("ask for exit records: %s", http.StatusText(got.Code))
	case got.Code >= http.StatusBadRequest:
		return nil, got.Code, fmt.Errorf("ask for exit records: %s", body.Error)
	case err != nil:
		return nil, http.StatusBadGateway, fmt.Errorf("read exit records: %w", err)
	}
	return body.Data.Result, http.StatusOK, nil
}
