package cgroup

import (
	"strings"
	"testing"
)

const (
	idA = "798fbcaea062273f27d86c1b4cf715232f280d62b37a8c0d2ab42e2d26c3e808"
	idB = "d9539cd3e6bfd18d4a9378be66fe2f846321b5e5da28e7e3101d5726d2c3e766"
	uid = "8eb62a69-7768-45c4-8499-0fb0e260cc02"
	hex = "0123456789abcdef0123456789abcdef"
)

func TestParsePathKnowsTheLayoutsOfAllRuntimes(t *testing.T) {
	under := strings.ReplaceAll(uid, "-", "_")
	f := func(path string, want Ref) {
		t.Helper()
		if got, ok := ParsePath(path); !ok || got != want {
			t.Errorf("%s:\n got %+v %v\nwant %+v", path, got, ok, want)
		}
	}
	// the cgroupfs driver
	f("/docker/"+idA, Ref{ID: idA, Runtime: Docker})
	f("docker/"+idA+"/", Ref{ID: idA, Runtime: Docker})
	f("/tenant/web/"+idA, Ref{ID: idA})
	f("/ecs/task/"+idA, Ref{ID: idA})
	f("/libpod_parent/libpod-"+idA, Ref{ID: idA, Runtime: Podman})
	f("/libpod_parent/"+idB+"/libpod-"+idA, Ref{ID: idA, Runtime: Podman}) // in a pod of Podman
	f("/default/"+idA, Ref{ID: idA})                                       // nerdctl, by the containerd namespace
	f("/k8s.io/"+idA, Ref{ID: idA})
	f("/actions_job/"+idA, Ref{ID: idA})
	f("/kubepods/pod"+uid+"/"+idA, Ref{ID: idA, PodUID: uid})
	f("/kubepods/burstable/pod"+uid+"/"+idA, Ref{ID: idA, PodUID: uid})
	f("/kubepods/besteffort/pod"+uid+"/crio-"+idA, Ref{ID: idA, Runtime: CRIO, PodUID: uid})
	f("/kubepods/burstable/pod"+hex+"/"+idA, Ref{ID: idA, PodUID: hex}) // a static pod

	// the systemd driver
	f("/system.slice/docker-"+idA+".scope", Ref{ID: idA, Runtime: Docker})
	f("/machine.slice/libpod-"+idA+".scope", Ref{ID: idA, Runtime: Podman})
	f("/machine.slice/machine-libpod_pod_"+idB+".slice/libpod-"+idA+".scope", Ref{ID: idA, Runtime: Podman})
	f("/system.slice/web.service/libpod-payload-"+idA, Ref{ID: idA, Runtime: Podman})                                // a unit with --cgroups=split, as Quadlet writes it
	f("/user.slice/user-1000.slice/user@1000.service/app.slice/docker-"+idA+".scope", Ref{ID: idA, Runtime: Docker}) // rootless
	f("/system.slice/nerdctl-"+idA+".scope", Ref{ID: idA, Runtime: Containerd})
	f("/tenant.slice/tenant-web.slice/docker-"+idA+".scope", Ref{ID: idA, Runtime: Docker}) // --cgroup-parent
	f("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-"+idA+".scope", Ref{ID: idA, Runtime: Podman})
	f("/kubepods.slice/kubepods-pod"+under+".slice/cri-containerd-"+idA+".scope", Ref{ID: idA, Runtime: Containerd, PodUID: uid})
	f("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"+under+".slice/crio-"+idA+".scope", Ref{ID: idA, Runtime: CRIO, PodUID: uid})
	f("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod"+under+".slice/docker-"+idA+".scope", Ref{ID: idA, Runtime: Docker, PodUID: uid})
	f("/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod"+under+".slice/cri-containerd-"+idA+".scope",
		Ref{ID: idA, Runtime: Containerd, PodUID: uid}) // kind
	f("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"+hex+".slice/cri-containerd-"+idA+".scope", Ref{ID: idA, Runtime: Containerd, PodUID: hex})

	// containerd told to use systemd paths without the systemd driver
	f("/system.slice/containerd.service/kubepods-burstable-pod"+under+".slice:cri-containerd:"+idA, Ref{ID: idA, Runtime: Containerd, PodUID: uid})

	// a container inside a container: the inner one
	f("/docker/"+idA+"/docker/"+idB, Ref{ID: idB, Runtime: Docker})
}

func TestParsePathRefusesWhatIsNoContainer(t *testing.T) {
	for _, path := range []string{
		"", "/", "/docker", "/docker/", "/system.slice/docker.service", "/init.scope",
		"/docker/" + idA[:63], "/docker/" + idA + "0", "/docker/" + strings.ToUpper(idA), "/docker/buildkit",
		"/docker/" + idA + "/init.scope",
		"/libpod_parent/" + idA, "/libpod_parent/conmon", // a pod of Podman
		"/machine.slice/machine-libpod_pod_" + idA + ".slice",
		"/machine.slice/libpod-" + idA + ".scope/container", // where crun puts the processes; the scope is the container
		"/kubepods/burstable/pod" + uid,
		"/kubepods.slice/kubepods-burstable.slice",
		"/machine.slice/libpod-conmon-" + idA + ".scope",
		"/kubepods.slice/kubepods-pod" + uid + ".slice/crio-conmon-" + idA + ".scope",
		"/a:b:c", "/system.slice/x.slice:cri-containerd:" + idA[:60],
	} {
		if ref, ok := ParsePath(path); ok {
			t.Errorf("%q is taken for %+v", path, ref)
		}
	}
}

func TestAShortIDIsTwelveDigits(t *testing.T) {
	if s := ContainerID(idA).Short(); s != "798fbcaea062" {
		t.Errorf("Short is %q", s)
	}
	if s := ContainerID("abc").Short(); s != "abc" {
		t.Errorf("Short of a short one is %q", s)
	}
}

func FuzzParsePath(f *testing.F) {
	f.Add("/docker/" + idA)
	f.Add("/kubepods.slice/kubepods-pod8eb62a69_7768_45c4_8499_0fb0e260cc02.slice/cri-containerd-" + idA + ".scope")
	f.Add("/system.slice/containerd.service/kubepods-burstable-podx.slice:cri-containerd:" + idA)
	f.Add("//:-.scope")
	f.Fuzz(func(t *testing.T, path string) {
		ref, ok := ParsePath(path)
		if ok != isID(string(ref.ID)) {
			t.Errorf("%q gives %+v %v", path, ref, ok)
		}
		if ok && !strings.Contains(path, string(ref.ID)) {
			t.Errorf("%q does not contain %q", path, ref.ID)
		}
		if _, in, ok := innermost(path); ok && !strings.HasPrefix(path, in) {
			t.Errorf("%q is not the head of %q", in, path)
		}
	})
}
