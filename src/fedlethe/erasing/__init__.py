# SPDX-License-Identifier: MIT
"""One erasure: planned, carried through, masked, repaired, recorded, audited."""
