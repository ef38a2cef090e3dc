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
	written, err := Export(dashboards.FS(), dir, format, "http://collector:9750")
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
	if len(raw) > 1<<20 {
		t.Errorf("%d bytes; Kubernetes takes a mebibyte", len(raw))
	}
}

func TestExportSaysWhatIsWrong(t *testing.T) {
	if _, err := Export(dashboards.FS(), t.TempDir(), "helm", ""); err == nil || !strings.Contains(err.Error(), `"helm"`) {
		t.Errorf("%v", err)
	}
	if _, err := Export(dashboards.FS(), t.TempDir(), Provisioning, ""); err == nil || !strings.Contains(err.Error(), "datasource-url") {
		t.Errorf("%v", err)
	}
	if _, err := Export(os.DirFS(t.TempDir()), t.TempDir(), Classic, ""); err == nil {
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
