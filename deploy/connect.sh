#!/bin/sh
# SPDX-License-Identifier: MIT
# Tell the flwr command where the server is; `flwr run APP hospitals` and register.sh then find it.
#   SUPERLINK  its address (127.0.0.1:8000)
#   KEYS       the folder with ca.crt (keys)
set -eu
home="${FLWR_HOME:-$HOME/.flwr}"
mkdir -p "$home"
if grep -qs '^\[superlink.hospitals\]' "$home/config.toml"; then
  echo "$home/config.toml: has [superlink.hospitals] already; edit it there" >&2
  exit 2
fi
cat >> "$home/config.toml" <<END

[superlink.hospitals]
address = "${SUPERLINK:-127.0.0.1:8000}"
root-certificates = "$(cd "${KEYS:-keys}" && pwd)/ca.crt"
END
