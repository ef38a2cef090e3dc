package ui

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"
)

// dashboardInfo is one line of /ui/dashboards.json, which the page's menu is made of.
type dashboardInfo struct {
	UID         string   `json:"uid"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Tags        []string `json:"tags"`
	Variables   []string `json:"variables"` // their names, so that the page can tell a misspelt one
}

type dashboardSet struct {
	index     []dashboardInfo // by uid
	indexJSON []byte
	body      map[string][]byte // uid to the file's bytes, unchanged
}

func loadDashboards(files fs.FS) (*dashboardSet, error) {
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return nil, fmt.Errorf("list dashboards: %w", err)
	}
	if len(names) == 0 {
		return nil, errors.New("no dashboard: the file system holds no *.json in its root")
	}
	set := &dashboardSet{body: make(map[string][]byte, len(names))}
	from := make(map[string]string, len(names))
	for _, name := range names {
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read dashboard: %w", err)
		}
		var file struct {
			dashboardInfo
			Templating struct{ List []struct{ Name string } }
		}
		if err := json.Unmarshal(body, &file); err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", name, err)
		}
		info := file.dashboardInfo
		info.Variables = []string{}
		for _, v := range file.Templating.List {
			info.Variables = append(info.Variables, v.Name)
		}
		if info.UID == "" || info.Title == "" {
			return nil, fmt.Errorf("dashboard %s: uid and title must not be empty", name)
		}
		if other, ok := from[info.UID]; ok {
			return nil, fmt.Errorf("dashboard %s: uid %q is taken by %s", name, info.UID, other)
		}
		from[info.UID] = name
		set.body[info.UID] = body
		set.index = append(set.index, info)
	}
	slices.SortFunc(set.index, func(a, b dashboardInfo) int { return strings.Compare(a.UID, b.UID) })
	set.indexJSON, err = json.Marshal(set.index)
	if err != nil {
		return nil, fmt.Errorf("encode list of dashboards: %w", err)
	}
	return set, nil
}

func (d *dashboardSet) serveIndex(w http.ResponseWriter, r *http.Request) {
	serveJSON(w, r, d.indexJSON)
}

func (d *dashboardSet) serveBody(w http.ResponseWriter, r *http.Request) {
	uid, isJSON := strings.CutSuffix(r.PathValue("file"), ".json")
	body := d.body[uid]
	if !isJSON || body == nil {
		http.Error(w, fmt.Sprintf("no dashboard has the uid %q", uid), http.StatusNotFound)
		return
	}
	serveJSON(w, r, body)
}

// serveJSON answers with an entity tag, so a reload costs a 304.
func serveJSON(w http.ResponseWriter, r *http.Request, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", etag(body))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
