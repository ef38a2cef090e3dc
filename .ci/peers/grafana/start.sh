#!/bin/bash
# Starts the Grafana of build.sh on 127.0.0.1:${PORT:-3300} (admin/admin) with its data in ${DATA:-a new folder}:
# start.sh FOLDER. Prints its pid; to look at dashboards by hand (tests start their own).
set -euo pipefail
folder=$1; port=${PORT:-3300}; data=${DATA:-$(mktemp -d)}
mkdir -p "$data"/{log,plugins} "$data"/provisioning/{datasources,dashboards,plugins,notifiers,alerting}
cat > "$data/grafana.ini" <<INI
[paths]
data = $data
logs = $data/log
plugins = $data/plugins
provisioning = $data/provisioning
[server]
http_addr = 127.0.0.1
http_port = $port
[analytics]
reporting_enabled = false
check_for_updates = false
check_for_plugin_updates = false
[security]
admin_user = admin
admin_password = admin
disable_gravatar = true
angular_support_enabled = false
INI
nohup "$folder/grafana" server --homepath "$(cat "$folder/homepath")" --config "$data/grafana.ini" > "$data/stdout.log" 2>&1 &
echo $!
for _ in $(seq 300); do
  if (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; then exit 0; fi
  sleep 0.2
done
echo "grafana did not come up; see $data/stdout.log" >&2; exit 1
