# SPDX-License-Identifier: MIT
"""Clipping, and the masks that hide which client was erased."""
