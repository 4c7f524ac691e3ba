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
    """A configuration, an option or a name is wrong, or code that it names is missing or breaks a rule.

    Example:
        >>> import fedlethe
        >>> fedlethe.train("resnet19", out="nowhere")
        Traceback (most recent call last):
        ...
        fedlethe.errors.ConfigError: no model 'resnet19'; did you mean 'resnet18'? there is ...
    """


class DataError(FedletheError):
    """Images, labels or a table cannot be used: missing, unreadable, of another form, or not enough of them.

    Example:
        >>> import numpy as np, fedlethe
        >>> fedlethe.inspect_data({"north": (np.zeros((4, 3), np.float32), np.zeros(3, int))})
        Traceback (most recent call last):
        ...
        fedlethe.errors.DataError: data: client 'north': has y of int64, shape (3,)...
    """


class HistoryError(FedletheError):
    """A run folder is not there, or does not hold what is asked of it.

    Example:
        >>> import fedlethe
        >>> fedlethe.open_run("nowhere")
        Traceback (most recent call last):
        ...
        fedlethe.errors.HistoryError: nowhere: there is no such run folder; make one with: fedlethe train --out nowhere
    """


class NodeError(FedletheError):
    """A client's node does not answer, or answers what cannot be used; the same command can go well later.

    Example:
        >>> try:
        ...     raise NodeError("hospital-1: does not answer; start its node, and do the same again")
        ... except FedletheError as error:
        ...     print(type(error).__name__)
        NodeError
    """


class IntegrityError(FedletheError):
    """A file, a key, a ledger or a signature is missing, changed, or not what it was entered as.

    Example:
        >>> import pathlib, tempfile, fedlethe
        >>> key = pathlib.Path(tempfile.mkdtemp(), "erasure.key")
        >>> _ = key.write_text("no key")
        >>> fedlethe.new_key(key)
        Traceback (most recent call last):
        ...
        fedlethe.errors.IntegrityError: ...erasure.key: is there already; choose another file, ...
    """


class RequestError(FedletheError):
    """An erasure, or a request for one, cannot be made, carried out, withdrawn or purged as it is asked for.

    Example:
        >>> import tempfile, fedlethe
        >>> data = {"source": "phantom", "size": 16, "hospitals": 2, "images_per_hospital": 20}
        >>> run = fedlethe.train(data=data, out=tempfile.mkdtemp() + "/run", rounds=1)
        >>> run.withdraw("R0001", reason="asked by mistake", by="A. Keeper")
        Traceback (most recent call last):
        ...
        fedlethe.errors.RequestError: ...
    """
