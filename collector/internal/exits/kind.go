package exits

import "slices"

// kind is which exits a request wants to see.
type kind string

const (
	all     kind = "all"
	crashed kind = "crashed"
	short   kind = "short" // lived less than shortSeconds
)

func kinds() []kind { return []kind{all, crashed, short} }

// shortSeconds is the life that samples of the usual 15 s show in a handful of points or in none.
const shortSeconds = 60

// asked are the signals by which people and programs ask a container to stop: hang-up, interrupt, terminate.
func asked() []int { return []int{1, 2, 15} }

func (e *Exit) crashed() bool {
	switch e.Reason {
	case "error", "oom_killed":
		return true
	case "signalled":
		return !slices.Contains(asked(), e.Signal)
	}
	return false
}

func (e *Exit) is(k kind) bool {
	switch k {
	case crashed:
		return e.Crashed
	case short:
		return e.RuntimeSeconds != nil && *e.RuntimeSeconds < shortSeconds
	}
	return true
}
