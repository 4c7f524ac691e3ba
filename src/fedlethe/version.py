# SPDX-License-Identifier: MIT
"""The version, apart from the public face, so that a module can say it without reaching up."""

VERSION = __version__ = "0.1.0"
