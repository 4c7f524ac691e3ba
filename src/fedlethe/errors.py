# SPDX-License-Identifier: MIT
"""The errors that a user can put right, by kind; a caller catches a kind and matches no text."""

from __future__ import annotations

from fedlethe.text import shown


class FedletheError(Exception):
    """Something that the user can put right.

    The message is one line that names the file, client or key and says what to do. The command line prints it on
    stderr and leaves with exit code 2, without a traceback.

    Args:
        message: What is wrong. It can hold names that others chose (of files, clients, keys), so control characters in
            it are escaped.

    Example:
        >>> try:
        ...     raise ConfigError("seed x: must be a whole number")
        ... except FedletheError as error:
        ...     print(error)
        seed x: must be a whole number
    """

    def __init__(self, message: str) -> None:
        super().__init__(shown(message))


class ConfigError(FedletheError):
    """A configuration, an option or a name is wrong, or code that it names is missing or breaks a rule."""


class DataError(FedletheError):
    """Images, labels or a table cannot be used: missing, unreadable, of another form, or not enough of them."""


class HistoryError(FedletheError):
    """A run folder is not there, or does not hold what is asked of it."""


class NodeError(FedletheError):
    """A client's node does not answer, or answers what cannot be used; the same command can go well later."""


class IntegrityError(FedletheError):
    """A file, a key, a ledger or a signature is missing, changed, or not what it was entered as."""


class RequestError(FedletheError):
    """An erasure, or a request for one, cannot be made, carried out, withdrawn or purged as it is asked for."""
