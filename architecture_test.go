// Package plimsoll_test holds the rules of the code base that a compiler does not check.
package plimsoll_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/plimsoll/plimsoll/"

// source is one parsed Go file that is not a test.
type source struct {
	path string // slash-separated, relative to the repository
	pkg  string // directory
	file *ast.File
	set  *token.FileSet
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "data" || d.Name() == "bin" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		path = filepath.ToSlash(path)
		all = append(all, source{path: path, pkg: filepath.ToSlash(filepath.Dir(path)), file: f, set: set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d files found: the test looks in the wrong place", len(all))
	}
	return all
}

func (s source) imports() []string {
	var paths []string
	for _, i := range s.file.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		paths = append(paths, path)
	}
	return paths
}

// under tells whether pkg is dir or below it.
func under(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }

// TestImportArrowsPointOneWay: what both programs need are the agent's leaf packages; nothing else crosses.
func TestImportArrowsPointOneWay(t *testing.T) {
	leaves := map[string]bool{"agent/catalog": true, "agent/wire": true, "agent/settings": true, "agent/projectmap": true}
	allowed := func(from, to string) bool {
		switch {
		case leaves[from]:
			return leaves[to]
		case under(from, "agent"):
			return under(to, "agent")
		case under(from, "collector"):
			return leaves[to] || under(to, "collector") || under(to, "dashboards") || under(to, "alerts")
		case under(from, "alerts"):
			return under(to, "alerts")
		case under(from, "dashboards"):
			return under(to, "dashboards")
		case under(from, "deploy"):
			return leaves[to] || under(to, "deploy")
		}
		return under(from, ".ci")
	}
	for _, s := range sources(t) {
		for _, path := range s.imports() {
			to, ours := strings.CutPrefix(path, module)
			if ours && !allowed(s.pkg, to) {
				t.Errorf("%s imports %s: that arrow is not drawn in DESIGN (agent leaves <- programs; data packages <- collector)", s.path, to)
			}
			if ours && (to == "agent" || to == "collector") {
				t.Errorf("%s imports a main package", s.path)
			}
		}
	}
}

// TestReadersKnowNothingOfTheRest: the packages that touch the kernel, the engine and the disk do not know each other.
func TestReadersKnowNothingOfTheRest(t *testing.T) {
	may := map[string][]string{
		"agent/internal/cgroup":     {},
		"agent/internal/host":       {"agent/internal/cgroup"},
		"agent/internal/process":    {},
		"agent/internal/layers":     {"agent/internal/cgroup"},
		"agent/internal/identity":   {"agent/internal/cgroup", "agent/projectmap"},
		"agent/internal/docker":     {"agent/internal/cgroup"},
		"agent/internal/kubernetes": {"agent/internal/cgroup"},
		"agent/internal/inventory":  {"agent/internal/cgroup", "agent/internal/docker", "agent/internal/identity", "agent/internal/kubernetes", "agent/projectmap"},
		"agent/internal/projects":   {"agent/projectmap"},
		"agent/internal/kubestate":  {"agent/catalog", "agent/wire", "agent/internal/identity", "agent/internal/kubernetes", "agent/internal/series"},
		"agent/internal/swarmstate": {"agent/catalog", "agent/wire", "agent/internal/identity", "agent/internal/docker", "agent/internal/series"},
		"agent/internal/series":     {"agent/catalog", "agent/wire"},
		"agent/internal/squeeze":    {},
		"agent/internal/spool":      {"agent/internal/squeeze"},
		"agent/internal/ship":       {"agent/wire", "agent/internal/spool", "agent/internal/squeeze"},
		"collector/internal/ui":     {},
		"collector/internal/rules":  {"collector/internal/engine"},
	}
	for _, s := range sources(t) {
		list, ruled := may[s.pkg]
		if !ruled {
			continue
		}
	next:
		for _, path := range s.imports() {
			to, ours := strings.CutPrefix(path, module)
			if !ours {
				continue
			}
			for _, ok := range list {
				if under(to, ok) {
					continue next
				}
			}
			t.Errorf("%s imports %s", s.path, to)
		}
	}
}

func TestEveryPackageSaysWhatItPromises(t *testing.T) {
	documented, names := map[string]bool{}, map[string]string{}
	for _, s := range sources(t) {
		names[s.pkg] = s.file.Name.Name
		if s.file.Doc == nil {
			continue
		}
		first := s.file.Doc.Text()
		if strings.HasPrefix(first, "Package "+s.file.Name.Name+" ") || (s.file.Name.Name == "main" && strings.HasPrefix(first, "Command ")) {
			documented[s.pkg] = true
		}
	}
	for pkg, name := range names {
		if !documented[pkg] {
			t.Errorf("%s: no package comment that begins with %q", pkg, "Package "+name+" ")
		}
		for _, banned := range []string{"util", "utils", "common", "types", "helpers", "base", "misc"} {
			if name == banned {
				t.Errorf("%s: %q names no promise", pkg, name)
			}
		}
	}
}

func TestNothingHappensAtImport(t *testing.T) {
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: init function", s.set.Position(f.Pos()))
			}
		}
		for _, i := range s.file.Imports {
			if i.Name != nil && i.Name.Name == "_" && strings.Contains(i.Path.Value, module) {
				t.Errorf("%s: blank import of our own", s.path)
			}
		}
	}
}

// TestPackageVariablesAreConstantsInDisguise: only error values, compiled patterns, embedded files and tables stand outside functions.
func TestPackageVariablesAreConstantsInDisguise(t *testing.T) {
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			embeds := g.Doc != nil && strings.Contains(commentText(g.Doc), "//go:embed")
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				if embeds || (v.Doc != nil && strings.Contains(commentText(v.Doc), "//go:embed")) || v.Names[0].Name == "_" {
					continue
				}
				if s.file.Name.Name == "main" && v.Names[0].Name == "version" {
					continue // set by the linker
				}
				if len(v.Values) == 0 {
					t.Errorf("%s: %s has no value: it is there to be changed", s.set.Position(v.Pos()), v.Names[0].Name)
				}
				for _, value := range v.Values {
					if !constant(value) {
						t.Errorf("%s: %s is mutable state", s.set.Position(v.Pos()), v.Names[0].Name)
					}
				}
			}
		}
	}
}

func commentText(g *ast.CommentGroup) string {
	var b strings.Builder
	for _, c := range g.List {
		b.WriteString(c.Text + "\n")
	}
	return b.String()
}

func constant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CompositeLit:
		return true
	case *ast.CallExpr:
		switch f := e.Fun.(type) {
		case *ast.SelectorExpr:
			switch f.Sel.Name {
			case "New", "Errorf", "MustCompile", "Must", "MustParse":
				return true
			}
		case *ast.ArrayType:
			return true // []byte("…")
		}
	}
	return false
}

// TestTheAgentStartsNoProgram: a process started by the agent would cost more than all it measures and needs rights it must not have.
func TestTheAgentStartsNoProgram(t *testing.T) {
	for _, s := range sources(t) {
		for _, path := range s.imports() {
			if path == "os/exec" && under(s.pkg, "agent") {
				t.Errorf("%s imports os/exec", s.path)
			}
			// engine and rules set the flags that VictoriaMetrics' packages register; nobody else touches the flag package.
			if path == "flag" && s.file.Name.Name != "main" && s.pkg != "agent/settings" && s.pkg != "collector/internal/engine" && !under(s.pkg, "collector/internal/rules") {
				t.Errorf("%s imports flag: flags belong to main", s.path)
			}
		}
	}
}

func TestFilesStayReadable(t *testing.T) {
	for _, s := range sources(t) {
		if lines := s.set.Position(s.file.End()).Line; lines > 500 {
			t.Errorf("%s has %d lines: split it by idea", s.path, lines)
		}
	}
}
