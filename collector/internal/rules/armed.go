package rules

import (
	"context"
	"time"
)

// armed is what is known of the inputs of one rule.
type armed struct {
	missing []Missing // empty: the rule is armed
}

// watchInputs finds out again and again which rules can yield anything, until ctx ends.
func (m *Manager) watchInputs(ctx context.Context) {
	in := newInputs(func(ctx context.Context, expr string, at time.Time) ([]Series, error) {
		ctx, cancel := context.WithTimeout(ctx, m.cfg.QueryTimeout)
		defer cancel()
		return m.ports.Query(ctx, expr, at)
	}, m.cfg.Describe)
	for ctx.Err() == nil {
		m.mu.RLock()
		groups := m.groups
		m.mu.RUnlock()
		in.take(groups)
		for _, g := range groups {
			if err := g.arm(ctx, in, time.Now()); err != nil && ctx.Err() == nil {
				g.log.Warn("inputs of rules not known", "err", err)
			}
		}
		sleep(ctx, inputInterval)
	}
}

// arm looks for the inputs of every rule of the group. On an error what was known stays.
func (g *group) arm(ctx context.Context, in *inputs, now time.Time) error {
	arms := make([]armed, len(g.def.Rules))
	for i, r := range g.def.Rules {
		list, err := in.missing(ctx, parsed(r.Expr), now)
		if err != nil {
			return err
		}
		arms[i].missing = list
	}
	g.arms.Store(&arms)
	unarmed := map[string]float64{} // several rules may have one name
	for i, r := range g.def.Rules {
		unarmed[r.Name()] += 0
		if len(arms[i].missing) > 0 {
			unarmed[r.Name()] = 1
		}
	}
	for name, value := range unarmed {
		g.metrics.unarmed.WithLabelValues(g.def.File, g.def.Name, name).Set(value)
	}
	return nil
}

// withInputs is view with what is known of the inputs of its rules. view is shared and not changed.
func (g *group) withInputs(view *groupView) *groupView {
	arms := g.arms.Load()
	if arms == nil {
		return view
	}
	copied := *view
	copied.Rules = make([]*ruleView, len(view.Rules))
	for i, r := range view.Rules {
		rule := *r
		isArmed := len((*arms)[i].missing) == 0
		rule.Armed, rule.Missing = &isArmed, (*arms)[i].missing
		copied.Rules[i] = &rule
	}
	return &copied
}
