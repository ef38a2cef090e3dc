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

// assetSet serves the embedded files under /ui/assets/. Browsers keep them and ask with the entity tag whether they changed.
type assetSet struct {
	files   map[string]asset // by path, without the slash before it
	modules []string         // paths of our own scripts, preloaded so that imports do not load one after the other
}

type asset struct {
	body        []byte
	contentType string
	etag        string
}

func loadAssets(files fs.FS) (*assetSet, error) {
	set := &assetSet{files: make(map[string]asset)}
	err := fs.WalkDir(files, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		url := "ui/" + name
		set.files[url] = asset{body: body, contentType: contentType(name), etag: etag(body)}
		if path.Ext(name) == ".js" && !strings.Contains(name, "/vendor/") && path.Base(name) != "early.js" {
			set.modules = append(set.modules, url)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read embedded assets: %w", err)
	}
	slices.Sort(set.modules)
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
	file, ok := a.files[strings.TrimPrefix(r.URL.Path, "/")]
	if !ok {
		http.Error(w, "no such asset: "+r.URL.Path, http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", file.contentType)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", file.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file.body))
}

func etag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}
