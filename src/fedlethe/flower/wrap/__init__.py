# SPDX-License-Identifier: MIT
"""An app of your own: its rounds recorded, a client erased from them."""
