package oncall_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/alertmanager/config"

	"github.com/plimsoll/plimsoll/collector/internal/oncall"
)

// folder writes files into a folder; the page is called oncall.yaml.
func folder(t *testing.T, page string, secrets ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range secrets {
		write(t, filepath.Join(dir, name), "http://127.0.0.1:9/"+name+"?token=secret")
	}
	file := filepath.Join(dir, "oncall.yaml")
	write(t, file, page)
	return file
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const minimal = "receivers:\n  sre: {webhook: {url: http://h/}}\n  shop: {webhook: {url: http://s/}}\nfallback: {critical: sre, warning: sre}\n"

func TestTheExampleCompilesToAnAlertmanagerConfiguration(t *testing.T) {
	page, err := os.ReadFile("../../../deploy/oncall.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(page), "\n"); lines > 66 {
		t.Errorf("the example has %d lines, more than a page", lines)
	}
	secrets := regexp.MustCompile(`secrets/[\w.-]+`).FindAllString(string(page), -1)
	plan, err := oncall.Load(folder(t, string(page), secrets...))
	if err != nil {
		t.Fatal(err)
	}
	text, err := plan.Compile([]string{"ContainerOOMKilled"}, []any{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(text); err != nil {
		t.Fatalf("Alertmanager refuses it: %v\n%s", err, text)
	}
	if strings.Contains(text, "token=secret") {
		t.Error("a secret is in the configuration, which the API shows")
	}
	if robots := plan.Robots(); len(robots["pay-chat"]) != 2 || len(robots["shop-chat"]) != 1 {
		t.Errorf("robots are %v", robots)
	}
}

func TestEveryFaultNamesFileAndLine(t *testing.T) {
	for _, c := range []struct{ name, page, want string }{
		{"empty", "", ":1: empty"},
		{"no YAML", "receivers:\n  a: {\n", ":2: "},
		{"unknown field", minimal + "routs: []\n", `:5: oncall.yaml: unknown field "routs"`},
		{"no receivers", "fallback: {critical: a, warning: a}\n", ":1: receivers is missing"},
		{"no fallback", "receivers:\n  a: {webhook: {url: http://h/}}\n", ":1: fallback is missing"},
		{"half a fallback", "receivers:\n  a: {webhook: {url: http://h/}}\nfallback: {critical: a}\n", ":3: fallback: warning must name a receiver"},
		{"fallback to nobody", "receivers:\n  a: {webhook: {url: http://h/}}\nfallback: {critical: a, warning: none}\n", ":3: fallback: warning must name a receiver"},
		{"undefined receiver", minimal + "routes:\n- projects: x\n  critical: nobdy\n", `:7: critical: receiver "nobdy" is not defined`},
		{"named twice", minimal + "routes:\n- projects: x\n  critical: [sre, sre]\n", `:7: critical: "sre" is named twice`},
		{"twice the same receiver", "receivers:\n  a: {webhook: {url: http://h/}}\n  a: {webhook: {url: http://h/}}\nfallback: {critical: a, warning: a}\n", `:3: receivers: "a" is already in line 2`},
		{"reserved name", "receivers:\n  nobody: {webhook: {url: http://h/}}\nfallback: {critical: nobody, warning: nobody}\n", `:2: receivers: the name "nobody" is taken`},
		{"no channel", "receivers:\n  a: {}\nfallback: {critical: a, warning: a}\n", ":2: receiver a has no channel"},
		{"unknown channel", "receivers:\n  a: {pager: {}}\nfallback: {critical: a, warning: a}\n", `:2: receiver a: unknown field "pager"`},
		{"no projects", minimal + "routes:\n- critical: sre\n", ":6: route: projects is missing"},
		{"a project in two routes", minimal + "routes:\n- {projects: x, critical: sre}\n- {projects: [y, x], critical: sre}\n", `:7: project "x" is already taken by the route in line 6`},
		{"tells nobody", minimal + "routes:\n- projects: x\n", ":6: route: names nobody"},
		{"undefined hours", minimal + "routes:\n- {projects: x, critical: sre, hours: night}\n", `:6: hours: "night" is not defined`},
		{"outside of nothing", minimal + "routes:\n- {projects: x, critical: sre, outside: {critical: none}}\n", ":6: outside: outside of what?"},
		{"no time zone", minimal + "timezone: Shanghai\n", `:5: timezone: "Shanghai" is no time zone`},
		{"no clock", minimal + "hours: {o: {from: 9am, to: \"18:00\"}}\n", `:5: from: "9am"`},
		{"backwards", minimal + "hours: {o: {from: \"18:00\", to: \"09:00\"}}\n", ":5: hours o: from 18:00 is not before to 09:00"},
		{"no day", minimal + "hours: {o: {days: work, from: \"09:00\", to: \"18:00\"}}\n", `:5: days: "work"`},
		{"no duration", minimal + "repeat: often\n", `:5: repeat: "often"`},
		{"secret in the page", minimal + "watchdog: {url: \"http://h/?token=x\"}\n", ":5: url: a URL with credentials or parameters may hold a secret"},
		{"secret instead of its file", "receivers:\n  a:\n    slack:\n      url: http://h/x\nfallback: {critical: a, warning: a}\n", "secrets come from files: url_file"},
		{"no secret file", "receivers:\n  a:\n    pagerduty:\n      routing_key_file: absent\nfallback: {critical: a, warning: a}\n", ":4: routing_key_file: "},
		{"no URL in the file", "receivers:\n  a:\n    wecom: {url_file: oncall.yaml}\nfallback: {critical: a, warning: a}\n", ":3: url_file: "},
		{"e-mail without server", "receivers:\n  a: {email: {to: x@y}}\nfallback: {critical: a, warning: a}\n", ":2: email: the page has no email section"},
		{"chat id", "receivers:\n  a: {telegram: {bot_token_file: oncall.yaml, chat_id: me}}\nfallback: {critical: a, warning: a}\n", `:2: chat_id: "me"`},
		{"mention", "receivers:\n  a: {dingtalk: {url_file: u, mention: 'a,b'}}\nfallback: {critical: a, warning: a}\n", ":2: mention: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := folder(t, c.page, "u")
			_, err := oncall.Load(file)
			if err == nil || !strings.HasPrefix(err.Error(), file+":") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want FILE and %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "token=secret") {
				t.Error("the error tells a secret")
			}
		})
	}
}

func TestAllFaultsAreReportedAtOnce(t *testing.T) {
	_, err := oncall.Load(folder(t, minimal+"repeat: often\ntimezone: Mars\n"))
	if err == nil || strings.Count(err.Error(), "oncall.yaml:") != 2 {
		t.Errorf("got %v", err)
	}
}
