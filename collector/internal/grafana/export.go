package grafana

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/dashboards"
)

// Format is a way to bring the dashboards into a Grafana without this collector's publisher.
type Format string

const (
	// Classic is the JSON as it is: for import by hand, Terraform, or another tool.
	Classic Format = "classic"
	// ConfigMap is one Kubernetes ConfigMap per dashboard, labelled for the sidecar of Grafana's Helm chart.
	ConfigMap Format = "configmap"
	// Provisioning is a folder for Grafana's own provisioning: data source, provider and dashboards.
	Provisioning Format = "provisioning"
)

// Export writes the dashboards into dir, which is made, and gives the files written. Provisioning needs the URL at
// which Grafana reaches the collector; the other formats do not use it.
func Export(shipped fs.FS, dir string, format Format, datasourceURL string) ([]string, error) {
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
	switch format {
	case Classic:
		for _, d := range all {
			add(d.File, d.JSON)
		}
	case ConfigMap:
		for _, d := range all {
			content, err := configMap(d)
			if err != nil {
				return nil, fmt.Errorf("export %s: %w", d.File, err)
			}
			add(strings.TrimSuffix(d.File, ".json")+".yaml", content)
		}
	case Provisioning:
		if _, err := absoluteURL("datasource-url", datasourceURL); err != nil {
			return nil, err
		}
		source, provider, err := provisioningFiles(datasourceURL)
		if err != nil {
			return nil, fmt.Errorf("export: %w", err)
		}
		add("datasources/plimsoll.yaml", source)
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

func configMap(d dashboards.Dashboard) ([]byte, error) {
	return yaml.Marshal(map[string]any{
		"apiVersion": "v1",
		"kind":       "ConfigMap",
		"metadata": map[string]any{
			"name":        "plimsoll-dashboard-" + d.UID,
			"labels":      map[string]string{"grafana_dashboard": "1", "app.kubernetes.io/part-of": "plimsoll"},
			"annotations": map[string]string{"grafana_folder": "Plimsoll"},
		},
		"data": map[string]string{d.File: string(d.JSON)},
	})
}

// provisioningFiles are the data source and the provider; the provider reads the folder beside itself.
func provisioningFiles(datasourceURL string) (source, provider []byte, err error) {
	source, err = yaml.Marshal(map[string]any{
		"apiVersion": 1,
		"datasources": []any{map[string]any{
			"name": datasourceName, "uid": DatasourceUID, "type": datasourceType, "access": "proxy", "url": datasourceURL,
			"jsonData": map[string]any{"httpMethod": "POST", "timeInterval": scrapeInterval},
		}},
	})
	if err != nil {
		return nil, nil, err
	}
	provider, err = yaml.Marshal(map[string]any{
		"apiVersion": 1,
		"providers": []any{map[string]any{
			"name": "plimsoll", "type": "file", "folder": "Plimsoll", "folderUid": FolderUID,
			"allowUiUpdates": false, "updateIntervalSeconds": 60,
			"options": map[string]any{"path": "/etc/grafana/provisioning/dashboards/plimsoll"},
		}},
	})
	return source, provider, err
}
