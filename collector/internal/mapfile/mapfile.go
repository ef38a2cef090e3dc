// Package mapfile serves the operator's project map to the agents, and never a broken one.
//
// GET gives the file as it was last good, with its hash as ETag; ?format=json gives the projects it names and who answers for
// them. A map whose own tests fail is broken: it contradicts itself.
package mapfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/projectmap"
)

// File is the map of --project-map. Build it with Open; without a path it has none.
type File struct {
	path    string
	log     *slog.Logger
	current atomic.Pointer[projectmap.Map] // nil: none
	valid   prometheus.Gauge
	info    *prometheus.GaugeVec
	served  *prometheus.CounterVec
}

// Open reads and verifies the file; an empty path is no map. The error names file and line of everything that is wrong.
func Open(path string, log *slog.Logger, reg prometheus.Registerer) (*File, error) {
	f := &File{
		path: path, log: log,
		valid:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "plimsoll_collector_project_map_valid", Help: "0 while the file of --project-map is broken and an older version is served."}),
		info:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "plimsoll_collector_project_map_info", Help: "Always 1; the label is the version of the project map served. Absent without --project-map."}, []string{"hash"}),
		served: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_collector_project_map_requests_total", Help: "Requests for the project map, by the answer's status."}, []string{"code"}),
	}
	f.valid.Set(1)
	if err := f.Reload(); err != nil {
		return nil, err
	}
	reg.MustRegister(f.valid, f.info, f.served)
	return f, nil
}

// Reload reads the file again. After an error the map of before stays in force.
func (f *File) Reload() error {
	if f.path == "" {
		return nil
	}
	m, err := Read(f.path)
	if err == nil {
		err = m.Verify()
	}
	if err != nil {
		f.valid.Set(0)
		return fmt.Errorf("--project-map: %w", err)
	}
	f.valid.Set(1)
	for _, fault := range m.Shadowed() {
		f.log.Warn("a rule of the project map is of no use", "at", fault.Error())
	}
	f.current.Store(m)
	f.info.Reset()
	f.info.WithLabelValues(m.Hash()).Set(1)
	return nil
}

// Read parses a file; its tests are not run.
func Read(path string) (*projectmap.Map, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > projectmap.MaxFileBytes {
		return nil, fmt.Errorf("%s has %d bytes, the most is %d", path, info.Size(), projectmap.MaxFileBytes)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return projectmap.Parse(path, text)
}

// Check writes to w what the file is worth: its size, rules that can never decide, and whether its tests hold. A file that can
// not be used is an error of type projectmap.Faults, or of the file system; failing tests are ErrTests.
func Check(w io.Writer, path string) error {
	m, err := Read(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s: %d rules, %d tests\n", path, m.Rules(), m.Tests())
	for _, fault := range m.Shadowed() {
		fmt.Fprintf(w, "warning: %s\n", fault.Error())
	}
	if err := m.Verify(); err != nil {
		return fmt.Errorf("%w\n%w", ErrTests, err)
	}
	return nil
}

// ErrTests is a map whose own tests fail.
var ErrTests = errors.New("the map's own tests fail")

// Map is the map served; nil is none.
func (f *File) Map() *projectmap.Map { return f.current.Load() }

// Owner says who answers for a project; empty is not known.
func (f *File) Owner(project string) (team, tier, contact string) {
	m := f.current.Load()
	if m == nil {
		return "", "", ""
	}
	return m.Owner(project)
}

// ServeHTTP answers GET /api/project-map.
func (f *File) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	code := f.answer(w, r)
	f.served.WithLabelValues(strconv.Itoa(code)).Inc()
}

func (f *File) answer(w http.ResponseWriter, r *http.Request) (code int) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the project map is read here; it is changed in its file", http.StatusMethodNotAllowed)
		return http.StatusMethodNotAllowed
	}
	m := f.current.Load()
	if m == nil {
		w.Header().Set(projectmap.HashHeader, projectmap.NoMap)
		http.Error(w, "this collector has no --project-map: agents use the built-in defaults", http.StatusNotFound)
		return http.StatusNotFound
	}
	w.Header().Set(projectmap.HashHeader, m.Hash())
	w.Header().Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("format") == "json" {
		w.Header().Set("Content-Type", "application/json")
		writeJSON(w, m)
		return http.StatusOK
	}
	etag := `"` + m.Hash() + `"`
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return http.StatusNotModified
	}
	w.Header().Set("Content-Type", "application/yaml")
	w.Write(m.Text())
	return http.StatusOK
}

func writeJSON(w io.Writer, m *projectmap.Map) {
	type project struct {
		Project string `json:"project"`
		Team    string `json:"team,omitempty"`
		Tier    string `json:"tier,omitempty"`
		Contact string `json:"contact,omitempty"`
	}
	list := []project{}
	for _, name := range m.Projects() {
		team, tier, contact := m.Owner(name)
		list = append(list, project{name, team, tier, contact})
	}
	// An error is a client that left.
	_ = json.NewEncoder(w).Encode(map[string]any{"hash": m.Hash(), "rules": m.Rules(), "unassigned": m.Unassigned(), "projects": list})
}
