package catalog

import (
	"strings"
	"testing"
)

// FuzzParseGroups: names are known or refused; none switches the core off.
func FuzzParseGroups(f *testing.F) {
	f.Add("all", "")
	f.Add("cpu,memory", "all")
	f.Add("", "core")
	f.Fuzz(func(t *testing.T, enable, disable string) {
		groups, err := ParseGroups(strings.Split(enable, ","), strings.Split(disable, ","))
		if err != nil {
			return
		}
		again, err := ParseGroups(strings.Split(enable, ","), strings.Split(disable, ","))
		if err != nil || again != groups {
			t.Errorf("%v and then %v, %v", groups, again, err)
		}
	})
}
