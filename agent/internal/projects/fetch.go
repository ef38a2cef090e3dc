package projects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/plimsoll/plimsoll/agent/projectmap"
)

// fetchTimeout bounds one request; the first look of a start waits for it.
const fetchTimeout = 5 * time.Second

// fetch asks the collector. A 404 of a Plimsoll collector means that it has no map: the built-in one is in force then. A
// receiver that is none says nothing about the map.
func (k *Keeper) fetch(ctx context.Context) error {
	name := redacted(k.cfg.URL)
	fail := func(reason, format string, args ...any) error {
		return failure{reason, fmt.Errorf("GET %s: %w", name, fmt.Errorf(format, args...))}
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.cfg.URL, nil)
	if err != nil {
		return fail("unreachable", "%w", err)
	}
	current, _ := k.Map()
	if hash := current.Hash(); hash != "" {
		req.Header.Set("If-None-Match", `"`+hash+`"`)
	}
	resp, err := k.cfg.Client.Do(req)
	if err != nil {
		var request *url.Error
		if errors.As(err, &request) {
			err = request.Err // without the URL, which may hold a password
		}
		return fail("unreachable", "%w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, projectmap.MaxFileBytes+1))
	said := resp.Header.Get(projectmap.HashHeader)
	if said != "" && k.cfg.Place != nil {
		place, _ := url.ParseQuery(resp.Header.Get(projectmap.PlaceHeader)) // what can not be read is not said
		k.cfg.Place(place.Get("idc"), place.Get("cluster"))
	}
	switch {
	case said != "" && resp.StatusCode == http.StatusNotModified:
		k.set(current, Collector)
		return nil
	case said != "" && resp.StatusCode == http.StatusNotFound:
		k.set(projectmap.Builtin(), Builtin)
		return nil
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return fail("denied", "%s: does the token of --remote-write.token-file still hold?", resp.Status)
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		return fail("refused", "%s", resp.Status)
	case said == "":
		k.next = time.Now().Add(foreignEvery)
		k.log.Debug("the receiver is no Plimsoll collector and serves no project map", "url", name, "status", resp.Status)
		return nil
	case resp.StatusCode != http.StatusOK:
		return fail("refused", "%s", resp.Status)
	case err != nil:
		return fail("unreachable", "%w", err)
	}
	return k.take(name, text, Collector)
}

func redacted(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "the collector"
	}
	return u.Redacted()
}
