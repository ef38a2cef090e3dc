// Package settings fills one flag set from the command line, the environment and a YAML file, and says where a bad value stood.
//
// Precedence is flag, then environment, then file, then default. Every flag `--a.b-c` of a program whose prefix is
// PLIMSOLL_AGENT has the environment twin PLIMSOLL_AGENT_A_B_C and the file key `a.b-c`, which may also be nested:
//
//	a:
//	  b-c: value
package settings

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"sort"
	"strings"
)

// Set is the flag set of one program and the names of its twins.
type Set struct {
	flags      *flag.FlagSet
	envPrefix  string
	configFile string
}

// New returns an empty set for program, for example New("plimsoll-agent", "PLIMSOLL_AGENT").
func New(program, envPrefix string) *Set {
	s := &Set{flags: flag.NewFlagSet(program, flag.ContinueOnError), envPrefix: envPrefix}
	s.flags.SetOutput(io.Discard)
	s.flags.StringVar(&s.configFile, "config", "", "YAML `file` with settings under the names of the flags")
	return s
}

// Flags is where a main registers its flags before Parse.
func (s *Set) Flags() *flag.FlagSet { return s.flags }

// EnvName is the environment twin of a flag.
func (s *Set) EnvName(flagName string) string {
	return s.envPrefix + "_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(flagName))
}

// Parse reads args, environ ("KEY=value" as of os.Environ) and the file that --config names. The error names the flag,
// the variable or the file and line, and what is wrong with the value; it is flag.ErrHelp for -h and --help.
func (s *Set) Parse(args, environ []string) error {
	if err := s.flags.Parse(args); err != nil {
		return s.explain(err)
	}
	if extra := s.flags.Args(); len(extra) > 0 {
		return fmt.Errorf("unexpected argument %q: a command comes first, flags are written --name=value", extra[0])
	}
	given := map[string]bool{}
	s.flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if err := s.fromEnvironment(environ, given); err != nil {
		return err
	}
	if s.configFile == "" {
		return nil
	}
	return s.fromFile(s.configFile, given)
}

func (s *Set) fromEnvironment(environ []string, given map[string]bool) error {
	values := map[string]string{}
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok && strings.HasPrefix(k, s.envPrefix+"_") {
			values[k] = v
		}
	}
	var failed error
	s.flags.VisitAll(func(f *flag.Flag) {
		name := s.EnvName(f.Name)
		v, ok := values[name]
		if !ok || given[f.Name] || failed != nil {
			return
		}
		if err := s.flags.Set(f.Name, v); err != nil {
			failed = fmt.Errorf("environment variable %s=%q: %w", name, v, err)
			return
		}
		given[f.Name] = true
	})
	return failed
}

// explain turns the flag package's words into ours and proposes the nearest name for an unknown flag.
func (s *Set) explain(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return flag.ErrHelp
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		return fmt.Errorf("unknown flag --%s%s", strings.TrimPrefix(name, "-"), s.proposal(strings.TrimPrefix(name, "-")))
	}
	return err
}

// proposal is "; did you mean --x?" when a known name is near, else empty.
func (s *Set) proposal(name string) string {
	best, bestDistance := "", 1+len(name)/3
	s.flags.VisitAll(func(f *flag.Flag) {
		if d := distance(name, f.Name); d <= bestDistance {
			best, bestDistance = f.Name, d-1
		}
	})
	if best == "" {
		return "; --help lists the flags"
	}
	return fmt.Sprintf("; did you mean --%s?", best)
}

// distance is the Levenshtein distance of two names.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// Usage writes the flags with their defaults and environment twins.
func (s *Set) Usage(w io.Writer) {
	var names []string
	s.flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	sort.Strings(names)
	for _, name := range names {
		f := s.flags.Lookup(name)
		value, usage := flag.UnquoteUsage(f)
		if value != "" {
			value = "=" + value
		}
		fmt.Fprintf(w, "  --%s%s\n        %s", name, value, strings.ReplaceAll(usage, "\n", "\n        "))
		if f.DefValue != "" && f.DefValue != "false" {
			fmt.Fprintf(w, " (default %s)", f.DefValue)
		}
		fmt.Fprintf(w, " [%s]\n", s.EnvName(name))
	}
}
