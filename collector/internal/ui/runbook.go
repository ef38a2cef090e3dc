package ui

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
)

func (s *site) runbookPage(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimSuffix(r.PathValue("name"), ".md")
	if s.cfg.Runbooks == nil || !fs.ValidPath(name) || strings.Contains(name, "/") {
		s.notFound(w, r, fmt.Sprintf("There is no runbook %q.", name))
		return
	}
	body, err := fs.ReadFile(s.cfg.Runbooks, name+".md")
	if errors.Is(err, fs.ErrNotExist) {
		s.notFound(w, r, fmt.Sprintf("There is no runbook %q. /runbooks/ lists those there are.", name))
		return
	}
	if err != nil {
		http.Error(w, fmt.Sprintf("read runbook %s: %v", name, err), http.StatusInternalServerError)
		return
	}
	s.page(w, r, page{Kind: "text", Title: "Runbook " + name, HTML: renderMarkdown(string(body), root(r))})
}

func (s *site) runbookIndex(w http.ResponseWriter, r *http.Request) {
	var names []string
	if s.cfg.Runbooks != nil {
		var err error
		if names, err = fs.Glob(s.cfg.Runbooks, "*.md"); err != nil {
			http.Error(w, "list runbooks: "+err.Error(), http.StatusInternalServerError)
			return
		}
	}
	if len(names) == 0 {
		s.notFound(w, r, "This collector was built without runbooks.")
		return
	}
	var list strings.Builder
	list.WriteString("# Runbooks\n\n")
	for _, name := range names {
		name = strings.TrimSuffix(name, ".md")
		fmt.Fprintf(&list, "- [%s](%s)\n", name, name) // relative to /runbooks/
	}
	s.page(w, r, page{Kind: "text", Title: "Runbooks", HTML: renderMarkdown(list.String(), root(r))})
}
