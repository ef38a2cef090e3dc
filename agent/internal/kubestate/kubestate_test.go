package kubestate

import (
	"slices"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/agent/internal/identity"
	"github.com/plimsoll/plimsoll/agent/internal/kubernetes"
	"github.com/plimsoll/plimsoll/agent/internal/series"
	"github.com/plimsoll/plimsoll/agent/wire"
)

func TestAClusterBecomesSeries(t *testing.T) {
	cluster := kubernetes.Cluster{
		Workloads: []kubernetes.Workload{
			{Kind: "Deployment", Namespace: "shop", Name: "web", Container: "nginx", Labels: map[string]string{"project": "till"}, Desired: 3, Ready: 2, Updated: 1},
			{Kind: "StatefulSet", Namespace: "shop", Name: "db", Desired: 1},
			{Kind: "DaemonSet", Namespace: "shop", Name: "logs", Desired: 9, Ready: 9, Updated: 9},
			{Kind: "StatefulSet", Namespace: "shop", Name: "twin", Desired: 1, Ready: 1},
			{Kind: "Deployment", Namespace: "shop", Name: "twin", Desired: 4, Ready: 3},
		},
		Autoscalers: []kubernetes.Autoscaler{{Namespace: "shop", Name: "web", TargetKind: "Deployment", TargetName: "web", Min: 1, Max: 3, Current: 3, Desired: 4}},
		Quotas:      []kubernetes.Quota{{Namespace: "shop", Name: "all", Hard: map[string]float64{"requests.cpu": 10}, Used: map[string]float64{"requests.cpu": 1.5}}},
		Namespaces:  []kubernetes.Namespace{{Name: "shop", Labels: map[string]string{"acme.com/team": "core", "other": "x"}}},
		Nodes:       []kubernetes.ClusterNode{{Name: "n1", Allocatable: map[string]float64{"cpu": 3.92, "ephemeral-storage": 7}, Conditions: map[string]string{"Ready": "True"}}},
	}
	resolver := identity.Resolver{}
	source := New(Config{
		Cluster: func() kubernetes.Cluster { return cluster },
		Labels: func(f identity.Facts) (identity.Labels, error) {
			l, _, err := resolver.Labels(f)
			return l, err
		},
		NamespaceLabels: []string{"acme.com/team"},
	})
	var sets []*series.Set
	byLabels := map[string]*series.Set{}
	source.Collect(func(labels ...wire.Label) *series.Set {
		key := string(wire.AppendLabels(nil, labels))
		if byLabels[key] == nil {
			byLabels[key] = series.New(labels)
			byLabels[key].Begin()
			sets = append(sets, byLabels[key])
		}
		return byLabels[key]
	})
	lines := strings.Split(string(series.AppendText(nil, sets)), "\n")
	for _, want := range []string{
		`kube_deployment_spec_replicas{deployment="web",namespace="shop"} 3`,
		`kube_deployment_status_replicas_ready{deployment="web",namespace="shop"} 2`,
		`kube_deployment_status_replicas_updated{deployment="web",namespace="shop"} 1`,
		`kube_statefulset_replicas{namespace="shop",statefulset="db"} 1`,
		`kube_daemonset_status_number_ready{daemonset="logs",namespace="shop"} 9`,
		`workload_desired_replicas{namespace="shop",project="till",workload="web"} 3`,
		`workload_ready_replicas{namespace="shop",project="till",workload="web"} 2`,
		`workload_desired_replicas{namespace="shop",project="shop",workload="db"} 1`,
		`workload_desired_replicas{namespace="shop",project="shop",workload="twin"} 5`, // two kinds under one name are one workload
		`workload_ready_replicas{namespace="shop",project="shop",workload="twin"} 4`,
		`kube_statefulset_replicas{namespace="shop",statefulset="twin"} 1`,
		`workload_autoscaler_at_max{namespace="shop",project="till",workload="web"} 1`,
		`kube_horizontalpodautoscaler_spec_max_replicas{horizontalpodautoscaler="web",namespace="shop"} 3`,
		`kube_horizontalpodautoscaler_status_desired_replicas{horizontalpodautoscaler="web",namespace="shop"} 4`,
		`kube_resourcequota{namespace="shop",resource="requests.cpu",resourcequota="all",type="hard"} 10`,
		`kube_resourcequota{namespace="shop",resource="requests.cpu",resourcequota="all",type="used"} 1.5`,
		`kube_namespace_labels{label_acme_com_team="core",namespace="shop"} 1`,
		`kube_node_status_allocatable{node="n1",resource="cpu",unit="core"} 3.92`,
		`kube_node_status_allocatable{node="n1",resource="ephemeral_storage",unit="byte"} 7`,
		`kube_node_status_condition{condition="Ready",node="n1",status="true"} 1`,
		`kube_node_status_condition{condition="Ready",node="n1",status="unknown"} 0`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if t.Failed() {
		t.Log(strings.Join(lines, "\n"))
	}
}
