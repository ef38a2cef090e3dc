package grafana

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/plimsoll/plimsoll/collector/internal/grafana/moments"
)

// diary is what was told to Grafana, on disk: how far, and which moments, so that a restart neither repeats nor skips.
type diary struct {
	Until   time.Time    `json:"until"` // all up to here was told
	Entries []diaryEntry `json:"entries"`
}

// diaryEntry is one moment that Grafana has.
type diaryEntry struct {
	Key   string    `json:"key"`
	Start time.Time `json:"start"`
	ID    int64     `json:"id"`
	Ended bool      `json:"ended"` // it has an end in Grafana, or never gets one
}

// find gives the entry of a moment. One without a start is the last one of its key that has not ended.
func (d *diary) find(m moments.Moment) *diaryEntry {
	key := m.Key()
	for i := len(d.Entries) - 1; i >= 0; i-- {
		e := &d.Entries[i]
		if e.Key == key && (m.Start.IsZero() && !e.Ended || !m.Start.IsZero() && m.Start.Sub(e.Start).Abs() <= moments.Together) {
			return e
		}
	}
	return nil
}

// forget drops what began before and has ended: nobody asks about it any more.
func (d *diary) forget(before time.Time) {
	d.Entries = slices.DeleteFunc(d.Entries, func(e diaryEntry) bool { return e.Ended && e.Start.Before(before) })
}

// readDiary gives an empty diary where there is no file. One that cannot be read is begun anew: Grafana's own tags keep
// moments from being told twice.
func readDiary(file string) (*diary, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return &diary{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what was told to Grafana: %w", err)
	}
	d := &diary{}
	if json.Unmarshal(text, d) != nil {
		return &diary{}, nil
	}
	return d, nil
}

// write replaces the file as a whole: a crash leaves the old one or the new one.
func (d *diary) write(file string) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("write what was told to Grafana: %w", err)
	}
	_, err = temporary.Write(text)
	if err == nil {
		err = temporary.Sync()
	}
	err = errors.Join(err, temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		os.Remove(temporary.Name())
		return fmt.Errorf("write what was told to Grafana: %w", err)
	}
	return nil
}
