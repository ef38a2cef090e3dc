// Package inprocess keeps what a handler of this process answers, so that one part asks another as a client would, without a connection.
package inprocess

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// Answer is what a handler wrote. It implements http.ResponseWriter while the handler writes.
type Answer struct {
	Code   int // of HTTP; 200 if the handler named none
	Body   bytes.Buffer
	header http.Header
}

// Ask lets h answer r.
func Ask(h http.Handler, r *http.Request) *Answer {
	a := &Answer{Code: http.StatusOK, header: http.Header{}}
	h.ServeHTTP(a, r)
	return a
}

// Header implements http.ResponseWriter.
func (a *Answer) Header() http.Header { return a.header }

// Write implements http.ResponseWriter.
func (a *Answer) Write(b []byte) (int, error) { return a.Body.Write(b) }

// WriteHeader implements http.ResponseWriter.
func (a *Answer) WriteHeader(code int) { a.Code = code }

// Decode reads the body as JSON; numbers keep their digits where into leaves the choice.
func (a *Answer) Decode(into any) error {
	d := json.NewDecoder(bytes.NewReader(a.Body.Bytes()))
	d.UseNumber()
	return d.Decode(into)
}

// Pass gives the answer on as it is.
func (a *Answer) Pass(w http.ResponseWriter) {
	w.Header().Set("Content-Type", a.header.Get("Content-Type"))
	w.WriteHeader(a.Code)
	_, _ = w.Write(a.Body.Bytes()) // a client that left is nobody to tell
}
