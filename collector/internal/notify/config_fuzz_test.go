package notify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzConfig: any alertmanager.yml is taken, or an error names the file.
func FuzzConfig(f *testing.F) {
	f.Add("route: {receiver: a}\nreceivers: [{name: a, webhook_configs: [{url: 'http://127.0.0.1:1/'}]}]\n")
	f.Add("route:\n  receiver: a\n  routes: [{receiver: b, matchers: ['x=~\"(\"']}]\nreceivers:\n- name: a\n")
	f.Add("route: {receiver: a, group_wait: 5 apples}\nreceivers: [{name: a}]\ntemplates: ['[']\n")
	f.Add("a: &b [*b]\n")
	f.Add("receivers: [{name: a, slack_configs: [{api_url_file: /nowhere}]}]\nroute: {receiver: a}\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "/dev/") || strings.Contains(text, "/proc/") {
			return // a template may be any file
		}
		file := filepath.Join(t.TempDir(), "alertmanager.yml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		conf, err := load(Config{ConfigFile: file})
		if err != nil {
			if !strings.Contains(err.Error(), "alertmanager.yml") {
				t.Errorf("%v", err)
			}
			return
		}
		conf.lineOf(conf.config.Route.Receiver)
	})
}
