# SPDX-License-Identifier: MIT
"""fedlethe: train one medical-imaging model across hospitals, and take a hospital back out of it."""

__version__ = "0.1.0"
