package notify_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/plimsoll/plimsoll/collector/internal/notify"
)

// alertmanager is one of Debian's package, a member of a cluster that waits 4 s for each other to notify.
type alertmanager struct {
	url     string
	cluster string
	cmd     *exec.Cmd
}

func startAlertmanager(t *testing.T, hook string, peers ...string) *alertmanager {
	t.Helper()
	binary, err := exec.LookPath("prometheus-alertmanager")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("needs prometheus-alertmanager (apt prometheus-alertmanager)")
	} else if err != nil {
		t.Skip("needs prometheus-alertmanager (apt prometheus-alertmanager)")
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "alertmanager.yml"), fmt.Sprintf("route: {receiver: hook, group_by: [alertname, project], group_wait: 100ms, group_interval: 1s}\nreceivers: [{name: hook, webhook_configs: [{url: %q, send_resolved: false}]}]\n", hook))
	a := &alertmanager{cluster: freeAddress(t)}
	listen := freeAddress(t)
	args := []string{"--config.file=" + filepath.Join(dir, "alertmanager.yml"), "--storage.path=" + dir, "--web.listen-address=" + listen,
		"--cluster.listen-address=" + a.cluster, "--cluster.peer-timeout=4s", "--cluster.gossip-interval=50ms", "--cluster.settle-timeout=1s"}
	for _, peer := range peers {
		args = append(args, "--cluster.peer="+peer)
	}
	a.url, a.cmd = "http://"+listen, exec.Command(binary, args...)
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.kill)
	return a
}

func (a *alertmanager) kill() {
	_ = a.cmd.Process.Kill() // it may be gone
	_ = a.cmd.Wait()
}

// knows tells whether the Alertmanager answers a path of its API with the word.
func (a *alertmanager) knows(path, word string) error {
	resp, err := http.Get(a.url + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && !strings.Contains(string(body), word) {
		err = fmt.Errorf("%s%s: %s", a.url, path, body)
	}
	return err
}

// within retries for as long as a program may take to start on a busy machine.
func within(t *testing.T, limit time.Duration, ok func() error) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		err := ok()
		if err == nil {
			return
		}
		if time.Since(began) > limit {
			t.Fatal(err)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestAClusterOfAlertmanagersNotifiesOnceAlsoWhenAMemberIsDown(t *testing.T) {
	t.Parallel()
	hook := newWebhook(t)
	first := startAlertmanager(t, hook.URL)
	within(t, time.Minute, func() error { return first.knows("/api/v2/status", first.cluster) })
	second := startAlertmanager(t, hook.URL, first.cluster)
	for _, a := range []*alertmanager{first, second} {
		within(t, time.Minute, func() error { return a.knows("/api/v2/status", second.cluster) })
	}
	m, reg, _ := open(t, notify.Config{Remote: notify.Remote{URLs: []string{first.url, second.url}}})
	one := func(name model.LabelValue) *model.Alert {
		return &model.Alert{Labels: model.LabelSet{"alertname": name, "project": "shop"}, StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour)}
	}
	only := func(name string) {
		t.Helper()
		if n := hook.within(t, time.Minute); len(n.Alerts) != 1 || n.Alerts[0].Labels["alertname"] != name {
			t.Errorf("notified of %v, want %s", n.Alerts, name)
		}
		select {
		case n := <-hook.got:
			t.Errorf("notified again, of %v", n.Alerts)
		case <-time.After(5 * time.Second): // longer than the second member waits for the first
		}
	}

	put(t, m, one("BothUp"))
	for _, a := range []*alertmanager{first, second} {
		within(t, time.Minute, func() error { return a.knows("/api/v2/alerts", "BothUp") })
	}
	only("BothUp")

	// The API leads to a member; a silence is known to all. amtool is what people have at hand.
	api := httptest.NewServer(m.Handler())
	t.Cleanup(api.Close)
	amtool(t, api.URL, "silence", "add", "alertname=Hushed", "--author=sre", "--comment=known", "--duration=1h")
	for _, a := range []*alertmanager{first, second} {
		within(t, time.Minute, func() error { return a.knows("/api/v2/silences", "Hushed") })
	}
	if out := amtool(t, api.URL, "alert", "query"); !strings.Contains(out, "BothUp") {
		t.Errorf("amtool alert query: %s", out)
	}

	first.kill()
	put(t, m, one("OneDown"), one("Hushed"))
	only("OneDown")
	if out := amtool(t, api.URL, "silence", "query"); !strings.Contains(out, "alertname=\"Hushed\"") {
		t.Errorf("amtool silence query with a member down: %s", out)
	}
	if sent, failed := counters(t, reg, strings.TrimPrefix(first.url, "http://")); sent != 2 || failed != 1 {
		t.Errorf("%v posts to the member that is down, %v failed; want 2 and 1", sent, failed)
	}
	if sent, failed := counters(t, reg, strings.TrimPrefix(second.url, "http://")); sent != 2 || failed != 0 {
		t.Errorf("%v posts to the other, %v failed; want 2 and 0", sent, failed)
	}
	second.kill()
	if err := m.Put(t.Context(), one("AllDown")); err == nil || !strings.Contains(err.Error(), first.url) || !strings.Contains(err.Error(), second.url) {
		t.Errorf("with all members down: %v", err)
	}
}

// amtool runs Debian's amtool against a server.
func amtool(t *testing.T, server string, args ...string) string {
	t.Helper()
	out, err := exec.Command("amtool", append(args, "--alertmanager.url="+server)...).CombinedOutput()
	if err != nil {
		t.Errorf("amtool %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestCredentialsGoToTheExternalAlertmanager(t *testing.T) {
	type seen struct{ auth, subject, path string }
	got := make(chan seen, 10)
	am := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := seen{auth: r.Header.Get("Authorization"), path: r.URL.Path}
		if len(r.TLS.PeerCertificates) > 0 {
			s.subject = "a certificate"
		}
		got <- s
	}))
	am.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	am.StartTLS()
	t.Cleanup(am.Close)
	dir := t.TempDir()
	authority := filepath.Join(dir, "ca.pem")
	write(t, authority, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: am.Certificate().Raw})))
	key, err := x509.MarshalPKCS8PrivateKey(am.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	keyFile, token := filepath.Join(dir, "key.pem"), filepath.Join(dir, "token")
	write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	write(t, token, "first\n")

	bearer, _, _ := open(t, notify.Config{Remote: notify.Remote{URLs: []string{am.URL + "/am/"}, CAFile: authority, CertFile: authority, KeyFile: keyFile, TokenFile: token}})
	put(t, bearer, oomAlert(time.Now().Add(time.Hour)))
	if s := <-got; s != (seen{"Bearer first", "a certificate", "/am/api/v2/alerts"}) {
		t.Errorf("got %+v", s)
	}
	write(t, token, "second\n")
	request := httptest.NewRequest(http.MethodGet, "/api/v2/status", nil)
	request.Header.Set("Authorization", "Bearer the user's")
	bearer.Handler().ServeHTTP(httptest.NewRecorder(), request)
	if s := <-got; s != (seen{"Bearer second", "a certificate", "/am/api/v2/status"}) {
		t.Errorf("after the file has changed: %+v", s)
	}

	basic, _, _ := open(t, notify.Config{Remote: notify.Remote{URLs: []string{am.URL}, CAFile: authority, Username: "plimsoll", PasswordFile: token}})
	put(t, basic, oomAlert(time.Now().Add(time.Hour)))
	if s := <-got; s != (seen{"Basic cGxpbXNvbGw6c2Vjb25k", "", "/api/v2/alerts"}) {
		t.Errorf("got %+v", s)
	}

	stranger, _, _ := open(t, notify.Config{Remote: notify.Remote{URLs: []string{am.URL}}})
	if err := stranger.Put(t.Context(), oomAlert(time.Now().Add(time.Hour))); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}
	recorder := httptest.NewRecorder()
	stranger.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/api/v2/status", nil))
	var words string
	if err := json.Unmarshal(recorder.Body.Bytes(), &words); err != nil || recorder.Code != http.StatusBadGateway || !strings.Contains(words, "certificate") {
		t.Errorf("the API answers %d %s", recorder.Code, recorder.Body)
	}
}
