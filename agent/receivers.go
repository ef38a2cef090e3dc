package main

import (
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plimsoll/plimsoll/agent/internal/ship"
	"github.com/plimsoll/plimsoll/agent/internal/spool"
)

// openShippers gives every receiver its cursor in the spool. All cursors exist before any shipper runs.
func openShippers(cfg config, spooled *spool.Spool, log *slog.Logger, reg prometheus.Registerer) ([]*ship.Shipper, error) {
	seen := map[string]bool{}
	var shippers []*ship.Shipper
	for _, url := range cfg.urls {
		name := ship.NameOf(url)
		if seen[name] {
			return nil, fmt.Errorf("--remote-write.url=%s: another receiver has the same host and port", url)
		}
		seen[name] = true
		cursor, err := spooled.Reader(name)
		if err != nil {
			return nil, err
		}
		s, err := ship.New(cfg.receiver(url), cursor, log, reg)
		if err != nil {
			return nil, err
		}
		shippers = append(shippers, s)
	}
	return shippers, nil
}

// states are the conditions of the receivers.
func states(shippers []*ship.Shipper) []ship.State {
	all := make([]ship.State, len(shippers))
	for i, s := range shippers {
		all[i] = s.State()
	}
	return all
}

// receiver is how a receiver is spoken to.
func (cfg *config) receiver(url string) ship.Receiver {
	return ship.Receiver{
		Name: ship.NameOf(url), URL: url,
		TokenFile: cfg.tokenFile, Username: cfg.username, PasswordFile: cfg.passwordFile,
		CAFile: cfg.caFile, CertFile: cfg.certFile, KeyFile: cfg.keyFile,
		Compression: ship.Compression(cfg.compression), Order: ship.Order(cfg.order),
		Concurrency: cfg.concurrency, BacklogBytesPerSecond: int64(cfg.backlogRate), Version: version,
	}
}

// buildInfo is plimsoll_agent_build_info, by which the collector knows its agents.
func buildInfo() prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "plimsoll_agent_build_info", Help: "1, with the agent's version.", ConstLabels: prometheus.Labels{"version": version}})
	g.Set(1)
	return g
}
