# SPDX-License-Identifier: MIT
"""Looks for what is left of a client: any 64 bytes in a row of what was kept of it, anywhere in any file."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedlethe.history.disk import RunFolder
from fedlethe.types import ClientId

WINDOW = 64
DISTINCT = 12
"""Windows of fewer different bytes than this say nothing: zeros, or a number or two again and again, are anybody's."""

BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse modulo 2^64
BITS = 24
"""Of a hash, by which it is looked for at first."""

Hashes = npt.NDArray[np.uint64]


def hashes(content: bytes) -> Hashes:
    """A number for each window, at every offset: the same for the same 64 bytes (Rabin's fingerprint modulo 2^64)."""
    if len(content) < WINDOW:
        return np.zeros(0, np.uint64)
    inverse = np.uint64(pow(int(BASE), -1, 1 << 64))
    count = len(content)
    falling = np.concatenate([[np.uint64(1)], np.cumprod(np.full(count - 1, inverse, np.uint64))])
    rising = np.concatenate([[np.uint64(1)], np.cumprod(np.full(count - 1, BASE, np.uint64))])
    sums = np.concatenate(
        [[np.uint64(0)], np.cumsum((np.frombuffer(content, np.uint8).astype(np.uint64) + 1) * falling)]
    )
    windows: Hashes = (sums[WINDOW:] - sums[:-WINDOW]) * rising[: count - WINDOW + 1]
    return windows


class Needles:
    """Every window of some traces, to be looked for.

    Args:
        traces: Name to content.
    """

    def __init__(self, traces: Mapping[str, bytes]) -> None:
        self.traces = traces
        self.hashes = np.sort(np.concatenate([hashes(content) for content in traces.values()]))
        self.beginnings = np.zeros(1 << BITS, bool)  # most windows of a file end here: a search among all takes longer
        self.beginnings[self.hashes >> np.uint64(64 - BITS)] = True

    def in_(self, content: bytes) -> str | None:
        """Which trace has a window in the content that says something; None if none has."""
        mine = hashes(content)
        perhaps = np.flatnonzero(self.beginnings[mine >> np.uint64(64 - BITS)])
        places = np.minimum(np.searchsorted(self.hashes, mine[perhaps]), len(self.hashes) - 1)
        for place in perhaps[self.hashes[places] == mine[perhaps]].tolist():
            window = content[place : place + WINDOW]
            if len(set(window)) < DISTINCT:
                continue
            for name, kept in self.traces.items():
                if window in kept:
                    return name
        return None


def data_of(checkpoint: bytes) -> bytes:
    """A safetensors file without its header, which names the tensors and is the same for all clients."""
    return checkpoint[8 + struct.unpack("<Q", checkpoint[:8])[0] :]


def kept_of(history: RunFolder, client: ClientId) -> dict[str, bytes]:
    """All that a run keeps of a client, as it is and without its seal."""
    found = {}
    for artefact in history.ledger.artefacts().values():
        if artefact.client == client:
            content = history.store.content(artefact)
            found[artefact.path] = content if artefact.kind == "norms" else data_of(content)
            if artefact.path.endswith(".sealed"):
                found[f"{artefact.path} (sealed)"] = (history.path / artefact.path).read_bytes()
    return found


def everything(history: RunFolder) -> Iterator[tuple[str, bytes]]:
    """Every file of the run folder, and what the sealed ones hold."""
    for path in sorted(history.path.rglob("*")):
        if path.is_file():
            yield str(path), path.read_bytes()
    for artefact in history.ledger.artefacts().values():
        if artefact.path.endswith(".sealed"):
            yield f"{artefact.path} (opened)", history.store.content(artefact)


def found(traces: Mapping[str, bytes], where: Iterable[tuple[str, bytes]]) -> list[str]:
    """In which files something occurs of which trace."""
    needles = Needles(traces)
    return [f"{trace} in {name}" for name, content in where if (trace := needles.in_(content)) is not None]


def folder_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path), path.read_bytes()
