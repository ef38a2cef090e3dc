package identity

import "testing"

func TestIDCAndClusterComeFromTheFirstThatSaysSomething(t *testing.T) {
	for _, c := range []struct {
		sentence  string
		claims    []Claim
		want      Node
		conflicts []string
	}{
		{"nobody says anything", []Claim{{Source: "the flags"}, {Source: "the engine"}}, Node{Node: "n"}, nil},
		{"each label on its own", []Claim{{"the flags", "", "k8s-1"}, {"the node's labels", "bj1", "k8s-1"}}, Node{"bj1", "k8s-1", "n"}, nil},
		{"the flags win, and the others are named", []Claim{{"the flags", "bj1", "a"}, {"the node's labels", "sh2", ""}, {"the engine", "gz3", "b"}}, Node{"bj1", "a", "n"},
			[]string{`idc is "bj1" by the flags, and "sh2" by the node's labels`, `idc is "bj1" by the flags, and "gz3" by the engine`, `cluster is "a" by the flags, and "b" by the engine`}},
	} {
		n, conflicts := Settle("n", c.claims)
		if n != c.want || len(conflicts) != len(c.conflicts) {
			t.Errorf("%s: %+v %v", c.sentence, n, conflicts)
			continue
		}
		for i := range conflicts {
			if conflicts[i].String() != c.conflicts[i] {
				t.Errorf("%s: %s", c.sentence, conflicts[i])
			}
		}
	}
	if got := FirstOf(map[string]string{"zone": "z", "region": ""}, []string{"region", "zone"}); got != "z" {
		t.Errorf("first of: %q", got)
	}
}
