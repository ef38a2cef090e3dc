package grafanatest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/plimsoll/plimsoll/dashboards"
)

// InNewOrg is the same server with nothing in it: a new organisation has its own folders, dashboards, data sources and
// tokens.
func (s *Server) InNewOrg(t testing.TB) *Server {
	t.Helper()
	s.names++
	var made struct {
		OrgID int `json:"orgId"`
	}
	s.must(t, "POST", "/api/orgs", map[string]any{"name": fmt.Sprintf("%s %d", t.Name(), s.names)}, &made)
	return &Server{URL: s.URL, OrgID: made.OrgID}
}

// Token makes a service account of a role (Admin, Editor, Viewer) and gives a token of it.
func (s *Server) Token(t testing.TB, role string) string {
	t.Helper()
	key, _ := s.token(t, role)
	return key
}

// token also gives the path under which the token is revoked.
func (s *Server) token(t testing.TB, role string) (key, path string) {
	t.Helper()
	s.names++
	var account struct {
		ID int `json:"id"`
	}
	s.must(t, "POST", "/api/serviceaccounts", map[string]any{"name": fmt.Sprintf("%s %d of %d", role, s.names, s.OrgID), "role": role}, &account)
	var token struct {
		ID  int    `json:"id"`
		Key string `json:"key"`
	}
	s.must(t, "POST", fmt.Sprintf("/api/serviceaccounts/%d/tokens", account.ID), map[string]any{"name": fmt.Sprintf("token %d", s.names)}, &token)
	return token.Key, fmt.Sprintf("/api/serviceaccounts/%d/tokens/%d", account.ID, token.ID)
}

// TokenFile is Token in a file.
func (s *Server) TokenFile(t testing.TB, role string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(s.Token(t, role)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// RevocableTokenFile is TokenFile, and what revokes the token.
func (s *Server) RevocableTokenFile(t testing.TB, role string) (file string, revoke func()) {
	t.Helper()
	key, at := s.token(t, role)
	file = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, func() { s.must(t, "DELETE", at, nil, nil) }
}

// Answer is what a data source gave for one target, through Grafana.
type Answer struct {
	dashboards.Query
	Values int    // how many values that are not null, over all frames
	Error  string // what Grafana said instead
}

// Ask sends the queries of one dashboard or several to /api/ds/query, each as a panel of a 1000 pixel wide screen over
// the last hour would, and gives an answer for each.
func (s *Server) Ask(t testing.TB, datasourceUID string, queries []dashboards.Query) []Answer {
	t.Helper()
	answers := make([]Answer, 0, len(queries))
	for _, q := range queries {
		answer := Answer{Query: q}
		var reply struct {
			Message string `json:"message"`
			Results map[string]struct {
				Error  string `json:"error"`
				Frames []struct {
					Schema struct {
						Fields []struct {
							Type string `json:"type"`
						} `json:"fields"`
					} `json:"schema"`
					Data struct {
						Values [][]any `json:"values"`
					} `json:"data"`
				} `json:"frames"`
			} `json:"results"`
		}
		s.Do(t, "POST", "/api/ds/query", map[string]any{
			"from": "now-1h", "to": "now",
			"queries": []any{map[string]any{
				"refId": q.RefID, "expr": q.Expr, "instant": q.Instant, "range": !q.Instant,
				"datasource": map[string]any{"type": "prometheus", "uid": datasourceUID},
				"intervalMs": 15000, "maxDataPoints": 1000,
			}},
		}, &reply)
		result, there := reply.Results[q.RefID]
		answer.Error = result.Error
		if !there {
			answer.Error = "no result: " + reply.Message
		}
		for _, frame := range result.Frames {
			for i, column := range frame.Data.Values {
				if i < len(frame.Schema.Fields) && frame.Schema.Fields[i].Type == "number" {
					for _, v := range column {
						if v != nil {
							answer.Values++
						}
					}
				}
			}
		}
		answers = append(answers, answer)
	}
	return answers
}
