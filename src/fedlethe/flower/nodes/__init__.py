# SPDX-License-Identifier: MIT
"""What the app and the wrap share: nodes, their names, the messages."""
