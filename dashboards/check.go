package dashboards

import (
	"context"
	"fmt"
	"io/fs"
)

// Finding is what one target gave.
type Finding struct {
	Query
	Series  int      // how many series have a value now; 0 is an empty panel
	Note    string   // what the panel says instead of a figure that this fleet does not have
	Missing []string // of an empty panel: which series or labels are not there
	Err     error    // the query could not be answered
}

// OK says that the panel shows something.
func (f Finding) OK() bool { return f.Err == nil && f.Series > 0 }

// Check asks for every target of every dashboard once, over the part of the fleet that at names: values of variables, all
// where it is nil. The error is that of a variable without a value; a query that fails is a finding.
func Check(ctx context.Context, fsys fs.FS, query Instant, at map[string]string) ([]Finding, error) {
	all, err := Load(fsys)
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, d := range all {
		queries, err := d.QueriesAt(ctx, query, at)
		if err != nil {
			return findings, err
		}
		for _, q := range queries {
			series, err := query(ctx, q.Expr)
			f := Finding{Query: q, Series: len(series), Err: err}
			for _, labels := range series {
				f.Note = labels["note"]
			}
			if err == nil && len(series) == 0 {
				f.Missing, f.Err = missing(ctx, q.Expr, query)
			}
			if ctx.Err() != nil {
				return findings, fmt.Errorf("check dashboards: %w", ctx.Err())
			}
			findings = append(findings, f)
		}
	}
	return findings, nil
}
