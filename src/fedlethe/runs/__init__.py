# SPDX-License-Identifier: MIT
"""Prepare, open and look at a run; reach clients on other machines."""
