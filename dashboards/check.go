package dashboards

import (
	"context"
	"fmt"
	"io/fs"
)

// Finding is what one target gave.
type Finding struct {
	Query
	Series int   // how many series have a value now; 0 is an empty panel
	Err    error // the query could not be answered
}

// OK says that the panel shows something.
func (f Finding) OK() bool { return f.Err == nil && f.Series > 0 }

// Check asks for every target of every dashboard once. The error is that of a variable without a value; a query that
// fails is a finding.
func Check(ctx context.Context, fsys fs.FS, query Instant) ([]Finding, error) {
	all, err := Load(fsys)
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, d := range all {
		queries, err := d.Queries(ctx, query)
		if err != nil {
			return findings, err
		}
		for _, q := range queries {
			series, err := query(ctx, q.Expr)
			if ctx.Err() != nil {
				return findings, fmt.Errorf("check dashboards: %w", ctx.Err())
			}
			findings = append(findings, Finding{Query: q, Series: len(series), Err: err})
		}
	}
	return findings, nil
}
