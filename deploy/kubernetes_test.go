package deploy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// example is deploy/kubernetes with secrets, as someone has it who followed the comment of example/kustomization.yaml.
func example(t *testing.T, components ...string) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("kubernetes")); err != nil {
		t.Fatal(err)
	}
	output(t, nil, "./new-token.sh", filepath.Join(folder, "example", "secrets"))
	if len(components) > 0 {
		file := filepath.Join(folder, "example", "kustomization.yaml")
		write(t, file, read(t, file)+"\ncomponents:\n- ../components/"+strings.Join(components, "\n- ../components/")+"\n")
	}
	return filepath.Join(folder, "example")
}

// kustomize builds a folder into objects, in the order in which they are to be applied.
func kustomize(t *testing.T, folder string) []unstructured.Unstructured {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		t.Fatal(err)
	}
	var objects []unstructured.Unstructured
	for _, r := range built.Resources() {
		text, err := r.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var object unstructured.Unstructured
		if err := object.UnmarshalJSON(text); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object)
	}
	slices.SortStableFunc(objects, func(a, b unstructured.Unstructured) int { return order(a) - order(b) })
	return objects
}

// order puts first what others refer to.
func order(object unstructured.Unstructured) int {
	if at := slices.Index([]string{"Namespace", "ServiceAccount"}, object.GetKind()); at >= 0 {
		return at
	}
	return 9
}

func TestEveryKubernetesObjectIsAcceptedByARealAPIServer(t *testing.T) {
	server := startAPIServer(t)
	for name, folder := range map[string]string{
		"base":          "kubernetes/base",
		"example":       example(t),
		"docker-socket": example(t, "docker-socket"),
	} {
		t.Run(name, func(t *testing.T) {
			objects := kustomize(t, folder)
			if len(objects) < 9 {
				t.Errorf("only %d objects", len(objects))
			}
			for _, object := range objects {
				// A dry run refuses what is in a namespace that is not there, and a pod without its service account.
				if order(object) < 9 {
					if err := server.apply(object.Object); err != nil {
						t.Errorf("%s: %v", title(object), err)
					}
				}
				if err := server.apply(object.Object, "All"); err != nil {
					t.Errorf("%s: %v", title(object), err)
				}
				// The admission of pods (security level, service account) sees pods, not what makes them.
				if pod, ok := podOf(object); ok {
					if err := server.apply(pod.Object, "All"); err != nil {
						t.Errorf("pod of %s: %v", title(object), err)
					}
				}
			}
		})
	}
	for _, text := range server.warned.texts {
		t.Error("the server warns:", text)
	}
}

// podOf is a pod as the controller of a DaemonSet or StatefulSet would make it.
func podOf(object unstructured.Unstructured) (unstructured.Unstructured, bool) {
	template, found, err := unstructured.NestedMap(object.Object, "spec", "template")
	if err != nil || !found {
		return unstructured.Unstructured{}, false
	}
	pod := unstructured.Unstructured{Object: template}
	pod.SetAPIVersion("v1")
	pod.SetKind("Pod")
	pod.SetName(object.GetName() + "-0")
	pod.SetNamespace(object.GetNamespace())
	if claims, found, _ := unstructured.NestedSlice(object.Object, "spec", "volumeClaimTemplates"); found {
		volumes, _, _ := unstructured.NestedSlice(template, "spec", "volumes")
		for _, claim := range claims {
			name, _, _ := unstructured.NestedString(claim.(map[string]any), "metadata", "name")
			volumes = append(volumes, map[string]any{"name": name, "persistentVolumeClaim": map[string]any{"claimName": name + "-" + object.GetName() + "-0"}})
		}
		if err := unstructured.SetNestedSlice(template, volumes, "spec", "volumes"); err != nil {
			return pod, false
		}
	}
	return pod, true
}

func title(object unstructured.Unstructured) string {
	return fmt.Sprintf("%s %s", object.GetKind(), object.GetName())
}

func TestAnAPIServerRefusesWhatIsWrong(t *testing.T) {
	server := startAPIServer(t)
	for _, object := range kustomize(t, "kubernetes/base") {
		if object.GetKind() == "Namespace" {
			if err := server.apply(object.Object); err != nil {
				t.Fatal(err)
			}
		}
		if object.GetKind() == "DaemonSet" {
			if err := unstructured.SetNestedField(object.Object, true, "spec", "template", "spec", "hostPIDs"); err != nil {
				t.Fatal(err)
			}
			if err := server.apply(object.Object, "All"); err == nil || !strings.Contains(err.Error(), "hostPIDs") {
				t.Errorf("a misspelt field: got %v", err)
			}
		}
	}
}

// onlyReads fails a rule that lets the agent write anything but its Lease, or read what may be secret.
func onlyReads(t *testing.T, title string, rule map[string]any) {
	t.Helper()
	verbs, _, _ := unstructured.NestedStringSlice(rule, "verbs")
	resources, _, _ := unstructured.NestedStringSlice(rule, "resources")
	for _, resource := range resources {
		if slices.Contains([]string{"*", "secrets", "configmaps", "serviceaccounts", "nodes/proxy", "pods/exec"}, resource) {
			t.Errorf("%s: may ask for %s", title, resource)
		}
		for _, verb := range verbs {
			reads := slices.Contains([]string{"get", "list", "watch"}, verb)
			lease := resource == "leases" && slices.Contains([]string{"create", "update"}, verb)
			if !reads && !lease {
				t.Errorf("%s: may %s %s", title, verb, resource)
			}
		}
	}
}

func TestTheBaseBringsNoSecretAndNoPower(t *testing.T) {
	for _, object := range kustomize(t, "kubernetes/base") {
		switch object.GetKind() {
		case "Secret":
			t.Errorf("%s: a token that everybody knows", title(object))
		case "Role", "ClusterRole":
			rules, _, err := unstructured.NestedSlice(object.Object, "rules")
			if err != nil {
				t.Fatal(err)
			}
			for _, rule := range rules {
				onlyReads(t, title(object), rule.(map[string]any))
			}
		}
		pod, ok := podOf(object)
		if !ok {
			continue
		}
		containers, _, err := unstructured.NestedSlice(pod.Object, "spec", "containers")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range containers {
			security, _, _ := unstructured.NestedMap(c.(map[string]any), "securityContext")
			if security["privileged"] == true || security["allowPrivilegeEscalation"] != false || security["readOnlyRootFilesystem"] != true {
				t.Errorf("%s: securityContext %v", title(object), security)
			}
			drop, _, _ := unstructured.NestedStringSlice(security, "capabilities", "drop")
			if !slices.Equal(drop, []string{"ALL"}) {
				t.Errorf("%s: drops %q, want ALL", title(object), drop)
			}
		}
		volumes, _, _ := unstructured.NestedSlice(pod.Object, "spec", "volumes")
		for _, v := range volumes {
			path, _, _ := unstructured.NestedString(v.(map[string]any), "hostPath", "path")
			if strings.Contains(path, "docker.sock") {
				t.Errorf("%s: the engine's socket is the component's to give", title(object))
			}
		}
	}
}
