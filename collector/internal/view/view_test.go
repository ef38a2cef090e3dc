package view

import (
	"context"
	"fmt"
	"testing"
)

func names(t *testing.T, list ...string) Names {
	t.Helper()
	n, err := NewNames(list)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestANameMatchesInFullAndOnlyTheStarIsSpecial(t *testing.T) {
	n := names(t, "shop", "web-*", "a.b", "")
	for value, want := range map[string]bool{
		"shop": true, "web-": true, "web-1": true, "a.b": true, "": true, "web-\nx": true,
		"shop2": false, "my-shop": false, "SHOP": false, "axb": false, "web": false, "shop\n": false, "shop|other": false, "x": false,
	} {
		if n.Match(value) != want {
			t.Errorf("%q: %v", value, !want)
		}
	}
	if _, err := NewNames(nil); err == nil {
		t.Error("no names are names")
	}
	if (Names{}).Match("") {
		t.Error("the zero value matches")
	}
	for _, list := range [][]string{{"a", "b"}, {"a*"}, {""}} {
		if v, only := names(t, list...).Only(); only {
			t.Errorf("%q is only %q", list, v)
		}
	}
	if v, only := names(t, "k1").Only(); !only || v != "k1" {
		t.Errorf("%q %v", v, only)
	}
}

func TestAViewSeesItsProjectsAndPerhapsNodes(t *testing.T) {
	projects := New(names(t, "shop", "*-lab"))
	for labels, want := range map[[2]string][2]bool{ // key: project and node; value: seen without and with nodes
		{"shop", ""}: {true, true}, {"x-lab", "n1"}: {true, true}, {"bank", ""}: {false, false}, {"bank", "n1"}: {false, false},
		{"", "n1"}: {false, true}, {"", ""}: {false, false},
	} {
		set := map[string]string{"project": labels[0], "node": labels[1]}
		if got := [2]bool{projects.Sees(set), projects.AndNodes().Sees(set)}; got != want {
			t.Errorf("%v: %v, want %v", set, got, want)
		}
	}
	if projects.AndNodes().Sees(map[string]string{"node": "n1", "namespace": "bank"}) {
		t.Error("a container without a project is taken for a node")
	}
	if all := New(names(t, "*")); all.Project("") || all.Sees(map[string]string{"project": ""}) || !all.Project("bank") {
		t.Error("any project is not the same as no project")
	}
	if everything := Of(context.Background()); !everything.Sees(nil) || !everything.Nodes() || !everything.Project("x") {
		t.Error("without a view something is hidden")
	}
	if Of(With(context.Background(), projects)) != projects {
		t.Error("the view is lost on the way")
	}
}

func TestSelectorsAreQuoted(t *testing.T) {
	got := fmt.Sprint(New(names(t, `a"b\`, "c.d*")).AndNodes().Selectors())
	want := `[{project=~"a\"b\\\\|c\\.d.*",project!=""} {node!="",project="",namespace="",workload="",pod="",container="",image=""}]`
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
