# SPDX-License-Identifier: MIT
"""What the commands have found, on stdout."""
