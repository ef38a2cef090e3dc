package grafana

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/plimsoll/plimsoll/dashboards"
)

// CheckAgainst asks the Prometheus API at base for every target of every dashboard, all variables at All, and prints
// one line for each. The error says how many panels are empty. The token is sent when it is not empty.
func CheckAgainst(ctx context.Context, shipped fs.FS, base, token string, out io.Writer) error {
	at, err := absoluteURL("against", base)
	if err != nil {
		return err
	}
	findings, err := dashboards.Check(ctx, shipped, prometheusAPI(at, token))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	bad := 0
	for _, f := range findings {
		verdict := fmt.Sprintf("%d series", f.Series)
		switch {
		case f.Err != nil:
			verdict = "FAILED " + f.Err.Error()
		case !f.OK():
			verdict = "EMPTY  " + f.Expr
		}
		if !f.OK() {
			bad++
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Dashboard, f.Panel, f.RefID, verdict)
	}
	if flushErr := w.Flush(); flushErr != nil {
		return fmt.Errorf("print findings: %w", flushErr)
	}
	if err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("check dashboards against %s: %d of %d queries gave nothing", at.Redacted(), bad, len(findings))
	}
	return nil
}

// maxAnswerBytes bounds what is read of one answer: ten thousand containers give a few megabytes.
const maxAnswerBytes = 64 << 20

// prometheusAPI asks /api/v1/query of the server at base.
func prometheusAPI(base *url.URL, token string) dashboards.Instant {
	endpoint := base.JoinPath("/api/v1/query").String()
	return func(ctx context.Context, expr string) ([]map[string]string, error) {
		form := url.Values{"query": {expr}}.Encode()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
		if err != nil {
			return nil, fmt.Errorf("query %s: %w", endpoint, err)
		}
		return parseAnswer(resp.Status, raw)
	}
}

// parseAnswer reads a Prometheus answer to an instant query.
func parseAnswer(status string, raw []byte) ([]map[string]string, error) {
	var answer struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Data   struct {
			ResultType string          `json:"resultType"`
			Result     json.RawMessage `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, fmt.Errorf("not a Prometheus API: %s %.100q", status, raw)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s", status, answer.Error)
	}
	if answer.Data.ResultType == "scalar" {
		return []map[string]string{{}}, nil
	}
	var vector []struct {
		Metric map[string]string `json:"metric"`
	}
	if err := json.Unmarshal(answer.Data.Result, &vector); err != nil {
		return nil, fmt.Errorf("not a vector: %w", err)
	}
	labels := make([]map[string]string, 0, len(vector))
	for _, series := range vector {
		labels = append(labels, series.Metric)
	}
	return labels, nil
}
