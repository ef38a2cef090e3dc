package access

import (
	"context"
	"net/http"

	"github.com/plimsoll/plimsoll/collector/internal/turns"
	"github.com/plimsoll/plimsoll/collector/internal/view"
)

// Place is where the senders that share a token stand: the data centre and the cluster for series that come without them.
type Place struct{ IDC, Cluster string }

// Bound is a label that a token may write some values of.
type Bound struct {
	Label string
	Names view.Names
	// Instead is written in place of another value; empty rejects the series.
	Instead string
}

// Caller is who made a request. The zero value is somebody where nobody is asked who they are.
type Caller struct {
	// Name is that of the entry in the tokens file, or of the certificate where there is none.
	Name   string
	Place  Place
	Bounds []Bound
	// Writes is set for one that may send samples, and so needs what senders need.
	Writes bool
}

type callerKey struct{}

// in is the context of the caller's request. Callers take turns by name and address: people who share a token do not wait for each
// other, and nobody has more turns for a second connection.
func (c Caller) in(r *http.Request) context.Context {
	return turns.As(context.WithValue(r.Context(), callerKey{}, c), c.Name+" at "+origin(r).String())
}

// CallerOf is who made the request of ctx.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// PlaceOf is the place of the token that came with a request, zero without one.
func PlaceOf(r *http.Request) Place { return CallerOf(r.Context()).Place }
