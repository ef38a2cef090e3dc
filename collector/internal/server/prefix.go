package server

import (
	"net/http"
	"strings"
)

// under answers at the path that people reach the collector under, "/plimsoll", besides at the root: a reverse proxy may cut that
// path off or pass it on. The pages link relatively, so both work.
func under(path string, next http.Handler) http.Handler {
	path = strings.TrimRight(path, "/")
	if path == "" {
		return next
	}
	below := http.StripPrefix(path, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == path:
			to := path + "/"
			if r.URL.RawQuery != "" {
				to += "?" + r.URL.RawQuery
			}
			http.Redirect(w, r, to, http.StatusPermanentRedirect)
		case strings.HasPrefix(r.URL.Path, path+"/"):
			below.ServeHTTP(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}
