package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
)

const usage = `plimsoll-collector stores what agents send, shows it, and tells people what is wrong.

Usage: plimsoll-collector [COMMAND] [FLAGS]

Commands:
  run                          serve until stopped (default)
  check config [FLAGS]         say whether run would start with these settings; starts nothing
  check rules FILE...          check rule files
  check project-map FILE       check a project map, and run its tests
  check dashboards [FLAGS]     say whether every panel has data in a running collector
  alerts test FILE...          run unit tests of rules, in promtool's format
  dashboards export DIRECTORY  write the dashboards for Grafana
  token new NAME               make a secret and its entry for --auth.tokens-file
  token hash FILE              print the entry for the secret in a file
  version                      print the version

Flags of run (flag > environment > --config file):
`

// usageError is wrong usage of a command.
type usageError struct{ error }

func badUsage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// command dispatches and returns the exit code.
func command(args []string, stdout, stderr io.Writer) int {
	name := "run"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	var err error
	switch name {
	case "run":
		return serve(args, stdout, stderr)
	case "help":
		return serve([]string{"--help"}, stdout, stderr)
	case "version":
		fmt.Fprintf(stdout, "plimsoll-collector %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	case "check":
		err = subcommand(name, args, stdout, map[string]func([]string, io.Writer) error{"config": checkConfig, "rules": checkRules, "project-map": checkProjectMap, "dashboards": checkDashboards})
	case "alerts":
		err = subcommand(name, args, stdout, map[string]func([]string, io.Writer) error{"test": testAlerts})
	case "dashboards":
		err = subcommand(name, args, stdout, map[string]func([]string, io.Writer) error{"export": exportDashboards})
	case "token":
		err = subcommand(name, args, stdout, map[string]func([]string, io.Writer) error{"new": newToken, "hash": hashToken})
	default:
		err = badUsage("unknown command %q; known are run, check, alerts, dashboards, token, version and help", name)
	}
	var wrong usageError
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "plimsoll-collector: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(stderr, "plimsoll-collector: %v\n", err)
	return exitCode(err)
}

func subcommand(of string, args []string, stdout io.Writer, known map[string]func([]string, io.Writer) error) error {
	names := strings.Join(slices.Sorted(maps.Keys(known)), ", ")
	if len(args) == 0 {
		return badUsage("%s what? Known are %s", of, names)
	}
	do := known[args[0]]
	if do == nil {
		return badUsage("unknown command %q; known are %s", of+" "+args[0], names)
	}
	return do(args[1:], stdout)
}

// serve is `run` from its arguments on.
func serve(args []string, stdout, stderr io.Writer) int {
	cfg := defaults()
	switch err := cfg.parse(args, stdout); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "plimsoll-collector: %v\n", err)
		return exitUsage
	}
	return run(cfg)
}
