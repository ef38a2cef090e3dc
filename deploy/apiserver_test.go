package deploy_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// apiserver is a real kube-apiserver over a real etcd, both empty, with no controller that would act on objects.
type apiserver struct {
	config *rest.Config
	warned warnings
}

// warnings collects what the server warns of: deprecated or ignored fields.
type warnings struct {
	sync.Mutex
	texts []string
}

func (w *warnings) HandleWarningHeader(_ int, _ string, text string) {
	w.Lock()
	defer w.Unlock()
	w.texts = append(w.texts, text)
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
	binary := filepath.Join(folder, "kube-apiserver")
	_, err := os.Stat(binary)
	need(t, err == nil, "no "+binary+" (.ci/peers/kubernetes/build.sh makes it)")
	needProgram(t, "etcd")

	state := t.TempDir()
	etcd, peer, port := "http://127.0.0.1:"+freePort(t), "http://127.0.0.1:"+freePort(t), freePort(t)
	daemon(t, filepath.Join(state, "etcd.log"), "etcd", "--data-dir", filepath.Join(state, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", etcd, "--advertise-client-urls", etcd,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	key, public := serviceAccountKey(t, state)
	write(t, filepath.Join(state, "tokens.csv"), "the-admin,admin,1,system:masters\n")
	daemon(t, filepath.Join(state, "apiserver.log"), binary, "--etcd-servers", etcd, "--cert-dir", filepath.Join(state, "certs"),
		"--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", port,
		"--token-auth-file", filepath.Join(state, "tokens.csv"), "--anonymous-auth=false", "--authorization-mode", "RBAC",
		"--service-account-issuer", "https://kubernetes.default.svc",
		"--service-account-key-file", public, "--service-account-signing-key-file", key,
		"--service-cluster-ip-range", "10.96.0.0/24", "--endpoint-reconciler-type", "none", "--allow-privileged=true")

	s := &apiserver{}
	s.config = &rest.Config{
		Host: "https://127.0.0.1:" + port, BearerToken: "the-admin",
		TLSClientConfig: rest.TLSClientConfig{Insecure: true}, WarningHandler: &s.warned,
		QPS: 100, Burst: 100,
	}
	client, err := discovery.NewDiscoveryClientForConfig(s.config)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Minute, "kube-apiserver is ready", func() error {
		return client.RESTClient().Get().AbsPath("/readyz").Do(context.Background()).Error()
	})
	return s
}

// apply applies an object on the server's side; options as for kubectl apply --server-side --dry-run=server|none.
func (s *apiserver) apply(object map[string]any, dryRun ...string) error {
	u := unstructured.Unstructured{Object: object}
	groups, err := discovery.NewDiscoveryClientForConfig(s.config)
	if err != nil {
		return err
	}
	resources, err := restmapper.GetAPIGroupResources(groups)
	if err != nil {
		return fmt.Errorf("discover resources: %w", err)
	}
	mapping, err := restmapper.NewDiscoveryRESTMapper(resources).RESTMapping(u.GroupVersionKind().GroupKind(), u.GroupVersionKind().Version)
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(s.config)
	if err != nil {
		return err
	}
	data, err := u.MarshalJSON()
	if err != nil {
		return err
	}
	force := true
	_, err = client.Resource(mapping.Resource).Namespace(u.GetNamespace()).Patch(context.Background(), u.GetName(), types.ApplyPatchType, data,
		metav1.PatchOptions{FieldManager: "plimsoll-test", Force: &force, DryRun: dryRun, FieldValidation: metav1.FieldValidationStrict})
	return err
}

// daemon runs a program until the test ends; the end of its log is shown when the test fails.
func daemon(t *testing.T, logFile, name string, args ...string) *exec.Cmd {
	t.Helper()
	log, err := os.Create(logFile)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	command := exec.Command(name, args...)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			text := read(t, logFile)
			t.Logf("end of %s:\n%s", logFile, text[max(0, len(text)-3000):])
		}
		if err := command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("kill %s: %v", name, err)
		}
		_ = command.Wait() // killed, or ended by the test itself
	})
	return command
}

func serviceAccountKey(t *testing.T, folder string) (private, public string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	private, public = filepath.Join(folder, "sa.key"), filepath.Join(folder, "sa.pub")
	write(t, private, string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
	write(t, public, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	return private, public
}
