package noise

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Acknowledgement is somebody's word that an alert was dealt with.
type Acknowledgement struct {
	// Labels that the alert has, alertname among them; of several alerts that have them all are meant.
	Labels  map[string]string `json:"labels"`
	By      string            `json:"by"`
	Comment string            `json:"comment,omitempty"`
	At      time.Time         `json:"at"`
}

const (
	mostAcknowledgements = 10_000
	mostAckBytes         = 16 << 10
	ackLate              = 24 * time.Hour // so long after an alert's end people may say so
)

// Acknowledgements are the newest 10,000 of the last 31 days, on disk before they are answered for.
type Acknowledgements struct {
	file string
	now  func() time.Time

	mu   sync.Mutex
	list []Acknowledgement // oldest first
	kept int               // lines in the file
}

// OpenAcknowledgements reads the file, one in JSON a line; it need not be there. Half a line at its end is what a crash left.
func OpenAcknowledgements(file string) (*Acknowledgements, error) {
	a := &Acknowledgements{file: file, now: time.Now}
	in, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, fmt.Errorf("acknowledgements: %w", err)
	}
	defer in.Close()
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 8*mostAckBytes) // in JSON a byte that came may take six
	for lines.Scan() {
		var one Acknowledgement
		if json.Unmarshal(lines.Bytes(), &one) == nil && one.Labels["alertname"] != "" {
			a.list = append(a.list, one)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("acknowledgements: read %s: %w", file, err)
	}
	if err := a.rewrite(); err != nil {
		return nil, err
	}
	return a, nil
}

// Acts are the acknowledgements as acts.
func (a *Acknowledgements) Acts(context.Context, time.Time, time.Time) ([]Act, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	acts := make([]Act, len(a.list))
	for i, one := range a.list {
		acts[i] = Act{Kind: Acknowledged, At: one.At, Late: ackLate, Matches: func(alert map[string]string) bool {
			for name, value := range one.Labels {
				if alert[name] != value {
					return false
				}
			}
			return true
		}}
	}
	return acts, nil
}

// add keeps one; it is on disk when add returns nil.
func (a *Acknowledgements) add(one Acknowledgement) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	line, err := json.Marshal(one)
	if err != nil {
		return fmt.Errorf("acknowledgements: %w", err)
	}
	out, err := os.OpenFile(a.file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("acknowledgements: %w", err)
	}
	_, err = out.Write(append(line, '\n'))
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("acknowledgements: write %s: %w", a.file, err)
	}
	a.list = append(a.list, one)
	if a.kept++; a.kept >= 2*mostAcknowledgements {
		return a.rewrite()
	}
	return nil
}

// rewrite leaves out of list and file what is too old or too much. It is called with mu held or before anybody else can.
func (a *Acknowledgements) rewrite() error {
	oldest := a.now().Add(-longest)
	a.list = slices.DeleteFunc(a.list, func(one Acknowledgement) bool { return one.At.Before(oldest) })
	a.list = a.list[max(0, len(a.list)-mostAcknowledgements):]
	var text []byte
	for _, one := range a.list {
		line, err := json.Marshal(one)
		if err != nil {
			return fmt.Errorf("acknowledgements: %w", err)
		}
		text = append(append(text, line...), '\n')
	}
	next := a.file + ".new"
	if err := os.WriteFile(next, text, 0o640); err != nil {
		return fmt.Errorf("acknowledgements: %w", err)
	}
	if err := os.Rename(next, a.file); err != nil {
		return fmt.Errorf("acknowledgements: %w", err)
	}
	a.kept = len(a.list)
	return nil
}

// ServeHTTP takes one with POST and lists them, newest first, with GET.
func (a *Acknowledgements) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		a.mu.Lock()
		list := slices.Clone(a.list)
		a.mu.Unlock()
		slices.Reverse(list)
		answer(w, http.StatusOK, map[string]any{"status": "success", "data": append([]Acknowledgement{}, list...)})
		return
	}
	var one Acknowledgement
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostAckBytes))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&one)
	one.At = a.now().UTC()
	switch {
	case err != nil:
	case one.Labels["alertname"] == "":
		err = errors.New("labels must have the alert's alertname, and those that tell it from others")
	case strings.TrimSpace(one.By) == "":
		err = errors.New("by must say who")
	}
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"status": "error", "error": "acknowledgement: " + err.Error()})
		return
	}
	if err := a.add(one); err != nil {
		answer(w, http.StatusServiceUnavailable, map[string]any{"status": "error", "error": err.Error()})
		return
	}
	answer(w, http.StatusOK, map[string]any{"status": "success", "data": one})
}
