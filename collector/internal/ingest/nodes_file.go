package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// saveEvery is less than what the journal keeps, so that after a crash the file and the batches replayed make the whole.
const saveEvery = 30 * time.Second

// Run saves the table at that cadence and when ctx ends.
func (n *Nodes) Run(ctx context.Context) error {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return n.save()
		}
		if err := n.save(); err != nil {
			n.log.Warn("the table of nodes was not saved", "error", err)
		}
	}
}

func (n *Nodes) load() error {
	if n.cfg.File == "" {
		return nil
	}
	text, err := os.ReadFile(n.cfg.File)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read nodes: %w", err)
	}
	var nodes []Node
	if err := json.Unmarshal(text, &nodes); err != nil {
		return fmt.Errorf("read nodes: %s: %w", n.cfg.File, err)
	}
	for _, node := range nodes[:min(len(nodes), n.cfg.Most)] {
		n.table[node.NodeID] = node
		if node.Agent != "" {
			n.byAgent[node.Agent] = node.NodeID
		}
	}
	return nil
}

func (n *Nodes) save() error {
	if n.cfg.File == "" {
		return nil
	}
	text, err := json.Marshal(n.List())
	if err != nil {
		return fmt.Errorf("save nodes: %w", err)
	}
	next := filepath.Join(filepath.Dir(n.cfg.File), "."+filepath.Base(n.cfg.File)+".new")
	if err := os.WriteFile(next, text, 0o640); err != nil {
		return fmt.Errorf("save nodes: %w", err)
	}
	if err := os.Rename(next, n.cfg.File); err != nil {
		return fmt.Errorf("save nodes: %w", err)
	}
	return nil
}
