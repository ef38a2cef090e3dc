package grafana

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/dashboards"
)

// Format is a way to bring the dashboards into a Grafana without this collector's publisher.
type Format string

const (
	// Classic is the JSON as it is: for import by hand, Terraform, or another tool.
	Classic Format = "classic"
	// ConfigMap is one Kubernetes ConfigMap for the data source and one per dashboard, labelled for the sidecar of Grafana's Helm chart.
	ConfigMap Format = "configmap"
	// Provisioning is a folder for Grafana's own provisioning: data source, provider and dashboards.
	Provisioning Format = "provisioning"
)

// Datasource is how an exported data source reaches the collector. Classic does not use it.
type Datasource struct {
	URL string
	// TokenEnv is the environment variable of Grafana that holds a token of scope read. Empty sends none.
	TokenEnv string
}

// Export writes the dashboards into dir, which is made, and gives the files written.
func Export(shipped fs.FS, dir string, format Format, source Datasource) ([]string, error) {
	all, err := dashboards.Load(shipped)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	files := map[string][]byte{}
	var order []string
	add := func(name string, content []byte) {
		files[name] = content
		order = append(order, name)
	}
	var sources []byte
	if format == ConfigMap || format == Provisioning {
		if sources, err = source.file(); err != nil {
			return nil, err
		}
	}
	switch format {
	case Classic:
		for _, d := range all {
			add(d.File, d.JSON)
		}
	case ConfigMap:
		content, err := configMap("plimsoll-datasource", "grafana_datasource", "plimsoll.yaml", sources)
		if err != nil {
			return nil, fmt.Errorf("export the data source: %w", err)
		}
		add("datasource.yaml", content)
		for _, d := range all {
			content, err := dashboardMap(d)
			if err != nil {
				return nil, fmt.Errorf("export %s: %w", d.File, err)
			}
			add(strings.TrimSuffix(d.File, ".json")+".yaml", content)
		}
	case Provisioning:
		provider, err := providerFile()
		if err != nil {
			return nil, fmt.Errorf("export: %w", err)
		}
		add("datasources/plimsoll.yaml", sources)
		add("dashboards/plimsoll.yaml", provider)
		for _, d := range all {
			add("dashboards/plimsoll/"+d.File, d.JSON)
		}
	default:
		return nil, fmt.Errorf("format %q is none of %s, %s, %s", format, Classic, ConfigMap, Provisioning)
	}

	var written []string
	for _, name := range order {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return written, fmt.Errorf("export: %w", err)
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil {
			return written, fmt.Errorf("export: %w", err)
		}
		written = append(written, path)
	}
	return written, nil
}

// What an object of Kubernetes may hold: etcd takes 1 MiB with everything, and kubectl apply keeps a copy in an annotation, of
// which there may be 256 KiB. Both are less some room for the rest of the object.
const (
	applyBytes  = 240 << 10
	objectBytes = 1<<20 - 16<<10
)

// dashboardMap holds one dashboard, without its line breaks where it would be too large for kubectl apply with them.
func dashboardMap(d dashboards.Dashboard) ([]byte, error) {
	content := d.JSON
	if len(content) > applyBytes {
		var tight bytes.Buffer
		if err := json.Compact(&tight, content); err != nil {
			return nil, err
		}
		content = tight.Bytes()
	}
	if len(content) > objectBytes {
		return nil, fmt.Errorf("%d bytes are more than a ConfigMap may hold (%d); use the format %s or the publisher", len(content), objectBytes, Provisioning)
	}
	return configMap("plimsoll-dashboard-"+d.UID, "grafana_dashboard", d.File, content)
}

// configMap carries the label that the sidecar of Grafana's Helm chart looks for.
func configMap(name, label, file string, content []byte) ([]byte, error) {
	return yaml.Marshal(map[string]any{
		"apiVersion": "v1",
		"kind":       "ConfigMap",
		"metadata": map[string]any{
			"name":        name,
			"labels":      map[string]string{label: "1", "app.kubernetes.io/part-of": "plimsoll"},
			"annotations": map[string]string{"grafana_folder": "Plimsoll"},
		},
		"data": map[string]string{file: string(content)},
	})
}

// file is the data source for Grafana's provisioning.
func (d Datasource) file() ([]byte, error) {
	if _, err := absoluteURL("datasource-url", d.URL); err != nil {
		return nil, err
	}
	settings := map[string]any{"httpMethod": "POST", "timeInterval": scrapeInterval}
	source := map[string]any{
		"name": datasourceName, "uid": DatasourceUID, "type": datasourceType, "access": "proxy", "url": d.URL, "jsonData": settings,
	}
	if d.TokenEnv != "" {
		if !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(d.TokenEnv) {
			return nil, fmt.Errorf("datasource-token-env: %q is no name of an environment variable", d.TokenEnv)
		}
		settings["httpHeaderName1"] = "Authorization"
		source["secureJsonData"] = map[string]any{"httpHeaderValue1": "Bearer ${" + d.TokenEnv + "}"}
	}
	return yaml.Marshal(map[string]any{"apiVersion": 1, "datasources": []any{source}})
}

// providerFile makes Grafana read the folder beside it.
func providerFile() ([]byte, error) {
	return yaml.Marshal(map[string]any{
		"apiVersion": 1,
		"providers": []any{map[string]any{
			"name": "plimsoll", "type": "file", "folder": "Plimsoll", "folderUid": FolderUID,
			"allowUiUpdates": false, "updateIntervalSeconds": 60,
			"options": map[string]any{"path": "/etc/grafana/provisioning/dashboards/plimsoll"},
		}},
	})
}
