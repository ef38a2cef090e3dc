package grafana

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/plimsoll/plimsoll/dashboards"
)

// content is a dashboard as it is shipped.
type content struct {
	uid       string
	title     string
	model     map[string]any
	canonical []byte
	message   string // of the version it becomes in Grafana; carries the hash
}

// messagePrefix begins the message of every version this package writes.
const messagePrefix = "Plimsoll "

func newContent(d dashboards.Dashboard, editable bool) (content, error) {
	var model map[string]any
	if err := json.Unmarshal(d.JSON, &model); err != nil {
		return content{}, err
	}
	model["editable"] = editable
	canonical, err := canonicalJSON(model)
	if err != nil {
		return content{}, err
	}
	sum := sha256.Sum256(canonical)
	return content{
		uid: d.UID, title: d.Title, model: model, canonical: canonical,
		message: messagePrefix + hex.EncodeToString(sum[:6]),
	}, nil
}

// canonicalJSON renders a dashboard without what each Grafana sets for itself, keys sorted: equal dashboards are equal
// bytes.
func canonicalJSON(model map[string]any) ([]byte, error) {
	bare := make(map[string]any, len(model))
	for key, value := range model {
		switch key {
		case "id", "version", "iteration":
		default:
			bare[key] = value
		}
	}
	return json.Marshal(bare)
}

// sameAs says whether Grafana holds exactly this content.
func (c content) sameAs(remote any) (bool, error) {
	model, ok := remote.(map[string]any)
	if !ok {
		return false, fmt.Errorf("dashboard %s: Grafana gives a %T, not an object", c.uid, remote)
	}
	canonical, err := canonicalJSON(model)
	if err != nil {
		return false, err
	}
	return bytes.Equal(canonical, c.canonical), nil
}

// withVersion is the model to post over version v of what Grafana has; 0 when it has none.
func (c content) withVersion(v int64) map[string]any {
	model := make(map[string]any, len(c.model)+1)
	for key, value := range c.model {
		model[key] = value
	}
	if v > 0 {
		model["version"] = v
	}
	return model
}

// ours says whether a version with this message was written by this package. Grafana 10 replaces the message of a
// dashboard's first version by its own words.
func ours(v version) bool {
	return strings.HasPrefix(v.Message, messagePrefix) || v.Number == 1 && v.Message == "Initial save"
}
