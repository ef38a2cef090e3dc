package kubernetes

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// apiserver is a real kube-apiserver over a real etcd, with no controller that would act on objects.
type apiserver struct {
	t       *testing.T
	state   string
	binary  string
	etcd    string
	port    string
	process *exec.Cmd
	admin   *kubernetes.Clientset
}

// agentUser is who the agent is to the API server: the service account of deploy/kubernetes/base.
const (
	agentUser  = "system:serviceaccount:plimsoll:plimsoll-agent"
	adminToken = "the-admin"
	agentToken = "the-agent"
)

func need(t *testing.T, there bool, missing string) {
	t.Helper()
	switch {
	case there:
	case os.Getenv("CI") == "true":
		t.Fatal(missing)
	default:
		t.Skip(missing)
	}
}

// startAPIServer starts both until the test ends. The server is the one of .ci/peers/kubernetes, etcd is Debian's.
func startAPIServer(t *testing.T) *apiserver {
	t.Helper()
	folder := os.Getenv("PLIMSOLL_KUBERNETES")
	if folder == "" {
		cache, err := os.UserCacheDir()
		need(t, err == nil, "no cache folder")
		folder = filepath.Join(cache, "plimsoll", "kubernetes-v1.34.4")
	}
	s := &apiserver{t: t, state: t.TempDir(), binary: filepath.Join(folder, "kube-apiserver"), port: freePort(t), etcd: "http://127.0.0.1:" + freePort(t)}
	_, err := os.Stat(s.binary)
	need(t, err == nil, "no "+s.binary+" (.ci/peers/kubernetes/build.sh makes it)")
	_, err = exec.LookPath("etcd")
	need(t, err == nil, "no etcd (apt-get install etcd-server)")

	peer := "http://127.0.0.1:" + freePort(t)
	s.daemon("etcd", "etcd", "--data-dir", filepath.Join(s.state, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", s.etcd, "--advertise-client-urls", s.etcd,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	s.write("tokens.csv", adminToken+",admin,1,system:masters\n"+agentToken+","+agentUser+",2,system:serviceaccounts\n")
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	s.write("sa.key", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
	s.write("sa.pub", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})))
	if s.admin, err = kubernetes.NewForConfig(s.config(adminToken)); err != nil {
		t.Fatal(err)
	}
	s.start()
	return s
}

func (s *apiserver) config(token string) *rest.Config {
	return &rest.Config{Host: "https://127.0.0.1:" + s.port, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{Insecure: true}, QPS: 1000, Burst: 1000}
}

// kubeconfig writes a kubeconfig file for a token, at home in namespace plimsoll.
func (s *apiserver) kubeconfig(token string) string {
	return s.write("kubeconfig-"+token, fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:%s", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: %s}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: plimsoll}}]
current-context: x
`, s.port, token))
}

// start starts the API server, and waits until it is ready.
func (s *apiserver) start() {
	s.t.Helper()
	s.process = s.daemon("apiserver", s.binary, "--etcd-servers", s.etcd, "--cert-dir", filepath.Join(s.state, "certs"),
		"--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", s.port,
		"--token-auth-file", filepath.Join(s.state, "tokens.csv"), "--anonymous-auth=false", "--authorization-mode", "RBAC",
		"--service-account-issuer", "https://kubernetes.default.svc",
		"--service-account-key-file", filepath.Join(s.state, "sa.pub"), "--service-account-signing-key-file", filepath.Join(s.state, "sa.key"),
		"--service-cluster-ip-range", "10.96.0.0/24", "--endpoint-reconciler-type", "none",
		"--disable-admission-plugins", "ServiceAccount")
	eventually(s.t, time.Minute, "kube-apiserver is ready", func() bool {
		_, err := s.admin.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(context.Background())
		return err == nil
	})
	eventually(s.t, time.Minute, "namespace default is there", func() bool {
		_, err := s.admin.CoreV1().Namespaces().Get(context.Background(), "default", metav1.GetOptions{})
		return err == nil
	})
}

// stop kills the API server; etcd keeps what it knew.
func (s *apiserver) stop() {
	s.t.Helper()
	if err := s.process.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	_ = s.process.Wait()
}

func (s *apiserver) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.state, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// daemon runs a program until the test ends; the end of its log is shown when the test fails.
func (s *apiserver) daemon(log, name string, args ...string) *exec.Cmd {
	s.t.Helper()
	file, err := os.OpenFile(filepath.Join(s.state, log+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer file.Close()
	command := exec.Command(name, args...)
	command.Stdout, command.Stderr = file, file
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = command.Process.Kill() // ended by the test itself, or now
		_ = command.Wait()
		if text, err := os.ReadFile(file.Name()); err == nil && s.t.Failed() {
			s.t.Logf("end of %s:\n%s", file.Name(), text[max(0, len(text)-2000):])
		}
	})
	return command
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func eventually(t *testing.T, patience time.Duration, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %s still not: %s", patience, what)
		}
	}
}
