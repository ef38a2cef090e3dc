package notify

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// secretsIn reads every file that an alertmanager.yml names, by a key that ends in _file. Alertmanager reads them when it has something
// to send, which is late to learn that a token is not there.
func secretsIn(file string, root *yaml.Node) error {
	var faults []error
	eachPair(root, func(key, value *yaml.Node) {
		if !strings.HasSuffix(key.Value, "_file") || value.Kind != yaml.ScalarNode || value.Value == "" {
			return
		}
		name := value.Value
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(file), name)
		}
		text, err := os.ReadFile(name)
		if err == nil && len(bytes.TrimSpace(text)) == 0 {
			err = fmt.Errorf("%s is empty", name)
		}
		if err != nil {
			faults = append(faults, &ParseError{File: file, Line: value.Line, Err: fmt.Errorf("%s: %w", key.Value, err)})
		}
	})
	return errors.Join(faults...)
}
