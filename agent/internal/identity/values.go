package identity

import "iter"

// How many different values one agent gives these labels at a time. They may come from labels of containers, which anyone who
// starts one can set.
const (
	maxProjects = 1000
	maxTeams    = 500
	maxTiers    = 50
)

// Values bounds how many different values a label has at a time. What is past the bound is left out. A nil *Values bounds
// nothing. It is for one goroutine at a time.
type Values struct {
	refused func(label string)
	seen    map[string]map[string]bool
	full    map[string]int // labels without room for one more value, and how many they may have
}

// NewValues calls refused for every value left out.
func NewValues(refused func(label string)) *Values {
	return &Values{refused: refused, seen: map[string]map[string]bool{}, full: map[string]int{}}
}

func (v *Values) admit(label, value string, most int) bool {
	if v == nil || value == "" {
		return true
	}
	known := v.seen[label]
	switch {
	case known[value]:
	case len(known) >= most:
		v.full[label] = most
		v.refused(label)
		return false
	case known == nil:
		v.seen[label] = map[string]bool{value: true}
	default:
		known[value] = true
	}
	return true
}

// Keep forgets the values that none of used has, if there was no room for one, and tells if there is room again.
func (v *Values) Keep(used iter.Seq[Labels]) (roomAgain bool) {
	if v == nil || len(v.full) == 0 {
		return false
	}
	clear(v.seen)
	note := func(label, value string) {
		if value == "" {
			return
		}
		if v.seen[label] == nil {
			v.seen[label] = map[string]bool{}
		}
		v.seen[label][value] = true
	}
	for l := range used {
		note("project", l.Project)
		note("team", l.Team)
		note("tier", l.Tier)
		for label, value := range l.Extra.All() {
			note(label, value)
		}
	}
	for label, most := range v.full {
		if len(v.seen[label]) < most {
			delete(v.full, label)
			roomAgain = true
		}
	}
	return roomAgain
}
