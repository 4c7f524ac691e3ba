# SPDX-License-Identifier: MIT
"""The command line: a thin skin over the public face."""
