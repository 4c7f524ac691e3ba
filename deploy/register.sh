#!/bin/sh
# SPDX-License-Identifier: MIT
# Register nodes: the key in KEYS/NAME.pub may answer as NAME from now on, and no other key may.
#   register.sh hospital-0 hospital-1 ...
# To ban one for good: flwr supernode list hospitals, then flwr supernode unregister ID hospitals
set -eu
for name in "$@"; do
  flwr supernode register "${KEYS:-keys}/$name.pub" hospitals --name "$name"
done
