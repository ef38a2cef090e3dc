package access

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/collector/internal/view"
)

// token is one entry of the tokens file. Its secret is not in the file, only the SHA-256 of it.
type token struct {
	Caller
	hasSecret   bool
	sum         [sha256.Size]byte
	certificate view.Names // of which the caller's has one; none: no certificate is asked for
	scopes      []Scope
	view        *view.View // nil: everything
}

func (t token) may(scope Scope) bool {
	return slices.Contains(t.scopes, scope) || slices.Contains(t.scopes, Admin)
}

func (t token) hasCertificate() bool { return t.certificate.String() != "" }

// same tells whether two entries say the same.
func (t token) same(other token) bool { return t.text() == other.text() }

// text is all that an entry says.
func (t token) text() string {
	return fmt.Sprintf("%q %x %s %v %v %v %s", t.Name, t.sum, t.certificate, t.scopes, t.Place, t.Bounds, t.view)
}

// mostTokens bounds the file, as every request is compared with all of them.
const mostTokens = 10_000

// readTokens reads
//
//	tokens:
//	  - name: agents of east
//	    sha256: 64 hex digits, as `plimsoll-collector token new` prints
//	    scopes: [write]
//	    place: {idc: sh-east, cluster: k1}            # optional; for series that come without
//	    write: {idc: [sh-east], cluster: [k1, "k2-*"], otherwise: reject}   # optional; or overwrite
//	  - name: the shop's team
//	    sha256: …
//	    certificate: ["*.shop.example"]               # beside sha256, or in place of it
//	    scopes: [read, silence]
//	    projects: [shop, "shop-*"]                    # optional
//	    nodes: true                                   # optional; the nodes' series too
//
// Any other field is an error, so that no restriction someone wrote down is silently not applied.
func readTokens(path string) ([]token, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	tokens, err := parseTokens(path, text)
	if err != nil {
		return nil, err
	}
	return tokens, nil
}

func parseTokens(path string, text []byte) ([]token, error) {
	var doc yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s:1: the file is empty; it needs `tokens:` with a list", path)
	} else if err != nil {
		return nil, atLine(path, err)
	}
	fields, err := fieldsOf(path, doc.Content[0], "tokens")
	if err != nil {
		return nil, err
	}
	list := fields["tokens"]
	if list == nil || list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		return nil, fmt.Errorf("%s:%d: `tokens:` needs a list of at least one token", path, doc.Content[0].Line)
	}
	if len(list.Content) > mostTokens {
		return nil, fmt.Errorf("%s:%d: %d tokens, the most is %d", path, list.Line, len(list.Content), mostTokens)
	}
	var tokens []token
	for _, node := range list.Content {
		t, err := parseToken(path, node)
		if err != nil {
			return nil, err
		}
		for _, earlier := range tokens {
			if earlier.Name == t.Name || earlier.hasSecret && t.hasSecret && earlier.sum == t.sum {
				return nil, fmt.Errorf("%s:%d: name or sha256 of token %q is also that of token %q", path, node.Line, t.Name, earlier.Name)
			}
		}
		tokens = append(tokens, t)
	}
	return tokens, nil
}

// atLine writes the line of a YAML error as file:line, as all others.
func atLine(path string, err error) error {
	if line, text, ok := strings.Cut(strings.TrimPrefix(err.Error(), "yaml: line "), ": "); ok && strings.HasPrefix(err.Error(), "yaml: line ") {
		return fmt.Errorf("%s:%s: %s", path, line, text)
	}
	return fmt.Errorf("%s: %w", path, err)
}

func parseToken(path string, node *yaml.Node) (token, error) {
	fields, err := fieldsOf(path, node, "name", "sha256", "certificate", "scopes", "place", "write", "projects", "nodes")
	if err != nil {
		return token{}, err
	}
	for _, name := range []string{"name", "scopes"} {
		if fields[name] == nil {
			return token{}, fmt.Errorf("%s:%d: the token has no %s", path, node.Line, name)
		}
	}
	t := token{Caller: Caller{Name: fields["name"].Value}}
	if fields["name"].Kind != yaml.ScalarNode || t.Name == "" {
		return token{}, fmt.Errorf("%s:%d: the name is empty", path, fields["name"].Line)
	}
	if fields["sha256"] == nil && fields["certificate"] == nil {
		return token{}, fmt.Errorf("%s:%d: the token has no sha256 and no certificate", path, node.Line)
	}
	for _, parse := range []func(string, map[string]*yaml.Node) error{t.parseProof, t.parseScopes, t.parseReach} {
		if err := parse(path, fields); err != nil {
			return token{}, err
		}
	}
	return t, nil
}

// parseProof reads what the caller must have.
func (t *token) parseProof(path string, fields map[string]*yaml.Node) (err error) {
	if hash := fields["sha256"]; hash != nil {
		sum, err := hex.DecodeString(hash.Value)
		if err != nil || len(sum) != sha256.Size {
			return fmt.Errorf("%s:%d: sha256 of token %q is not %d hex digits", path, hash.Line, t.Name, 2*sha256.Size)
		}
		copy(t.sum[:], sum)
		t.hasSecret = true
	}
	if names := fields["certificate"]; names != nil {
		if t.certificate, err = parseNames(path, t.Name, "certificate", names); err != nil {
			return err
		}
		if t.certificate.Match("") {
			return fmt.Errorf("%s:%d: certificate of token %q: a name that any certificate has is none", path, names.Line, t.Name)
		}
	}
	return nil
}

func (t *token) parseScopes(path string, fields map[string]*yaml.Node) error {
	scopes := fields["scopes"]
	if scopes.Kind != yaml.SequenceNode || len(scopes.Content) == 0 {
		return fmt.Errorf("%s:%d: scopes of token %q is not a list, for example [write, read]", path, scopes.Line, t.Name)
	}
	for _, s := range scopes.Content {
		scope := Scope(s.Value)
		if !scope.granted() {
			return fmt.Errorf("%s:%d: scope %q of token %q is none of write, read, silence, admin", path, s.Line, s.Value, t.Name)
		}
		t.scopes = append(t.scopes, scope)
	}
	t.Writes = t.may(Write)
	return nil
}

// longestPlace bounds the names of a place, in bytes; they become label values.
const longestPlace = 200

func parsePlace(path, name string, node *yaml.Node) (Place, error) {
	fields, err := fieldsOf(path, node, "idc", "cluster")
	if err != nil {
		return Place{}, err
	}
	for label, value := range fields {
		if value.Kind != yaml.ScalarNode || value.Value == "" || len(value.Value) > longestPlace {
			return Place{}, fmt.Errorf("%s:%d: %s of token %q is not a name of 1 to %d bytes", path, value.Line, label, name, longestPlace)
		}
	}
	var p Place
	if v := fields["idc"]; v != nil {
		p.IDC = v.Value
	}
	if v := fields["cluster"]; v != nil {
		p.Cluster = v.Value
	}
	return p, nil
}

// fieldsOf are the values of a mapping by name; a name that is not known, or comes twice, is an error.
func fieldsOf(path string, node *yaml.Node, known ...string) (map[string]*yaml.Node, error) {
	if node.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: expected fields of %v", path, node.Line, known)
	}
	fields := map[string]*yaml.Node{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if !slices.Contains(known, key.Value) {
			return nil, fmt.Errorf("%s:%d: unknown field %q, known are %v", path, key.Line, key.Value, known)
		}
		if fields[key.Value] != nil {
			return nil, fmt.Errorf("%s:%d: field %q comes twice", path, key.Line, key.Value)
		}
		fields[key.Value] = value
	}
	return fields, nil
}
