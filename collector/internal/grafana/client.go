package grafana

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/go-openapi/runtime"
	"github.com/go-openapi/strfmt"
	goapi "github.com/grafana/grafana-openapi-client-go/client"
	"github.com/grafana/grafana-openapi-client-go/client/health"
	"github.com/grafana/grafana-openapi-client-go/models"
)

// client speaks to one Grafana with the token of this round.
type client struct {
	*goapi.GrafanaHTTPAPI
	tokenFile string
}

// connect reads the token and asks Grafana for its health.
func (p *Publisher) connect(ctx context.Context) (*client, error) {
	cfg := &goapi.TransportConfig{
		Host:     p.url.Host,
		BasePath: strings.TrimSuffix(p.url.Path, "/") + "/api",
		Schemes:  []string{p.url.Scheme},
		Client:   &http.Client{Timeout: p.cfg.Timeout},
	}
	if p.cfg.TokenFile != "" {
		token, err := readToken(p.cfg.TokenFile)
		if err != nil {
			return nil, err
		}
		cfg.APIKey = token
	} else if p.url.User != nil {
		cfg.BasicAuth = p.url.User
	}
	c := &client{GrafanaHTTPAPI: goapi.NewHTTPClientWithConfig(strfmt.Default, cfg), tokenFile: p.cfg.TokenFile}
	answer, err := c.Health.GetHealthWithParams(health.NewGetHealthParamsWithContext(ctx))
	if err != nil {
		return nil, c.explain("ask for its health", err)
	}
	if answer.Payload.Database != "ok" {
		return nil, &apiError{doing: "ask for its health", status: http.StatusServiceUnavailable, said: "its database is " + answer.Payload.Database}
	}
	return c, nil
}

func readToken(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errToken, err)
	}
	token := strings.TrimSpace(string(raw))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("%w: %s does not hold one token on one line", errToken, path)
	}
	return token, nil
}

var (
	// errToken: a token file is missing, empty or no token.
	errToken = errors.New("read token")
	// errUnauthorized: Grafana does not know the token; nothing else will work in this round.
	errUnauthorized = errors.New("the token is refused")
)

// apiError is Grafana's refusal of one call.
type apiError struct {
	doing  string
	status int // 0: there was no answer
	said   string
	cause  error
}

func (e *apiError) Error() string {
	if e.status == 0 {
		return fmt.Sprintf("%s: no answer: %v", e.doing, e.cause)
	}
	text := fmt.Sprintf("%s: Grafana answers %d %s", e.doing, e.status, http.StatusText(e.status))
	if e.said != "" {
		text += ": " + e.said
	}
	return text
}

func (e *apiError) Unwrap() error { return e.cause }

// explain turns what the client library gives into an apiError.
func (c *client) explain(doing string, err error) error {
	e := &apiError{doing: doing, status: statusOf(err), cause: err}
	var withBody interface {
		GetPayload() *models.ErrorResponseBody
	}
	if errors.As(err, &withBody) && withBody.GetPayload() != nil && withBody.GetPayload().Message != nil {
		e.said = *withBody.GetPayload().Message
	}
	if e.status == http.StatusUnauthorized {
		advice := "the user and password in the URL are not valid here"
		if c.tokenFile != "" {
			advice = "the token in " + c.tokenFile + " is not valid here: put the token of a service account there, role Admin (with Editor the data source is left out)"
		}
		e.said = strings.TrimPrefix(e.said+"; "+advice, "; ")
		e.cause = errUnauthorized
	}
	return e
}

// statusOf is the HTTP status of an answer, 0 when there was none.
func statusOf(err error) int {
	var known interface{ Code() int }
	if errors.As(err, &known) {
		return known.Code()
	}
	var unknown *runtime.APIError
	if errors.As(err, &unknown) {
		return unknown.Code
	}
	var ours *apiError
	if errors.As(err, &ours) {
		return ours.status
	}
	return 0
}

// reasonOf is the label reason of the failures metric.
func reasonOf(err error) string {
	if errors.Is(err, errToken) {
		return "token"
	}
	switch status := statusOf(err); {
	case status == 0:
		return "unreachable"
	case status == http.StatusUnauthorized:
		return "unauthorized"
	case status == http.StatusForbidden:
		return "forbidden"
	case status == http.StatusConflict, status == http.StatusPreconditionFailed:
		return "conflict"
	case status >= 500:
		return "server-error"
	default:
		return "refused"
	}
}
