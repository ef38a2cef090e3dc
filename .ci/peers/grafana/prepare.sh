#!/bin/bash
# Writes into the current folder a module whose only content is Grafana's own server command, taken from the Go module
# cache, and the file homepath.
set -euo pipefail
version=v1.9.2-0.20230609164553-81d85ce8028d
module=github.com/grafana/grafana
source=$(go mod download -json $module@$version | sed -n 's/^\t"Dir": "\(.*\)",\?$/\1/p')
[ -d "$source" ] || { echo "go mod download $module@$version gave no folder" >&2; exit 1; }
{
  printf 'module grafanatest\n\ngo 1.23.0\n\nrequire %s %s\n\n' $module $version
  grep -E '^(replace|exclude) ' "$source/go.mod"
} > go.mod
cp "$source/go.sum" go.sum; chmod u+w go.sum
rm -rf server commands; mkdir server commands
cp "$source"/pkg/server/{server,runner,test_env,wire,wireexts_oss}.go server/
cp "$source"/pkg/cmd/grafana-server/commands/*.go commands/
rm -f commands/*_test.go
chmod -R u+w server commands
sed -i "s#\"$module/pkg/server\"#\"grafanatest/server\"#" commands/*.go
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"grafanatest/commands"

	"github.com/urfave/cli/v2"
)

func main() {
	app := &cli.App{Name: "grafana", Version: "10.0.0-dev", Commands: []*cli.Command{commands.ServerCommand("10.0.0-dev", "81d85ce8028d", "main", "")}}
	if err := app.Run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
GO
echo "$source" > homepath
