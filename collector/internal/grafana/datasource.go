package grafana

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"

	"github.com/grafana/grafana-openapi-client-go/client/datasources"
	"github.com/grafana/grafana-openapi-client-go/models"
)

const (
	datasourceName = "Plimsoll"
	datasourceType = "prometheus"
	// scrapeInterval is how far apart figures are: Grafana derives $__rate_interval from it.
	scrapeInterval = "15s"
	// tokenHashKey tells whether the token Grafana holds is the one in the file: the token itself is never given back.
	tokenHashKey = "plimsollTokenHash"
)

// wantedDatasource is the data source as it should be: the settings, and the secrets to send with them.
func (p *Publisher) wantedDatasource() (settings map[string]any, secrets map[string]string, err error) {
	settings = map[string]any{"httpMethod": "POST", "timeInterval": scrapeInterval}
	if p.cfg.DatasourceTokenFile == "" {
		return settings, nil, nil
	}
	token, err := readToken(p.cfg.DatasourceTokenFile)
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256([]byte(token))
	settings["httpHeaderName1"] = "Authorization"
	settings[tokenHashKey] = hex.EncodeToString(sum[:6])
	return settings, map[string]string{"httpHeaderValue1": "Bearer " + token}, nil
}

// putDatasource brings the data source into its state.
func (r *round) putDatasource(ctx context.Context) (state, error) {
	settings, secrets, err := r.p.wantedDatasource()
	if err != nil {
		return "", err
	}
	found, err := r.api.Datasources.GetDataSourceByUIDWithParams(datasources.NewGetDataSourceByUIDParamsWithContext(ctx).WithUID(DatasourceUID))
	switch statusOf(err) {
	case 0:
		if err != nil {
			return "", r.api.explain("read the data source", err)
		}
	case http.StatusNotFound:
		return r.wants(created, func() error { return r.addDatasource(ctx, settings, secrets) })
	case http.StatusForbidden:
		return r.foreignDatasource(ctx)
	default:
		return "", r.api.explain("read the data source", err)
	}

	has := found.Payload
	if has.ReadOnly {
		return provisioned, nil
	}
	merged, ok := mergeSettings(has.JSONData, settings)
	if ok && has.URL == r.p.cfg.DatasourceURL && has.Type == datasourceType && has.Access == "proxy" {
		return unchanged, nil
	}
	return r.wants(repaired, func() error {
		_, err := r.api.Datasources.UpdateDataSourceByUIDWithParams(datasources.NewUpdateDataSourceByUIDParamsWithContext(ctx).WithUID(DatasourceUID).
			WithBody(&models.UpdateDataSourceCommand{
				UID: DatasourceUID, Name: has.Name, Type: datasourceType, Access: "proxy", URL: r.p.cfg.DatasourceURL,
				IsDefault: has.IsDefault, BasicAuth: has.BasicAuth, BasicAuthUser: has.BasicAuthUser, User: has.User,
				Database: has.Database, WithCredentials: has.WithCredentials, Version: has.Version,
				JSONData: merged, SecureJSONData: secrets,
			}))
		if err != nil {
			return r.api.explain("update the data source", err)
		}
		return nil
	})
}

// mergeSettings puts ours over theirs and says whether theirs had them already. Settings of a person's own stay.
func mergeSettings(theirs any, ours map[string]any) (merged map[string]any, had bool) {
	merged = map[string]any{}
	if known, ok := theirs.(map[string]any); ok {
		maps.Copy(merged, known)
	}
	had = true
	for key, value := range ours {
		had = had && merged[key] == value
		merged[key] = value
	}
	return merged, had
}

func (r *round) addDatasource(ctx context.Context, settings map[string]any, secrets map[string]string) error {
	_, err := r.api.Datasources.AddDataSourceWithParams(datasources.NewAddDataSourceParamsWithContext(ctx).
		WithBody(&models.AddDataSourceCommand{
			UID: DatasourceUID, Name: datasourceName, Type: datasourceType, Access: "proxy", URL: r.p.cfg.DatasourceURL,
			JSONData: settings, SecureJSONData: secrets,
		}))
	if statusOf(err) == http.StatusForbidden {
		return r.p.mayNotMake(err)
	}
	if err != nil {
		return r.api.explain("make the data source", err)
	}
	return nil
}

// mayNotMake says what to do about a missing data source that the token may not make.
func (p *Publisher) mayNotMake(cause error) error {
	return &apiError{doing: "make the data source", status: http.StatusForbidden, cause: cause,
		said: fmt.Sprintf("the token may not manage data sources and there is none with the uid %s; use a token of role Admin, or let an administrator make it: type %s, uid %s, URL %s",
			DatasourceUID, datasourceType, DatasourceUID, p.cfg.DatasourceURL)}
}

// foreignDatasource is for a token that may not manage data sources, an Editor's. Whether an administrator has made
// the data source can still be seen: whoever may query it may ask for its health.
func (r *round) foreignDatasource(ctx context.Context) (state, error) {
	_, err := r.api.Datasources.CheckDatasourceHealthWithUIDWithParams(datasources.NewCheckDatasourceHealthWithUIDParamsWithContext(ctx).WithUID(DatasourceUID))
	switch statusOf(err) {
	case http.StatusNotFound, http.StatusForbidden, http.StatusUnauthorized:
		return "", r.p.mayNotMake(err)
	}
	return unchanged, nil
}
