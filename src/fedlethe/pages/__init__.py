# SPDX-License-Identifier: MIT
"""The page of a run, as one self-contained HTML file, from values."""
