package board

import (
	"bytes"
	"encoding/json"
)

// canonical writes v as JSON with sorted keys, two spaces, < > & as themselves, and without the SDK's noise.
func canonical(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	tidy(tree)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(tree); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// noise are keys the SDK writes with these values although nobody set them. Most say what their absence says; the
// placement would move links and annotations into a menu where nobody finds them.
func noise() map[string]any {
	return map[string]any{
		"allowCustomValue": true,
		"auto":             false,
		"auto_count":       json.Number("30"),
		"auto_min":         "10s",
		"builtIn":          json.Number("0"),
		"hide":             false,
		"placement":        "inControlsMenu",
		"repeatDirection":  "h",
		"skipUrlSync":      false,
		"transparent":      false,
	}
}

func tidy(tree any) {
	unwanted := noise()
	var walk func(any)
	walk = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			for key, value := range node {
				if set, known := unwanted[key]; known && value == set {
					delete(node, key)
					continue
				}
				walk(value)
			}
		case []any:
			for _, value := range node {
				walk(value)
			}
		}
	}
	walk(tree)
}
