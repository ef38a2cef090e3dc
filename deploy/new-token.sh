#!/bin/sh
# Makes a random token for agents that write to a collector: new-token.sh FOLDER
#   FOLDER/token        the secret, for the agents' --remote-write.token-file
#   FOLDER/tokens.yaml  its SHA-256, for the collector's --auth.tokens-file
# Files that exist are kept, so that it may run at every deployment.
set -eu
[ $# -eq 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
mkdir -p "$1"
cd "$1"
if [ ! -e token ]; then
  (umask 077; od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > token)
  echo "$1/token written"
  [ "$(id -u)" -eq 0 ] || echo "make root its owner where an agent in a container reads it: that one is root, but without the power to read what is others'"
fi
if [ ! -e tokens.yaml ]; then
  sum=$(sha256sum < token)
  printf 'tokens:\n- name: agents\n  sha256: %s\n  scopes: [write]\n' "${sum%% *}" > tokens.yaml
  chmod 644 tokens.yaml
  echo "$1/tokens.yaml written; add a token with the scope read or admin for people who look"
fi
