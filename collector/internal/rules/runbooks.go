package rules

import (
	"io/fs"
	"net/http"
	"path"
)

// Runbooks serves runbooks/<name>.md of the pack at GET /runbooks/<name>, the address in the alerts' runbook_url.
func Runbooks(pack fs.FS) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /runbooks/{name}", func(w http.ResponseWriter, r *http.Request) {
		text, err := fs.ReadFile(pack, path.Join("runbooks", path.Base(r.PathValue("name"))+".md"))
		if err != nil {
			http.Error(w, "no runbook for "+r.PathValue("name"), http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8") // Markdown that browsers show instead of saving
		_, _ = w.Write(text)                                        // the client is gone: nobody to tell
	})
	return mux
}
