# SPDX-License-Identifier: MIT
"""What was kept of training: read through one Protocol, in memory or from the run folder."""
