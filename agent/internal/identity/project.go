package identity

import (
	"cmp"

	"github.com/plimsoll/plimsoll/agent/projectmap"
)

// Projects decides which project a container belongs to, who answers for it, and by which rule. A projectmap.Map is one.
type Projects interface {
	Decide(projectmap.Container) projectmap.Decision
	// Unassigned is the project of what no rule claims.
	Unassigned() string
}

// Subject is f as a project map sees it. Its words are those of the labels of the series.
func (r Resolver) Subject(f Facts) projectmap.Container { return r.subject(f, place(f)) }

func (r Resolver) subject(f Facts, l Labels) projectmap.Container {
	return projectmap.Container{
		Labels: f.Labels, Annotations: f.Annotations,
		Namespace: cmp.Or(l.Namespace, f.Kubernetes.Namespace), Workload: l.Workload, Pod: l.Pod, Container: l.Container,
		Image: f.Image, Name: f.Name, IDC: r.Node.IDC, Cluster: r.Node.Cluster, Node: r.Node.Node,
		Stack: f.Swarm.Stack, ComposeProject: f.Compose.Project, Runtime: runtimeOf(f),
	}
}

func runtimeOf(f Facts) string {
	switch {
	case f.Kubernetes.Pod != "":
		return "kubernetes"
	case f.Swarm.Service != "":
		return "swarm"
	case f.Compose.Project != "":
		return "compose"
	default:
		return "docker"
	}
}

// Unassigned is the project of containers no rule claims, under the map in force.
func (r Resolver) Unassigned() string {
	if r.Projects == nil {
		return projectmap.Unassigned
	}
	return r.Projects.Unassigned()
}

// assign fills project, team, tier and the labels let through.
func (r Resolver) assign(l *Labels, subject projectmap.Container, mended *Mended) {
	projects := r.Projects
	if projects == nil {
		projects = projectmap.Builtin()
	}
	d := projects.Decide(subject)
	for _, one := range []struct {
		name string
		to   *string
		said string
		most int
	}{{"project", &l.Project, d.Project, maxProjects}, {"team", &l.Team, d.Team, maxTeams}, {"tier", &l.Tier, d.Tier, maxTiers}} {
		mended.clean(&one.said, maxValueRunes)
		if r.Values.admit(one.name, one.said, one.most) {
			*one.to = one.said
		}
	}
	if l.Project == "" {
		l.Project, l.Team, l.Tier = projects.Unassigned(), "", ""
	}
	for _, p := range d.Passed {
		mended.clean(&p.Value, p.Label.MaxLength)
		if r.Values.admit(p.Label.As, p.Value, p.Label.MaxValues) {
			l.Extra = l.Extra.with(p.Label.As, p.Value)
		}
	}
}
