# SPDX-License-Identifier: MIT
"""Keyed fingerprints of images: who holds the key can tell whether an image that they have was among them.

Without the key they are random numbers. A copy that was made anew (scaled, compressed, turned) has another one.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Sequence

from fedlethe.data.federated import SPLITS, ClientData, Examples

SKETCH = 64
"""So many fingerprints, the smallest ones, stand for all images of a client on a node."""

SHARE = 0.10
"""A client of whose images so many are an erased client's is left out as a whole."""


def prints(secret: bytes, examples: Examples) -> list[str]:
    """One fingerprint for each example: HMAC-SHA-256 of its pixels, 32 hexadecimal digits; "" where all are equal.

    Images of one colour are many hospitals', so they tell nothing of whose they are.
    """
    found = []
    for row in examples.indices:
        image = examples.images[row]
        # The shape as well: the same bytes as a wider and lower image are another picture.
        content = "x".join(map(str, image.shape)).encode() + image.tobytes()
        found.append("" if image.min() == image.max() else hmac.digest(secret, content, "sha256")[:16].hex())
    return found


def prints_of(secret: bytes, client: ClientData) -> list[str]:
    """The fingerprints of all images of a client, each once, sorted, so that their order tells nothing."""
    return sorted({one for split in SPLITS for one in prints(secret, client.split(split))} - {""})


def sketch(found: Iterable[str]) -> list[str]:
    """The smallest fingerprints of a set: of two sets they tell about how much is in both (see `shared`)."""
    return sorted(set(found))[:SKETCH]


def shared(one: Sequence[str], other: Sequence[str]) -> float:
    """About which share of the first set's images is in the second one, from the sketches of both.

    Below the smaller of the two largest fingerprints the sketches hold everything that there is, so that the share
    there is an unbiased estimate; a sketch that is not full holds its whole set.
    """
    # A full sketch says nothing of prints above its largest one: what is cut off there is not missing.
    ends: Collection[str] = [held[-1] for held in (one, other) if len(held) >= SKETCH]
    mine = {entry for entry in one if all(entry <= end for end in ends)}
    return len(mine & set(other)) / len(mine) if mine else 0.0
