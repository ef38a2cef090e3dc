package chaos_test

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// table is what a long run ends with: a row for each thing that was done.
type table struct {
	mu   sync.Mutex
	rows []string
}

const tableHead = "%-44s %9s %9s %6s %6s %6s %6s  %s\n"

func (t *table) add(row string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = append(t.rows, row)
	fmt.Print(row)
}

// count is a row of what came of samples.
func (t *table) count(what string, n count, note string, args ...any) {
	t.add(strings.TrimRight(fmt.Sprintf("%-44s %9d %9d %6d %6d %6d %6d  %s", what, n.expected, n.stored, n.lost, n.double, n.wrong, n.disordered, fmt.Sprintf(note, args...)), " ") + "\n")
}

// tell is a row without samples.
func (t *table) tell(what, note string, args ...any) {
	t.add(strings.TrimRight(fmt.Sprintf(tableHead, what, "", "", "", "", "", "", fmt.Sprintf(note, args...)), " \n") + "\n")
}

func (t *table) write(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rows) == 0 {
		return
	}
	fmt.Fprintf(w, "\n"+tableHead, "", "spooled", "stored", "lost", "double", "wrong", "order", "")
	for _, row := range t.rows {
		fmt.Fprint(w, row)
	}
}
