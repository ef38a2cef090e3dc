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

// CheckAgainst asks the Prometheus API at base for every target of every dashboard, once for each orchestrator that runs containers
// there. It prints what each dashboard gives, and of an empty panel which series or label is missing. The error says how many
// queries gave nothing. The token is sent when it is not empty.
func CheckAgainst(ctx context.Context, shipped fs.FS, base, token string, out io.Writer) error {
	at, err := absoluteURL("against", base)
	if err != nil {
		return err
	}
	query := prometheusAPI(at, token)
	runtimes, err := dashboards.Runtimes(ctx, query)
	if err != nil {
		return err
	}
	bad, all := 0, 0
	for _, r := range runtimes {
		fmt.Fprintf(out, "%s, %d nodes\n", r.Name, r.Nodes)
		findings, err := dashboards.Check(ctx, shipped, query, r.At)
		if err := printFindings(out, findings); err != nil {
			return fmt.Errorf("print findings: %w", err)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		for _, f := range findings {
			all++
			if !f.OK() {
				bad++
			}
		}
	}
	if bad > 0 {
		return fmt.Errorf("check dashboards against %s: %d of %d queries gave nothing", at.Redacted(), bad, all)
	}
	return nil
}

// printFindings writes a line for each dashboard, and lines for each panel that is empty or says that something is not there.
func printFindings(out io.Writer, findings []dashboards.Finding) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i := 0; i < len(findings); {
		of := findings[i].Dashboard
		var lines []string
		full, noted, began := 0, 0, i
		for ; i < len(findings) && findings[i].Dashboard == of; i++ {
			f := findings[i]
			where := fmt.Sprintf("    %s, %s:", f.Panel, f.RefID)
			switch {
			case f.Err != nil:
				lines = append(lines, where+" FAILED "+f.Err.Error())
			case !f.OK():
				lines = append(lines, where+" EMPTY "+strings.Join(f.Missing, "; "), "      "+f.Expr)
			case f.Note != "":
				noted++
				lines = append(lines, where+" says "+strings.TrimPrefix(f.Note, ": "))
			default:
				full++
			}
		}
		fmt.Fprintf(w, "  %s\t%d queries\t%d with data\t%d say what is not there\t%d empty\n", of, i-began, full, noted, i-began-full-noted)
		if err := w.Flush(); err != nil {
			return err
		}
		for _, line := range lines {
			fmt.Fprintln(out, line)
		}
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
