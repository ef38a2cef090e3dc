package noise

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzAcknowledgement: whatever is posted, and whatever else is in the file, what was answered for is there after the next start.
func FuzzAcknowledgement(f *testing.F) {
	f.Add(`{"labels":{"alertname":"HostDown","node":"n1"},"by":"me","comment":"cable"}`, "")
	f.Add(`{"labels":{"alertname":"a"},"by":"me","at":"2020-01-01T00:00:00Z"}`, "half a li")
	f.Add(`{"labels":{"alertname":"a"},"by":"me","comment":"`+strings.Repeat("<", mostAckBytes-60)+`"}`, "null\n{}\n[]\n")
	f.Fuzz(func(t *testing.T, body, before string) {
		file := filepath.Join(t.TempDir(), "acknowledgements.jsonl")
		if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := OpenAcknowledgements(file)
		if err != nil {
			return
		}
		had := len(a.list)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/acknowledgements", strings.NewReader(body)))
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Fatalf("answer %d: %s", w.Code, w.Body)
		}
		again, err := OpenAcknowledgements(file)
		if err != nil {
			t.Fatalf("after %q: %v", body, err)
		}
		if want := had + map[bool]int{true: 1}[w.Code == http.StatusOK]; len(again.list) != want {
			t.Errorf("%d after the next start, want %d", len(again.list), want)
		}
	})
}
