# SPDX-License-Identifier: MIT
"""Pictures, tables and the page: from values alone."""
