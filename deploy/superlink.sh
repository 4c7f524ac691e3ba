#!/bin/sh
# SPDX-License-Identifier: MIT
# Start the server: TLS, and no node that is not registered.
#   HOST, PORT  where it listens (0.0.0.0, 8000)
#   KEYS        the folder of make_keys.py (keys)
#   STATE       Flower's own record of nodes, runs and their messages (state.db); a purge on this machine cleans it
set -eu
umask 077 # the record holds models
state="${STATE:-state.db}"
for file in "$state" "$state-wal" "$state-shm"; do
  if [ -e "$file" ]; then chmod 600 "$file"; fi
done
FEDLETHE_FLOWER_STATE="$(cd "$(dirname "$state")" && pwd)/$(basename "$state")"
export FEDLETHE_FLOWER_STATE
exec flower-superlink \
  --host "${HOST:-0.0.0.0}" --port "${PORT:-8000}" \
  --ssl-ca-certfile "${KEYS:-keys}/ca.crt" \
  --ssl-certfile "${KEYS:-keys}/superlink.crt" \
  --ssl-keyfile "${KEYS:-keys}/superlink.key" \
  --enable-supernode-auth \
  --database "$FEDLETHE_FLOWER_STATE" \
  --disable-runtime-dependency-installation
