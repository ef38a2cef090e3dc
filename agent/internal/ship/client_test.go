package ship

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

func TestAClientAsksTheReceiversHostWithItsTokenAndNoOther(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.URL.Path+" "+r.Header.Get("Authorization"))
	}))
	defer server.Close()
	tokenFile := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(tokenFile, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	c, err := NewClient(Receiver{URL: server.URL + "/api/v1/write", TokenFile: tokenFile})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(url string) (string, error) {
		req, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return string(text), err
	}
	if got, err := ask(server.URL + "/api/project-map"); err != nil || got != "/api/project-map Bearer one" {
		t.Errorf("got %q, %v", got, err)
	}
	write("two")
	if got, err := ask(server.URL + "/x"); err != nil || got != "/x Bearer two" {
		t.Errorf("after the token changed: %q, %v", got, err)
	}
	if err := os.Remove(tokenFile); err != nil {
		t.Fatal(err)
	}
	if got, err := ask(server.URL + "/x"); err != nil || got != "/x Bearer two" {
		t.Errorf("after the file went: %q, %v", got, err)
	}
	if _, err := ask("http://127.0.0.2:1/x"); !errors.Is(err, ErrElsewhere) {
		t.Errorf("another host got the token: %v", err)
	}
}
