package access

import (
	"context"
	"net/http"
	"sync"
)

// record is what an audited request says of itself beyond its path.
type record struct {
	mu    sync.Mutex
	attrs []any
}

type recordKey struct{}

// Note adds to the line of the audit log of ctx's request. Without effect for one that is not audited.
func Note(ctx context.Context, attrs ...any) {
	if r, ok := ctx.Value(recordKey{}).(*record); ok {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.attrs = append(r.attrs, attrs...)
	}
}

// audited writes a line of the log for each request that next answers and that changes something.
func (a *Access) audited(scope Scope, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !changes(scope, r) {
			next.ServeHTTP(w, r)
			return
		}
		note := &record{}
		r = r.WithContext(context.WithValue(r.Context(), recordKey{}, note))
		seen := &codeWriter{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(seen, r)
		note.mu.Lock()
		defer note.mu.Unlock()
		a.audit(r, CallerOf(r.Context()).Name, seen.code, note.attrs...)
	})
}

// changes tells whether a request may change what others see or get. Writing samples is not of that kind.
func changes(scope Scope, r *http.Request) bool {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	return (scope == Admin || scope == Silence) && !reads
}

// audit writes the line: who, what, from where, and what came of it.
func (a *Access) audit(r *http.Request, who string, code int, more ...any) {
	if who == "" {
		who = "anonymous"
	}
	a.log.InfoContext(r.Context(), "audit", append([]any{"who", who, "what", r.Method + " " + r.URL.Path, "from", r.RemoteAddr, "code", code}, more...)...)
}

// codeWriter remembers the answer's code.
type codeWriter struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (w *codeWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *codeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
