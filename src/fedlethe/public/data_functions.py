# SPDX-License-Identifier: MIT
"""What the public face does with data before a run and beside all runs: look at them, and at the cache of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedlethe.document import layered
from fedlethe.errors import ConfigError
from fedlethe.outside.arguments import checked_arguments
from fedlethe.public.handed_over import Data, given_parts, handed_over, resolved_with, tables_of_parts
from fedlethe.types import ClientId

if TYPE_CHECKING:
    from fedlethe.config import RunConfig
    from fedlethe.config.presets import Layer
    from fedlethe.public.run_handle import Run
    from fedlethe.runs.cached_images import CacheCleared, CacheContent
    from fedlethe.runs.inspection import DataOverview


@checked_arguments
def inspect_data(
    data: Data | str | Mapping[str, Any] | None = None,
    *,
    partition: Mapping[str, Any] | None = None,
    seed: int | None = None,
    config: Layer | Sequence[Layer] | None = None,
    preset: str | None = None,
    out: Path | str | None = None,
) -> DataOverview:
    """Read data as a training would, and see who holds what.

    Args:
        data: As for `fedlethe.train`.
        partition: Who holds which images, where the data do not say: `{"scheme": "iid", "clients": 3}`.
        seed: Of the division.
        config: As for `fedlethe.train`.
        preset: As for `fedlethe.train`.
        out: A folder, to draw the mix of classes and some images in.

    Returns:
        How many images of each class each client has (`counts`), what was left out, and the pictures.

    Raises:
        ConfigError: A name, option or value is wrong.
        DataError: The data cannot be used.

    Example:
        >>> import fedlethe
        >>> held = fedlethe.inspect_data({"source": "phantom", "size": 16, "hospitals": 2, "images_per_hospital": 20})
        >>> sum(held.counts["train"]["hospital-0"].values()) < 20  # the others are for the test
        True
    """
    from fedlethe.config.presets import from_layers
    from fedlethe.runs.inspection import data_overview

    given = given_parts(None, handed_over("data", data), None)
    document = layered(from_layers(config, preset), tables_of_parts(None, data, None, seed))
    if partition is not None:
        document = layered(document, {"partition": dict(partition)})
    return data_overview(resolved_with(given, document), None if out is None else Path(out))


@checked_arguments
def cache_content(
    run: Path | str | Run | None = None,
    *,
    config: Layer | Sequence[Layer] | None = None,
    clients: Sequence[ClientId] = (),
    patients: Sequence[str] = (),
) -> CacheContent:
    """What the cache of decoded images holds; and of whom, where a run or a configuration says whose images are whose.

    Args:
        run: A run folder, whose data are meant; or the run itself, where its data were handed over.
        config: Or a configuration as for `fedlethe.train`, whose data are meant.
        clients: Count the images of these alone.
        patients: Count the images of these patients alone.

    Returns:
        The arrays and lists of names in the cache, with what is known of each.

    Raises:
        ConfigError: Somebody is named, and nothing says whose images are whose.
        FedletheError: A client or patient is not in the data, or the data cannot be read.

    Example:
        >>> import fedlethe
        >>> data = {"source": "phantom", "size": 16, "hospitals": 2, "images_per_hospital": 20}
        >>> _ = fedlethe.inspect_data(data)
        >>> found = fedlethe.cache_content(config={"data": data}, clients=["hospital-1"])
        >>> {"hospital-1": 20} in [dict(one.clients) for one in found.entries]
        True
    """
    from fedlethe.runs import cached_images

    return cached_images.cache_content(_whose(run, config, clients, patients), clients, patients)


@checked_arguments
def clear_cache(
    run: Path | str | Run | None = None,
    *,
    config: Layer | Sequence[Layer] | None = None,
    clients: Sequence[ClientId] = (),
    patients: Sequence[str] = (),
    everything: bool = False,
) -> CacheCleared:
    """Remove what holds decoded images or features of a client or patient, of any size and run; and lists of files.

    Images of others that lie in the same arrays are decoded again when they are needed.

    Args:
        run: See `cache_content`.
        config: See `cache_content`.
        clients: Whose images go.
        patients: Whose images go: of these patients alone.
        everything: Everybody's go, and nobody is named.

    Returns:
        The files that were removed, and what was not reached, in words.

    Raises:
        ConfigError: Nobody is named, or nothing says whose images are whose.
        FedletheError: See `cache_content`; or a file cannot be removed.

    Example:
        >>> import fedlethe
        >>> data = {"source": "phantom", "size": 16, "hospitals": 2, "images_per_hospital": 20}
        >>> _ = fedlethe.inspect_data(data)
        >>> fedlethe.clear_cache(config={"data": data}, clients=["hospital-1"]).images
        20
    """
    from fedlethe.runs import cached_images

    if everything == bool(clients or patients):
        raise ConfigError("say whose images go: name a client or patient, or say that all go; one of the two")
    if everything and (run is not None or config is not None):
        raise ConfigError("everybody's images go, whatever the data; leave the run and the options of data out")
    return cached_images.clear_cache(_whose(run, config, clients, patients), clients, patients)


def _whose(
    run: Path | str | Run | None, config: Any, clients: Sequence[ClientId], patients: Sequence[str]
) -> RunConfig | None:
    """The configuration that says whose images are whose; None where nothing was given, and nobody is named."""
    from fedlethe.config import resolve
    from fedlethe.config.presets import from_layers
    from fedlethe.runs.cached_images import config_of_run

    if run is not None and config is not None:
        raise ConfigError(f"{run}: the run says what its data are; leave the other options of data out")
    if run is not None and not isinstance(run, (Path, str)):
        return run._given.put_into(config_of_run(run.path))
    if run is not None:
        return config_of_run(Path(run))
    if config is not None:
        return resolve(from_layers(config, None))
    if clients or patients:
        raise ConfigError("say of which data the clients or patients are: name a run, or the data as for a training")
    return None
