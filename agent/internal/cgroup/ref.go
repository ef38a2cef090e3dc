package cgroup

import "strings"

// ContainerID is a container's id as its runtime writes it: 64 lower-case hex digits. "" means no container.
type ContainerID string

// Short returns the first 12 digits, as docker ps prints them.
func (id ContainerID) Short() string {
	if len(id) <= 12 {
		return string(id)
	}
	return string(id[:12])
}

// Runtime is the container runtime as far as a cgroup's name tells; "" where it does not.
type Runtime string

// The runtimes that put their name into the path.
const (
	Docker     Runtime = "docker"
	Containerd Runtime = "containerd"
	CRIO       Runtime = "cri-o"
	Podman     Runtime = "podman"
)

// Ref is what the path of a container's cgroup tells about it.
type Ref struct {
	ID      ContainerID
	Runtime Runtime
	PodUID  string // of Kubernetes, with dashes; static pods have 32 hex digits without; "" outside Kubernetes
}

// ParsePath reads a container out of the path of its own cgroup, relative to the root of the tree; false where the last element of
// the path is no container. The layouts known:
//
//	/docker/ID  /any/parent/ID  /libpod_parent/libpod-ID  /libpod_parent/POD/libpod-ID (POD is no container, though it looks like an ID)
//	/kubepods/podUID/ID  /kubepods/burstable/podUID/ID
//	/system.slice/docker-ID.scope  …/cri-containerd-ID.scope  …/crio-ID.scope  …/libpod-ID.scope  /system.slice/NAME.service/libpod-payload-ID
//	/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID_WITH_UNDERSCORES.slice/cri-containerd-ID.scope
//	/system.slice/containerd.service/kubepods-burstable-podUID.slice:cri-containerd:ID
func ParsePath(path string) (Ref, bool) {
	parent, name := "", strings.TrimSuffix(path, "/")
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		parent, name = name[:i], name[i+1:]
	}
	ref, ok := parseName(name)
	if !ok || isID(name) && strings.HasSuffix(parent, "libpod_parent") {
		return Ref{}, false
	}
	if ref.PodUID == "" {
		ref.PodUID = podUID(parent)
	}
	if ref.Runtime == "" && (parent == "docker" || strings.HasSuffix(parent, "/docker")) {
		ref.Runtime = Docker
	}
	return ref, true
}

// parseName reads the last element of a container's path.
func parseName(name string) (Ref, bool) {
	if isID(name) {
		return Ref{ID: ContainerID(name)}, true
	}
	if slice, rest, ok := strings.Cut(name, ":"); ok { // SLICE:PREFIX:ID
		prefix, id, _ := strings.Cut(rest, ":")
		if !isID(id) {
			return Ref{}, false
		}
		return Ref{ID: ContainerID(id), Runtime: runtimeOf(prefix), PodUID: podUID(slice)}, true
	}
	name = strings.TrimSuffix(name, ".scope")
	i := strings.LastIndexByte(name, '-')
	if i < 0 || !isID(name[i+1:]) || strings.HasSuffix(name[:i], "-conmon") { // conmon's own cgroup carries the container's id
		return Ref{}, false
	}
	return Ref{ID: ContainerID(name[i+1:]), Runtime: runtimeOf(name[:i])}, true
}

func runtimeOf(prefix string) Runtime {
	switch prefix {
	case "docker":
		return Docker
	case "cri-containerd", "nerdctl":
		return Containerd
	case "crio":
		return CRIO
	case "libpod", "libpod-payload":
		return Podman
	}
	return ""
}

// podUID finds the pod in the elements above a container: podUID, or SOMETHING-podUID.slice with the dashes written as underscores.
func podUID(parent string) string {
	for parent != "" {
		var name string
		if i := strings.LastIndexByte(parent, '/'); i >= 0 {
			parent, name = parent[:i], parent[i+1:]
		} else {
			parent, name = "", parent
		}
		if slice, ok := strings.CutSuffix(name, ".slice"); ok {
			if i := strings.LastIndex(slice, "-pod"); i >= 0 && isUID(slice[i+len("-pod"):]) {
				return strings.ReplaceAll(slice[i+len("-pod"):], "_", "-")
			}
			continue
		}
		if uid, ok := strings.CutPrefix(name, "pod"); ok && isUID(uid) {
			return uid
		}
	}
	return ""
}

// isID reports whether s is 64 lower-case hex digits.
func isID(s string) bool {
	return len(s) == 64 && onlyHexAnd(s, 0)
}

// isUID reports whether s is a pod's UID: 36 digits and separators, or the 32 digits of a static pod.
func isUID(s string) bool {
	return len(s) == 32 && onlyHexAnd(s, 0) || len(s) == 36 && (onlyHexAnd(s, '-') || onlyHexAnd(s, '_'))
}

func onlyHexAnd(s string, also byte) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || also != 0 && c == also) {
			return false
		}
	}
	return true
}

// innermost returns the part of path that ends in its last container element, for the path of a process that stands
// deeper inside ("…/libpod-ID.scope/container").
func innermost(path string) (Ref, string, bool) {
	for path != "" && path != "/" {
		if ref, ok := ParsePath(path); ok {
			return ref, path, true
		}
		i := strings.LastIndexByte(path, '/')
		if i < 0 {
			break
		}
		path = path[:i]
	}
	return Ref{}, "", false
}
