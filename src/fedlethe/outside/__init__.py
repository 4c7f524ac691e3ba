# SPDX-License-Identifier: MIT
"""Code that others wrote: found by its name, known by its bytes, called with what it takes, blamed by its own name."""
