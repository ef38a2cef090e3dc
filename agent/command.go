package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
)

const usage = `plimsoll-agent watches the containers of one node and remote-writes what it sees.

Usage: plimsoll-agent [COMMAND] [FLAGS]

Commands:
  run      sample and ship until stopped (default)
  once     print one sample in the Prometheus text format
  doctor   say what can and can not be seen here, and why
  project-map test [--against=live|FILE]  run the project map's tests, and say which rule decides for each container
  project-map show                        print the project map in force
  version  print the version

Flags (flag > environment > --config file):
`

// command dispatches and returns the exit code.
func command(args []string) int {
	name := "run"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	if name == "help" {
		name, args = "run", []string{"--help"}
	}
	commands := map[string]func(config) int{"run": run, "once": once, "doctor": doctor}
	if name == "version" {
		fmt.Printf("plimsoll-agent %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return exitOK
	}
	if name == "project-map" {
		return projectMap(args)
	}
	do, known := commands[name]
	if !known {
		fmt.Fprintf(os.Stderr, "plimsoll-agent: unknown command %q; known are run, once, doctor, project-map and version\n", name)
		return exitUsage
	}
	cfg := defaults()
	switch err := cfg.parse(args, os.Stdout); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(os.Stderr, "plimsoll-agent: %v\n", err)
		return exitUsage
	}
	return do(cfg)
}
