package rules

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/common/model"
)

// Reload reads the files again. Groups that did not change run on; the others carry the state of their alerts over. When a
// file is broken nothing changes and the error lists every fault with file and line.
func (m *Manager) Reload(ctx context.Context) error {
	defs, err := load(m.cfg, m.log)
	if err != nil {
		m.metrics.reloads(false)
		return err
	}
	removed := m.replace(defs)
	m.metrics.reloads(true)
	m.log.Info("rules reloaded", "groups", len(defs))
	return m.resolve(ctx, removed)
}

// replace swaps the groups and returns what is known of the alerts of the removed ones.
func (m *Manager) replace(defs []definition) past {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := map[string]*group{}
	for _, g := range m.groups {
		old[g.def.key()] = g
	}
	groups := m.newGroups(defs)
	var changed []*group
	for i, g := range groups {
		if before := old[g.def.key()]; before != nil && before.def.Checksum == g.def.Checksum {
			groups[i] = before
			delete(old, g.def.key())
			continue
		}
		changed = append(changed, g)
	}
	m.groups = groups
	keys := map[string]bool{}
	for _, g := range groups {
		keys[g.def.key()] = true
	}
	m.state.keep(keys)
	removed := newPast()
	if m.ctx == nil {
		return removed
	}
	for _, g := range old {
		g.stop()
		<-g.stopped
	}
	for _, g := range changed {
		carried := newPast()
		if before := old[g.def.key()]; before != nil {
			carried = before.left
			delete(old, g.def.key())
		}
		m.start(g, func(time.Time) past { return carried })
	}
	for _, g := range old {
		for fingerprint, told := range g.left.firing {
			removed.firing[fingerprint] = told
		}
	}
	return removed
}

// resolve tells that alerts whose groups were removed no longer fire.
func (m *Manager) resolve(ctx context.Context, removed past) error {
	if len(removed.firing) == 0 {
		return nil
	}
	now := time.Now()
	var alerts []*model.Alert
	for _, told := range removed.firing {
		alerts = append(alerts, told.resolved(now))
	}
	if err := m.ports.Notify(ctx, alerts...); err != nil {
		return fmt.Errorf("rules: resolve %d alerts of removed groups: %w", len(alerts), err)
	}
	return nil
}
