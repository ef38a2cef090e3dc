package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestCommittedDashboardsAreWhatTheGeneratorWrites(t *testing.T) {
	files, err := render()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Errorf("%v: run go generate ./dashboards", err)
			continue
		}
		if !bytes.Equal(got, want) {
			t.Errorf("dashboards/%s differs from what the generator writes: run go generate ./dashboards", name)
		}
	}
	committed, err := filepath.Glob("../*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range committed {
		if _, known := files[filepath.Base(path)]; !known {
			t.Errorf("%s is written by no generator: delete it or describe it here", path)
		}
	}
}

func TestRenderingTwiceGivesTheSameBytes(t *testing.T) {
	first, err := render()
	if err != nil {
		t.Fatal(err)
	}
	second, err := render()
	if err != nil {
		t.Fatal(err)
	}
	for name := range first {
		if !bytes.Equal(first[name], second[name]) {
			t.Errorf("%s: two renderings differ", name)
		}
	}
}
