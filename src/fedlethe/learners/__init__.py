# SPDX-License-Identifier: MIT
"""How a federation is trained: by averaging, or in closed form."""
