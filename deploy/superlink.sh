#!/bin/sh
# SPDX-License-Identifier: MIT
# Start the server: TLS, and no node that is not registered.
#   HOST, PORT  where it listens (0.0.0.0, 8000)
#   KEYS        the folder of make_keys.py (keys)
#   STATE       Flower's own record of nodes and runs (state.db)
set -eu
exec flower-superlink \
  --host "${HOST:-0.0.0.0}" --port "${PORT:-8000}" \
  --ssl-ca-certfile "${KEYS:-keys}/ca.crt" \
  --ssl-certfile "${KEYS:-keys}/superlink.crt" \
  --ssl-keyfile "${KEYS:-keys}/superlink.key" \
  --enable-supernode-auth \
  --database "${STATE:-state.db}" \
  --disable-runtime-dependency-installation
