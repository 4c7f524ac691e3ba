# SPDX-License-Identifier: MIT
"""A node's one release of statistics with noise: drawn once, kept, and sent again as it was.

Noise that is drawn anew for every request averages out. So a node keeps what it sent, with what it was made of. Of the
same images and settings it sends the same bytes; of anything else (the server's configuration may ask for another size,
dimension or epsilon) it refuses, since a second release tells more than epsilon says. Who accepts that moves the file.

It lies in $FEDLETHE_STATE, or else in the user's folder for state, and not in the cache: a cache may be emptied at any
time, and after that the node would draw noise anew.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from fedlethe.closed_form.by_class import ByClass
from fedlethe.closed_form.sent import noise_of, rows
from fedlethe.closed_form.settings import ClosedFormSettings
from fedlethe.data.cache import cache_folder, digest, private_place
from fedlethe.data.federated import FederatedData
from fedlethe.errors import ConfigError, DataError
from fedlethe.files import ASIDE
from fedlethe.types import ClientId

KEY_BYTES = 32
STATE = "FEDLETHE_STATE"


def state_folder() -> Path:
    """$FEDLETHE_STATE, or else the folder that the operating system has for what a program must not forget."""
    if chosen := os.environ.get(STATE):
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_state_dir("fedlethe"))


def released(
    simulated: ClientId | None, data: FederatedData, images: FederatedData, settings: ClosedFormSettings
) -> ByClass:
    """The statistics with noise that this node sends, the same however often it is asked.

    Args:
        simulated: Which client of divided data the node plays; None for a node with images of its own, which has one
            release, since whoever asks could give it many names.
        data: The features of this client alone.
        images: What they were made of.
        settings: What is asked for.

    Raises:
        DataError: It sent others before.
        ConfigError: The server would know the noise, or the file cannot be used.
    """
    if settings.epsilon is None or settings.noise_seed is not None:
        raise ConfigError("closed_form.noise_seed: noise from a seed that the server knows hides nothing; leave it out")
    (client,) = data.clients
    own = rows(data.clients[client].train, settings, len(data.classes))
    made_of = {"rows": hashlib.sha256(own.content()).hexdigest(), "features": data.fingerprint, **_noise(settings)}
    made = digest(json.dumps(made_of, sort_keys=True))
    place = _release(simulated)
    if (old := next((cache_folder() / "releases").glob("*.release"), None)) is not None:
        raise ConfigError(f"{old}: this node's release lies in the cache, which may be emptied; move it to {place}")
    if place.is_file():
        return _kept(place, made)
    if (plain := _plain(simulated)).is_file():
        raise DataError(
            f"{plain}: this node sent statistics of its images without noise before, so noise would hide nothing from "
            "whoever has them; where the hospital accepts that, it removes this file"
        )
    noisy = own.noisy(settings.epsilon, settings.delta, settings.radius, noise_of(settings, client))
    _once(place, bytes.fromhex(made) + _divided(images) + noisy.content())
    return _kept(place, made)


def demand_as_released(simulated: ClientId | None, images: FederatedData, noisy: bool) -> None:
    """Refuse all that would tell more of images of which statistics with noise were sent before.

    Args:
        simulated: See `released`.
        images: Of this client alone, divided as they are asked for.
        noisy: Whether this is the closed form with noise.

    Raises:
        DataError: Noisy statistics were sent, and something else is asked for: no noise, a network's training, or
            the same images divided otherwise, so that what was trained on is tested on.
    """
    place = _release(simulated)
    if not place.is_file() or (noisy and place.read_bytes()[32:64] == _divided(images)):
        return
    what = "with other images, or the same divided otherwise" if noisy else "without noise"
    raise DataError(
        f"{place}: this node sent statistics with noise before, and is asked {what}; where the hospital accepts that, "
        "it moves this file away"
    )


def note_plain(simulated: ClientId | None) -> None:
    """Keep in mind that statistics without noise were sent."""
    if simulated is None and not (place := _plain(simulated)).is_file():
        _once(place, b"statistics without noise were sent\n")


def _plain(simulated: ClientId | None) -> Path:
    return _release(simulated).with_suffix(".plain")


def has_released(simulated: ClientId | None) -> bool:
    """Whether this node sent statistics with noise."""
    return _release(simulated).is_file()


def _divided(images: FederatedData) -> bytes:
    return hashlib.sha256(images.fingerprint.encode()).digest()


def _release(simulated: ClientId | None) -> Path:
    return _place("own.release" if simulated is None else f"{digest(simulated)[:40]}.release")


def _noise(settings: ClosedFormSettings) -> dict[str, object]:
    return {name: value for name, value in asdict(settings).items() if name in ("epsilon", "delta", "radius")}


def _kept(place: Path, made: str) -> ByClass:
    content = place.read_bytes()
    if content[:32].hex() != made:
        raise DataError(
            f"{place}: this node released statistics of other images, settings or under another name before, and a "
            "further release adds to what is told of each image; where the hospital accepts that, it moves this "
            f"file away (each hospital's node has a {STATE} of its own)"
        )
    return ByClass.read(content[64:], place)


def keyed(fingerprint: str) -> str:
    """A fingerprint of images that only this node can make: an HMAC with a key that it keeps."""
    place = _place("fingerprint.key")
    if not place.is_file():
        _once(place, secrets.token_bytes(KEY_BYTES))
    return hmac.new(place.read_bytes(), fingerprint.encode(), "sha256").hexdigest()


def _place(name: str) -> Path:
    return private_place(state_folder(), "releases", "released statistics", STATE) / name


def _once(place: Path, content: bytes) -> None:
    """Write it beside its place and link it there: whole or not at all, and never over one that is there."""
    aside = place.with_name(f"{place.name}.{os.getpid()}-{secrets.token_hex(4)}{ASIDE}")
    try:
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(aside, place)
    except OSError as error:
        raise ConfigError(f"{place}: cannot be written ({error.strerror}); set {STATE} to another") from None
    finally:
        aside.unlink(missing_ok=True)
