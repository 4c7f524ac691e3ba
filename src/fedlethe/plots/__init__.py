# SPDX-License-Identifier: MIT
"""Pictures from values, each with the table that it shows beside it."""
