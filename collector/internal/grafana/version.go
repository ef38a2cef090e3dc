package grafana

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/go-openapi/runtime"
	"github.com/grafana/grafana-openapi-client-go/client/dashboards"
)

// version is one entry of a dashboard's history.
type version struct {
	Number  int64  `json:"version"`
	Message string `json:"message"`
	By      string `json:"createdBy"`
}

// newestVersion reads the head of a dashboard's history. The client library knows the answer of Grafana 11 and later
// (an object); Grafana 10 gives a plain list, so the answer is read here.
func (c *client) newestVersion(ctx context.Context, uid string) (version, error) {
	limit := int64(1)
	transport, ok := c.Transport.(runtime.ContextualTransport)
	if !ok {
		return version{}, fmt.Errorf("read the history of dashboard %s: the client's transport %T takes no context", uid, c.Transport)
	}
	result, err := transport.SubmitContext(ctx, &runtime.ClientOperation{
		ID:                 "getDashboardVersionsByUID",
		Method:             http.MethodGet,
		PathPattern:        "/dashboards/uid/{uid}/versions",
		ProducesMediaTypes: []string{"application/json"},
		ConsumesMediaTypes: []string{"application/json"},
		Schemes:            []string{"http", "https"},
		Params:             dashboards.NewGetDashboardVersionsByUIDParamsWithContext(ctx).WithUID(uid).WithLimit(&limit),
		Reader:             runtime.ClientResponseReaderFunc(readVersions),
	})
	if err != nil {
		return version{}, c.explain("read the history of dashboard "+uid, err)
	}
	versions := result.([]version)
	if len(versions) == 0 {
		return version{}, fmt.Errorf("dashboard %s: Grafana keeps no history of it", uid)
	}
	return versions[0], nil
}

func readVersions(response runtime.ClientResponse, _ runtime.Consumer) (any, error) {
	if response.Code() != http.StatusOK {
		return nil, runtime.NewAPIError("read history", "", response.Code())
	}
	raw, err := io.ReadAll(response.Body())
	if err != nil {
		return nil, err
	}
	return parseVersions(raw)
}

func parseVersions(raw []byte) ([]version, error) {
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		var list []version
		err := json.Unmarshal(raw, &list)
		return list, err
	}
	var object struct {
		Versions []version `json:"versions"`
	}
	err := json.Unmarshal(raw, &object)
	return object.Versions, err
}
