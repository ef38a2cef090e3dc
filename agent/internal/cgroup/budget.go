package cgroup

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Budget is the number of descriptors that held files may take. A Group opened beyond it opens, reads and closes its files each time, at
// about three times the cost, and takes up holding them at the first Read that finds room. Safe for concurrent use; a nil
// Budget has no limit.
type Budget struct {
	limit    int64
	used     atomic.Int64
	fallback atomic.Int64
}

// NewBudget allows the given number of descriptors; 0 or less holds no file at all.
func NewBudget(descriptors int) *Budget {
	return &Budget{limit: int64(max(descriptors, 0))}
}

// ProcessBudget allows what the process may open (RLIMIT_NOFILE, the soft limit) but for a reserve left to sockets, logs and the spool, half of
// the limit at most.
func ProcessBudget(reserve int) (*Budget, error) {
	var rl unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &rl); err != nil {
		return nil, fmt.Errorf("get RLIMIT_NOFILE: %w", err)
	}
	const most = 1 << 20 // "unlimited" is no number of descriptors anyone has memory for
	may := int(min(rl.Cur, most))
	return NewBudget(may - min(reserve, may/2)), nil
}

// Limit is the number of descriptors allowed.
func (b *Budget) Limit() int { return int(b.limit) }

// Used is the number of descriptors held now.
func (b *Budget) Used() int { return int(b.used.Load()) }

// Fallback is the number of groups that are read without held files now, because the budget or the process's limit was reached.
func (b *Budget) Fallback() int { return int(b.fallback.Load()) }

// take reserves n descriptors, all or none.
func (b *Budget) take(n int) bool {
	if b == nil {
		return true
	}
	if b.used.Add(int64(n)) > b.limit {
		b.used.Add(int64(-n))
		return false
	}
	return true
}

func (b *Budget) give(n int) {
	if b != nil {
		b.used.Add(int64(-n))
	}
}

func (b *Budget) countFallback(delta int64) {
	if b != nil {
		b.fallback.Add(delta)
	}
}
