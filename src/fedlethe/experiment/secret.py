# SPDX-License-Identifier: MIT
"""The secret that a run's masks are drawn from: RUN/.mask_secret, 32 random bytes that its owner alone can read.

The seed in run.toml reproduces the training for whoever is shown it; a mask that followed from it could be taken off
again. So noise, decoys and those who repair are drawn from a secret of the erasing party's. It is made once, at the
first mask, so that the same erasure gives the same bytes. It is no artefact of the ledger and is never handed over;
once a model is released, nothing but doing the same erasure again needs it, and whoever deletes it cannot take the mask
off either.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from fedlethe.errors import FedletheError
from fedlethe.files import ASIDE
from fedlethe.privacy.noise import SECRET_BYTES

FILE = ".mask_secret"


def mask_secret(run: Path) -> bytes:
    """The secret of a run folder; made where it has none.

    Raises:
        FedletheError: The file cannot be made or read, is readable by others, or is not of 32 bytes.
    """
    path = run / FILE
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise FedletheError(f"{path}: others can read it; if they have not, put it right with: chmod 600 {path}")
        secret = path.read_bytes()
    except OSError as error:
        raise FedletheError(f"{path}: cannot be used ({error.strerror}); make {run} writable for yourself") from None
    if len(secret) != SECRET_BYTES:
        raise FedletheError(f"{path}: holds {len(secret)} bytes, not {SECRET_BYTES}; restore it, or delete it")
    return secret


def _make(path: Path) -> None:
    """Write it beside its place and link it there: whole or not at all, and never over one that is there."""
    aside = path.with_name(f"{path.name}.{os.getpid()}{ASIDE}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink()
