// Command generate writes the dashboards of this folder's parent as JSON: one file per dashboard, the same bytes at
// every run. It is run by go generate, never by a build; its test fails while the committed files are not its output.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/plimsoll/plimsoll/dashboards/internal/board"
)

func main() {
	dir := flag.String("dir", ".", "folder the JSON files are written to")
	flag.Parse()
	if err := write(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	files, err := render()
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return fmt.Errorf("write dashboard: %w", err)
		}
	}
	return nil
}

// render gives the files by name.
func render() (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, d := range map[string]board.Dashboard{
		"fleet.json":      fleet(),
		"incidents.json":  incidents(),
		"cluster.json":    cluster(),
		"project.json":    projectPage(),
		"workload.json":   workload(),
		"container.json":  container(),
		"node.json":       node(),
		"capacity.json":   capacity(),
		"efficiency.json": efficiency(),
		"pipeline.json":   pipeline(),
	} {
		content, err := d.JSON()
		if err != nil {
			return nil, err
		}
		files[name] = content
	}
	return files, nil
}
