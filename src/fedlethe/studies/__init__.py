# SPDX-License-Identifier: MIT
"""Many erasures beside each other: comparison, sweep, trace, frontier, who left."""
