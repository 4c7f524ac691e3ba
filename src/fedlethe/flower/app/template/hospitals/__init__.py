# SPDX-License-Identifier: MIT
"""A federation of hospitals; its description is in fedlethe.toml."""
