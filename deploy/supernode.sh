#!/bin/sh
# SPDX-License-Identifier: MIT
# Start a hospital's node: supernode.sh NAME DATA.toml
#   SUPERLINK  the server's address (127.0.0.1:8000)
#   KEYS       the folder with ca.crt and the node's private key NAME (keys)
#   AUDIT      anything: audits may see what models answer to single images here (docs/flower.md); not unless it is set
#   PORT       where the node talks to its own processes, on this machine alone (9094)
# DATA.toml names the images: a table [data], as for `fedlethe train --config`, on this machine.
set -eu
name="$1" data="$(cd "$(dirname "$2")" && pwd)/$(basename "$2")"
exec flower-supernode \
  --superlink "${SUPERLINK:-127.0.0.1:8000}" \
  --root-certificates "${KEYS:-keys}/ca.crt" \
  --auth-supernode-private-key "${KEYS:-keys}/$name" \
  --host 127.0.0.1 --port "${PORT:-9094}" \
  --node-config "client-uid=\"$name\" data=\"$data\"${AUDIT:+ audit=true}"
