// Package identity gives a container one set of labels, whichever runtime runs it.
//
// It is pure: facts in, labels out. The table it implements:
//
//	label      Kubernetes                      Swarm                       Compose / plain Docker
//	namespace  namespace                       stack                       compose project, else empty
//	workload   owner of the pod                service without its stack   compose service, else container name
//	pod        pod                             task: service.slot          empty
//	container  container                       service name                container name
//	project    Projects                        Projects                    Projects
//	team, tier Projects, if it says so         same                        same
//	image      reference as configured         same                        same
//	name       name the engine shows           same                        same
//	id         cgroup path                     same                        same
//
// A service that a stack made is called STACK_SERVICE by Swarm. Its workload is SERVICE, the name it has in the stack's file, as with
// Compose and Kubernetes, so that the same application has the same project and workload on all of them.
//
// A task of a global Swarm service has no slot number; its pod is service.NODEID, as Swarm itself names it: one per node,
// the same after a restart.
package identity

import (
	"errors"
	"iter"
)

// Labels are the identity labels of a container's series. An empty field is an absent label. Labels are comparable: equal
// Labels are the same series.
type Labels struct {
	Project, IDC, Cluster, Node         string
	Team, Tier                          string // as the project map says; mostly absent
	Namespace, Workload, Pod, Container string
	Image, ID /* cgroup path */, Name   string
	Extra                               Extra // labels of the container that the project map lets through
}

// All yields label name and value, empty ones left out, in a fixed order (not sorted).
func (l Labels) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, pair := range [...][2]string{
			{"project", l.Project}, {"idc", l.IDC}, {"cluster", l.Cluster}, {"node", l.Node},
			{"namespace", l.Namespace}, {"workload", l.Workload}, {"pod", l.Pod}, {"container", l.Container},
			{"image", l.Image}, {"id", l.ID}, {"name", l.Name}, {"team", l.Team}, {"tier", l.Tier},
		} {
			if pair[1] != "" && !yield(pair[0], pair[1]) {
				return
			}
		}
		for name, value := range l.Extra.All() {
			if !yield(name, value) {
				return
			}
		}
	}
}

// Node is what all containers of the node share.
type Node struct{ IDC, Cluster, Node string }

// Resolver turns facts into labels. The zero value works: no node labels, built-in project defaults.
type Resolver struct {
	Node Node
	// Projects decides the project label. nil is the built-in map: defaults and no rules.
	Projects Projects
	// Values bounds the different values of what comes from the containers' own labels. nil bounds nothing.
	Values *Values
}

// What a container can be besides one with labels.
var (
	// ErrNameless says that nothing names the container yet. Hold it back; an ID is no name.
	ErrNameless = errors.New("no runtime names this container")
	// ErrSandbox says that the container only holds a pod's namespaces (pause). It has no series.
	ErrSandbox = errors.New("pod sandbox, not a container of its own")
)

// Longest label values, in characters. The path of a container under systemd, in a pod, in a nested runtime is the longest
// thing seen (some 300); names longer than 200 are mistakes.
const (
	maxValueRunes = 200
	maxPathRunes  = 1024
)

// Labels resolves f, and counts the values it had to mend. The error is ErrNameless or ErrSandbox.
func (r Resolver) Labels(f Facts) (l Labels, mended Mended, err error) {
	if f.Kubernetes.Sandbox {
		return Labels{}, mended, ErrSandbox
	}
	l = place(f)
	if l.Container == "" {
		return Labels{}, mended, ErrNameless
	}
	r.assign(&l, r.subject(f, l), &mended)
	l.IDC, l.Cluster, l.Node = r.Node.IDC, r.Node.Cluster, r.Node.Node
	l.Image, l.ID, l.Name = f.Image, f.CgroupPath, f.Name

	for _, value := range []*string{&l.IDC, &l.Cluster, &l.Node, &l.Namespace, &l.Workload, &l.Pod, &l.Container, &l.Image, &l.Name} {
		mended.clean(value, maxValueRunes)
	}
	mended.clean(&l.ID, maxPathRunes)
	if l.Container == "" {
		return Labels{}, mended, ErrNameless
	}
	if l.Workload == "" {
		l.Workload = l.Container
	}
	return l, mended, nil
}

// place fills namespace, workload, pod and container: the table of the package comment.
func place(f Facts) Labels {
	switch {
	case f.Kubernetes.Container != "" && f.Kubernetes.Pod != "":
		workload := f.Kubernetes.Workload
		if workload == "" {
			workload = ownerOfPod(f.Kubernetes.Pod)
		}
		return Labels{Namespace: f.Kubernetes.Namespace, Workload: workload, Pod: f.Kubernetes.Pod, Container: f.Kubernetes.Container}
	case f.Swarm.Service != "":
		return Labels{Namespace: f.Swarm.Stack, Workload: f.Swarm.workload(), Pod: f.Swarm.Task, Container: f.Swarm.Service}
	case f.Compose.Project != "":
		workload := f.Compose.Service
		if workload == "" {
			workload = f.Name
		}
		return Labels{Namespace: f.Compose.Project, Workload: workload, Container: f.Name}
	default:
		return Labels{Workload: f.Name, Container: f.Name}
	}
}
