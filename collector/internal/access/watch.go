package access

import (
	"context"
	"os"
	"time"
)

// watchEvery is how often the files are looked at.
const watchEvery = 5 * time.Second

// Run reads the files again when one of them changes, until ctx ends.
func (a *Access) Run(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if a.changed() {
			_ = a.Reload() // logged and counted
		}
	}
}

// stamp is what tells a file from its next version.
type stamp struct {
	size     int64
	modified time.Time
}

// stampsOf are of the files that Reload reads; one that is not there has none.
func (c Config) stamps() map[string]stamp {
	all := map[string]stamp{}
	for _, path := range []string{c.TokensFile, c.ClientCA, c.Certificate, c.Key} {
		if info, err := os.Stat(path); path != "" && err == nil {
			all[path] = stamp{info.Size(), info.ModTime()}
		}
	}
	return all
}

// changed tells whether a file is not the one that Reload last looked at, good or bad.
func (a *Access) changed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.cfg.stamps()
	for path, s := range now {
		if a.read[path] != s {
			return true
		}
	}
	return len(now) != len(a.read)
}
