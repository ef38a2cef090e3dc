package grafana

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/collector/internal/grafana/grafanatest"
	"github.com/plimsoll/plimsoll/dashboards"
)

func export(t *testing.T, dir string, format Format) []string {
	t.Helper()
	written, err := Export(dashboards.FS(), dir, format, Datasource{URL: "http://collector:9750", TokenEnv: "READ_TOKEN"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range written {
		name, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

func TestExportClassicIsTheSameBytes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on the way")
	if names := export(t, dir, Classic); len(names) != everything-2 || !slices.Contains(names, "fleet.json") {
		t.Errorf("wrote %v", names)
	}
	all, err := dashboards.Load(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := dashboards.Load(dashboards.FS())
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if string(all[i].JSON) != string(shipped[i].JSON) {
			t.Errorf("%s differs", all[i].File)
		}
	}
}

func TestExportConfigMapHoldsTheDashboard(t *testing.T) {
	dir := t.TempDir()
	export(t, dir, ConfigMap)
	raw, err := os.ReadFile(filepath.Join(dir, "fleet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Kind     string
		Metadata struct {
			Name   string
			Labels map[string]string
		}
		Data map[string]string
	}
	if err := yaml.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	if m.Kind != "ConfigMap" || m.Metadata.Name != "plimsoll-dashboard-cont-fleet" || m.Metadata.Labels["grafana_dashboard"] != "1" {
		t.Errorf("%+v", m.Metadata)
	}
	if !strings.Contains(m.Data["fleet.json"], `"uid": "cont-fleet"`) {
		t.Error("the dashboard is not in it")
	}
	source, err := os.ReadFile(filepath.Join(dir, "datasource.yaml"))
	if err != nil || !strings.Contains(string(source), `grafana_datasource: "1"`) || !strings.Contains(string(source), "url: http://collector:9750") || !strings.Contains(string(source), "Bearer ${READ_TOKEN}") {
		t.Errorf("the data source: %v\n%s", err, source)
	}
}

func TestAConfigMapStaysWithinWhatKubernetesTakes(t *testing.T) {
	of := func(panels int) dashboards.Dashboard {
		text := `{"uid": "cont-a", "title": "A", "panels": [` + strings.Repeat("\n        {\"type\": \"text\"},", panels) + "{}]}"
		return dashboards.Dashboard{File: "a.json", UID: "cont-a", JSON: []byte(text)}
	}
	for panels, indented := range map[int]bool{100: true, 10_000: false} {
		content, err := dashboardMap(of(panels))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), "        {") != indented || len(content) > 256<<10 {
			t.Errorf("%d panels: %d bytes, indented should be %v", panels, len(content), indented)
		}
	}
	if _, err := dashboardMap(of(100_000)); err == nil || !strings.Contains(err.Error(), "more than a ConfigMap may hold") {
		t.Errorf("%v", err)
	}
	for _, d := range load(t) {
		if content, err := dashboardMap(d); err != nil || len(content) > 256<<10 {
			t.Errorf("%s: %d bytes, %v", d.File, len(content), err)
		}
	}
}

func load(t *testing.T) []dashboards.Dashboard {
	t.Helper()
	all, err := dashboards.Load(dashboards.FS())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestExportSaysWhatIsWrong(t *testing.T) {
	if _, err := Export(dashboards.FS(), t.TempDir(), "helm", Datasource{}); err == nil || !strings.Contains(err.Error(), `"helm"`) {
		t.Errorf("%v", err)
	}
	if _, err := Export(dashboards.FS(), t.TempDir(), Provisioning, Datasource{}); err == nil || !strings.Contains(err.Error(), "datasource-url") {
		t.Errorf("%v", err)
	}
	if _, err := Export(dashboards.FS(), t.TempDir(), ConfigMap, Datasource{URL: "http://c", TokenEnv: "A TOKEN"}); err == nil || !strings.Contains(err.Error(), `"A TOKEN"`) {
		t.Errorf("%v", err)
	}
	if _, err := Export(os.DirFS(t.TempDir()), t.TempDir(), Classic, Datasource{}); err == nil {
		t.Error("a folder without dashboards is exported")
	}
}

// What Grafana's own provisioning put there is not the publisher's to change.
func TestProvisionedDashboardsAreLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	export(t, dir, Provisioning)
	provider := filepath.Join(dir, "dashboards", "plimsoll.yaml")
	raw, err := os.ReadFile(provider)
	if err != nil {
		t.Fatal(err)
	}
	here := strings.ReplaceAll(string(raw), "/etc/grafana/provisioning", dir)
	if err := os.WriteFile(provider, []byte(here), 0o644); err != nil {
		t.Fatal(err)
	}
	g := grafanatest.StartWith(t, dir)
	eventually(t, "the provisioned dashboards", func() bool {
		var found []any
		return g.Do(t, "GET", "/api/search?tag=plimsoll", nil, &found) == http.StatusOK && len(found) == everything-2
	})

	p, reg := publisher(t, g, g.TokenFile(t, "Admin"), dashboards.FS())
	wantReport(t, publish(t, p), 0, 0, 0, 1, everything-1, 0)
	for _, target := range []string{"datasource", "cont-fleet", "cont-container"} {
		if n := metric(t, reg, "publish_skipped_total", "reason", "provisioned", "target", target); n != 1 {
			t.Errorf("%s: skipped %v times", target, n)
		}
	}
	if metric(t, reg, "up") != 1 {
		t.Error("being provisioned counts as a fault")
	}
}
