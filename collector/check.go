package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/settings"
	"github.com/plimsoll/plimsoll/alerts"
	"github.com/plimsoll/plimsoll/collector/internal/access"
	"github.com/plimsoll/plimsoll/collector/internal/grafana"
	"github.com/plimsoll/plimsoll/collector/internal/mapfile"
	"github.com/plimsoll/plimsoll/collector/internal/notify"
	"github.com/plimsoll/plimsoll/collector/internal/roster"
	"github.com/plimsoll/plimsoll/collector/internal/rules"
	"github.com/plimsoll/plimsoll/collector/internal/rules/ruletest"
	"github.com/plimsoll/plimsoll/dashboards"
)

// checkConfig is `check config`: every file the flags name is read as run would, nothing is opened for writing.
func checkConfig(args []string, stdout io.Writer) error {
	cfg := defaults()
	if err := cfg.parse(args, stdout); err != nil {
		return usageError{err}
	}
	quiet, reg := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	_, err := access.New(cfg.access(), quiet, reg)
	faults := []error{err, cfg.engine().Check(), cfg.limits().Check()}
	routing := cfg.notify(alerts.FS(), cfg.reachedAt("http://"+cfg.listen))
	if cfg.oncallFile != "" || cfg.amConfig != "" || len(cfg.am.URLs) > 0 {
		faults = append(faults, notify.Check(routing))
	}
	if cfg.projectMap != "" {
		faults = append(faults, mapfile.Check(stdout, cfg.projectMap))
	}
	if cfg.nodesFile != "" {
		if _, err := roster.Read(cfg.nodesFile, cfg.limitNodes); err != nil {
			faults = append(faults, fmt.Errorf("--inventory.nodes: %w", err))
		}
	}
	if len(cfg.ruleGlobs) > 0 {
		faults = append(faults, rules.Check(stdout, cfg.ruleGlobs...))
	}
	if cfg.grafanaURL != "" {
		_, err := grafana.New(cfg.grafana(cfg.reachedAt("http://"+cfg.listen)), dashboards.FS(), quiet, reg)
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return configError{err}
	}
	fmt.Fprintln(stdout, "the configuration is good")
	return notify.Preview(stdout, routing, time.Now())
}

// checkRules is `check rules`.
func checkRules(args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return badUsage("check rules: which files? Give names or quoted patterns")
	}
	if err := rules.Check(stdout, args...); err != nil {
		return configError{err}
	}
	return nil
}

// checkProjectMap is `check project-map`: it reads the file, reports rules that can never decide and runs the file's tests.
func checkProjectMap(args []string, stdout io.Writer) error {
	if len(args) != 1 || strings.HasPrefix(args[0], "-") {
		return badUsage("check project-map: give one file")
	}
	err := mapfile.Check(stdout, args[0])
	if err != nil && !errors.Is(err, mapfile.ErrTests) {
		return configError{err}
	}
	return err
}

// testAlerts is `alerts test`.
func testAlerts(args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return badUsage("alerts test: which files? Give names or quoted patterns of rule unit tests")
	}
	err := ruletest.UnitTest(stdout, args...)
	if err != nil && !errors.Is(err, ruletest.ErrFailed) {
		return configError{err}
	}
	return err
}

// checkDashboards is `check dashboards`: it asks a running collector, or any other Prometheus, for every panel.
func checkDashboards(args []string, stdout io.Writer) error {
	against, tokenFile := "http://127.0.0.1:9750", ""
	s := settings.New("plimsoll-collector check dashboards", "PLIMSOLL_CHECK_DASHBOARDS")
	s.Flags().StringVar(&against, "against", against, "`URL` of the collector")
	s.Flags().StringVar(&tokenFile, "token-file", tokenFile, "`file` with a token of scope read")
	if err := parseOwn(s, args, stdout); err != nil {
		return err
	}
	token := ""
	if tokenFile != "" {
		text, err := os.ReadFile(tokenFile)
		if err != nil {
			return badUsage("--token-file: %w", err)
		}
		token = strings.TrimSpace(string(text))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	return grafana.CheckAgainst(ctx, dashboards.FS(), against, token, stdout)
}

// exportDashboards is `dashboards export`. Files of the same name are replaced.
func exportDashboards(args []string, stdout io.Writer) error {
	format, source := string(grafana.Classic), grafana.Datasource{URL: "http://127.0.0.1:9750"}
	s := settings.New("plimsoll-collector dashboards export", "PLIMSOLL_DASHBOARDS_EXPORT")
	s.Flags().StringVar(&format, "format", format, "`classic`, configmap or provisioning")
	s.Flags().StringVar(&source.URL, "datasource-url", source.URL, "`URL` under which Grafana reaches the collector, for configmap and provisioning")
	s.Flags().StringVar(&source.TokenEnv, "datasource-token-env", source.TokenEnv, "`name` of Grafana's environment variable with a token of scope read, for configmap and provisioning")
	names, flags := operands(args)
	if err := parseOwn(s, flags, stdout); err != nil {
		return err
	}
	if len(names) != 1 {
		return badUsage("dashboards export: give one directory, and flags as --name=value")
	}
	switch grafana.Format(format) {
	case grafana.Classic, grafana.ConfigMap, grafana.Provisioning:
	default:
		return badUsage("--format=%q: use %s, %s or %s", format, grafana.Classic, grafana.ConfigMap, grafana.Provisioning)
	}
	written, err := grafana.Export(dashboards.FS(), names[0], grafana.Format(format), source)
	for _, file := range written {
		fmt.Fprintln(stdout, file)
	}
	return err
}

// operands splits what is no flag from the flags.
func operands(args []string) (names, flags []string) {
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			flags = append(flags, arg)
		} else {
			names = append(names, arg)
		}
	}
	return names, flags
}

// parseOwn parses the flags of a subcommand that has its own.
func parseOwn(s *settings.Set, args []string, stdout io.Writer) error {
	err := s.Parse(args, os.Environ())
	if errors.Is(err, flag.ErrHelp) {
		s.Usage(stdout)
		return err
	}
	if err != nil {
		return usageError{err}
	}
	return nil
}
