package ship

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Client asks the receiver's host for other things, with the credentials and
// under the checks that batches go with. Do may be called concurrently.
type Client struct {
	auth *auth
	host *url.URL
}

// NewClient reads cfg's files. Of cfg it needs the URL and what proves who is
// who.
func NewClient(cfg Receiver) (*Client, error) {
	host, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("--remote-write.url: %w", err)
	}
	a, err := newAuth(cfg)
	if err != nil {
		return nil, err
	}
	return &Client{auth: a, host: host}, nil
}

// ErrElsewhere is a request to another host than the receiver's: it would get
// the receiver's token.
var ErrElsewhere = errors.New("not the receiver's scheme and host")

// Do sends req, which must go to the receiver's scheme and host. Credentials
// are read again first; what can not be read any more leaves the last good
// ones in place.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	if !strings.EqualFold(req.URL.Host, c.host.Host) || req.URL.Scheme != c.host.Scheme {
		return nil, fmt.Errorf("%s: %w", req.URL.Redacted(), ErrElsewhere)
	}
	resp, err, faults := c.auth.do(req)
	if err != nil {
		return nil, errors.Join(err, faults)
	}
	return resp, nil
}
