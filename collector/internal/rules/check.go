package rules

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
)

// Check reads rule files as New would and writes one line per file to w. The error lists every fault with file and line.
func Check(w io.Writer, patterns ...string) error {
	if err := prepareVmalert(&url.URL{}); err != nil {
		return err
	}
	files, err := expand(patterns, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("rules: no file matches %q", patterns)
	}
	var faults []error
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			faults = append(faults, fmt.Errorf("rules: %w", err))
			continue
		}
		defs, err := parse(name, data)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		count := 0
		for _, def := range defs {
			count += len(def.Rules)
		}
		fmt.Fprintf(w, "%s: %d groups, %d rules\n", name, len(defs), count)
	}
	return errors.Join(faults...)
}
