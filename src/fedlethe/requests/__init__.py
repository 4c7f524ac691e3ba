# SPDX-License-Identifier: MIT
"""An erasure as an act: opened, carried out, certified, verified, purged."""
