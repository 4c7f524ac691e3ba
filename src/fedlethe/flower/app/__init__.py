# SPDX-License-Identifier: MIT
"""fedlethe's own Flower app: every unlearning method on the nodes."""
