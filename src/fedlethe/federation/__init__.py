# SPDX-License-Identifier: MIT
"""Federated averaging: the clients, the loop, and the seam to a federation over machines."""
