package grafana

import "fmt"

// Report counts what one round found and did, over the data source, the folder and the dashboards.
type Report struct {
	Created   int
	Updated   int // ours, of an older release
	Repaired  int // changed or moved in Grafana, put back
	Unchanged int
	Skipped   int // managed by somebody else
	Pruned    int // ours, no longer shipped, deleted
	Problems  []Problem

	outcomes []outcome
}

// Writes is how many objects the round wrote or deleted. It is 0 at a second round.
func (r Report) Writes() int { return r.Created + r.Updated + r.Repaired + r.Pruned }

// Problem is something that could not be brought into its state.
type Problem struct {
	Target string // grafana, datasource, folder, or the uid of a dashboard
	Reason string // unauthorized, forbidden, conflict, unreachable, refused, server-error, token
	Err    error
}

func (p Problem) Error() string { return fmt.Sprintf("%s: %v", p.Target, p.Err) }
func (p Problem) Unwrap() error { return p.Err }

func (r Report) errors() []error {
	all := make([]error, 0, len(r.Problems))
	for _, p := range r.Problems {
		all = append(all, p)
	}
	return all
}

// The values of the label target that are no dashboard's uid.
const (
	targetGrafana    = "grafana"
	targetDatasource = "datasource"
	targetFolder     = "folder"
)

// state is how an object was found or left.
type state string

const (
	reached     state = "reached"
	created     state = "created"
	updated     state = "updated"
	repaired    state = "repaired"
	unchanged   state = "unchanged"
	pruned      state = "pruned"
	provisioned state = "provisioned" // skipped: file provisioning owns it
	edited      state = "edited"      // skipped: changed by somebody, and no longer shipped or to be kept
	readOnly    state = "read_only"   // skipped: it is not as shipped, and nothing may be written
)

// wants does what brings an object into its state, unless nothing may be written.
func (r *round) wants(s state, write func() error) (state, error) {
	if r.p.cfg.ReadOnly {
		return readOnly, nil
	}
	return s, write()
}

type outcome struct {
	target string
	state  state
}

func (r *round) done(target string, s state) {
	switch s {
	case created:
		r.report.Created++
	case updated:
		r.report.Updated++
	case repaired:
		r.report.Repaired++
	case unchanged:
		r.report.Unchanged++
	case pruned:
		r.report.Pruned++
	case provisioned, edited, readOnly:
		r.report.Skipped++
	}
	r.report.outcomes = append(r.report.outcomes, outcome{target, s})
}

func (r *round) fail(target string, err error) {
	r.report.Problems = append(r.report.Problems, Problem{Target: target, Reason: reasonOf(err), Err: err})
}
