package ui

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

// assetSet serves the embedded files under /ui/assets/VERSION/. Another build has another version, so browsers keep them without asking.
type assetSet struct {
	base    string           // "ui/assets/VERSION/"
	files   map[string]asset // by path below base
	modules []string         // paths of our own scripts, preloaded so that imports do not load one after the other
}

type asset struct {
	body        []byte
	contentType string
}

func loadAssets(files fs.FS) (*assetSet, error) {
	set := &assetSet{files: make(map[string]asset)}
	all := sha256.New()
	err := fs.WalkDir(files, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		name = strings.TrimPrefix(name, "assets/")
		fmt.Fprintf(all, "%s %d %s", name, len(body), body)
		set.files[name] = asset{body: body, contentType: contentType(name)}
		if path.Ext(name) == ".js" && !strings.HasPrefix(name, "vendor/") && name != "early.js" {
			set.modules = append(set.modules, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read embedded assets: %w", err)
	}
	slices.Sort(set.modules)
	set.base = "ui/assets/" + hex.EncodeToString(all.Sum(nil)[:8]) + "/"
	return set, nil
}

// contentType does not ask the host's MIME table for the types the browser refuses to run when they are wrong.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".md", ".txt":
		return "text/plain; charset=utf-8"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

func (a *assetSet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, ok := a.files[strings.TrimPrefix(r.URL.Path, "/"+a.base)]
	if !ok {
		http.Error(w, "no such asset: "+r.URL.Path, http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", file.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file.body))
}

func etag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}
