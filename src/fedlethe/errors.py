# SPDX-License-Identifier: MIT
"""The one exception for what a user can put right."""

from __future__ import annotations

from fedlethe.text import shown


class FedletheError(Exception):
    """Something that the user can put right.

    The message is one line that names the file, client or key and says what to do. The command line prints it on
    stderr and leaves with exit code 2, without a traceback.

    Args:
        message: What is wrong. It can hold names that others chose (of files, clients, keys), so control characters in
            it are escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__(shown(message))
