# SPDX-License-Identifier: MIT
"""One client's data as a Python program has them: arrays, a PyTorch data set, or a source of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fedlethe.data.cache import origins
from fedlethe.data.federated import SPLITS, LabelledImages, Labels, Names
from fedlethe.errors import DataError
from fedlethe.outside.plugins import guarded
from fedlethe.text import with_article

T = TypeVar("T")

FLOATS = (np.float32, np.float64, np.float16)

MOST_CLASSES = 2**15
"""More are no classes but numbers of something else: patients, say, or images."""

_FORMS = "give a pair of arrays (x, y), a torch Dataset or a source"


@dataclass(frozen=True, slots=True, eq=False)
class ClientArrays:
    """One client's data, checked.

    Attributes:
        x: uint8, float32 or int64, shape (n, ...), n above 0.
        y: int64, shape (n,), from 0.
        classes: The classes' names, where a source knows them.
        groups: Shape (n,): the patient of each, where a source knows it.
        splits: Shape (n,): the official split of each, where a source knows it.
        identities: What stands for each in the cache's index, where a source read them through the cache.
    """

    x: npt.NDArray[Any]
    y: Labels
    classes: tuple[str, ...] | None = None
    groups: Names | None = None
    splits: Names | None = None
    identities: tuple[str, ...] | None = None


def client_arrays(given: Any, where: str) -> ClientArrays:
    """One client's data (see `given.of_clients`); `where` names the client.

    Raises:
        DataError: They are of another form, type or shape, or cannot be read.
    """
    if isinstance(given, type):
        raise DataError(f"{where}: has the class {given.__name__}; give an instance, {given.__name__}(...)")
    if callable(getattr(given, "load", None)):
        return _of_source(_guarded(given.load, where), where)
    if isinstance(given, tuple) and len(given) == 2:
        x, y = (_array(part, where) for part in given)
    elif _is_dataset(given):
        x, y = _of_dataset(given, where)
    else:
        named = "; the name of a source stands alone, or as {'source': NAME}" if isinstance(given, str) else ""
        raise DataError(f"{where}: has {with_article(given)}; {_FORMS}{named}")
    examples = _examples(x, where)
    return ClientArrays(examples, _labels(y, len(examples), where))


def checked_images(images: LabelledImages, where: str) -> LabelledImages:
    """What somebody else's source gives, its arrays as they have to be; `where` names the source.

    Raises:
        DataError: An array is of another type or length, or a label of no class.
    """
    examples: Any = images.images
    _demand_unmasked(examples, where)
    of_cache = getattr(examples, "dtype", None) == np.uint8 and examples.ndim > 3 and len(examples)
    if not of_cache:  # such a one may lie on disk, and is not touched
        examples = _examples(_array(examples, where), where)
    count = len(examples)
    labels = _labels(_array(images.labels, where), count, where)
    if not (isinstance(images.classes, tuple) and images.classes and all(isinstance(c, str) for c in images.classes)):
        raise DataError(f"{where}: has no classes; give their names, a tuple of texts, in the order of the labels")
    if labels.max() >= len(images.classes):
        known = ", ".join(images.classes)
        raise DataError(f"{where}: has the label {labels.max()}, and its classes are {known}; correct the labels")
    if not (isinstance(images.fingerprint, str) and images.fingerprint):
        raise DataError(f"{where}: has no fingerprint; give a digest of the images and labels, as a text")
    for name in ("sites", "groups", "splits"):
        names = getattr(images, name)
        if names is not None and (np.shape(names) != (count,) or np.asarray(names).dtype.kind != "U"):
            raise DataError(f"{where}: has {name} of shape {np.shape(names)}; give an array of texts, shape ({count},)")
    if images.splits is not None and (odd := sorted(set(images.splits.tolist()) - set(SPLITS))):
        raise DataError(f"{where}: has the split '{odd[0]}'; there is {', '.join(SPLITS)}")
    return replace(images, images=examples, labels=labels)


def _of_source(images: Any, where: str) -> ClientArrays:
    if not isinstance(images, LabelledImages):
        raise DataError(f"{where}: its load() gives {with_article(images)}; return LabelledImages")
    held = checked_images(images, where)
    identities = origins(held.images, np.arange(len(held.images)))
    return ClientArrays(held.images, held.labels, held.classes, held.groups, held.splits, identities)


def _is_dataset(given: Any) -> bool:
    """Whether it has a length and numbered items, and is no array, table, text or plain list."""
    others = isinstance(given, (Mapping, str, bytes, tuple, list)) or hasattr(given, "dtype") or hasattr(given, "iloc")
    return not others and hasattr(given, "__getitem__") and hasattr(given, "__len__")


def _of_dataset(given: Any, where: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The x and y of a torch Dataset: its items, each a pair."""
    items = _guarded(lambda: [given[number] for number in range(len(given))], where)
    if not items:
        raise DataError(f"{where}: is empty; leave it out")
    for number, item in enumerate(items):
        if not (isinstance(item, (tuple, list)) and len(item) == 2):
            raise DataError(f"{where}: its item {number} is {with_article(item)}, and no pair; give pairs (x, y)")
    x, y = ([_array(item[part], where) for item in items] for part in (0, 1))
    shapes = {one.shape for one in x}
    if len(shapes) > 1:
        known = ", ".join(map(str, sorted(shapes)))
        raise DataError(f"{where}: its items have x of other shapes ({known}); make them one")
    if (odd := next((one for one in y if one.size != 1), None)) is not None:
        raise DataError(f"{where}: its items have y of shape {odd.shape}; give one class number each")
    return np.stack(x), np.stack([one.reshape(()) for one in y])


def _array(value: Any, where: str) -> npt.NDArray[Any]:
    """An array, tensor, picture or nested list as an array, wherever a tensor lies."""
    _demand_unmasked(value, where)

    def read() -> npt.NDArray[Any]:
        plain = value.detach().cpu() if hasattr(value, "detach") else value
        return np.asarray(plain.float() if str(getattr(plain, "dtype", "")) == "torch.bfloat16" else plain)

    return _guarded(read, where)


def _demand_unmasked(value: Any, where: str) -> None:
    """Refuse a masked array of numpy's: what lies under its mask would be trained on."""
    if np.ma.is_masked(value):
        raise DataError(f"{where}: holds masked values; leave these examples out, or fill the values: array.filled(0)")


def _guarded(call: Callable[[], T], where: str) -> T:
    """What a call of somebody else's code gives.

    Raises:
        DataError: It fails; one line says where.
    """
    return guarded(call, where, _FORMS, DataError)


def _examples(x: npt.NDArray[Any], where: str) -> npt.NDArray[Any]:
    given = f"{where}: has x of {x.dtype}, shape {x.shape}"
    whole = np.issubdtype(x.dtype, np.integer)
    if not (whole or x.dtype.newbyteorder("=") in FLOATS):
        raise DataError(f"{given}; give uint8 images, floats or whole numbers")
    if x.ndim < 2:
        raise DataError(f"{given}; give each example a row, shape (n, ...), as in x.reshape(n, -1)")
    if not x.size:
        raise DataError(f"{given}; give at least one example, with at least one value")
    if x.dtype == np.uint8:
        return np.ascontiguousarray(x[:, None] if x.ndim == 3 else x)
    if whole:  # numbers of words, say: an embedding looks them up, so they stay what they are
        if x.dtype == np.uint64 and x.max() > np.iinfo(np.int64).max:
            raise DataError(f"{where}: x holds {x.max()}, which int64 does not; give smaller numbers")
        return np.ascontiguousarray(x, dtype=np.int64)
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and is refused as that
        held = np.ascontiguousarray(x, dtype=np.float32)
    if not np.isfinite(held).all():
        raise DataError(f"{where}: x holds values that are not finite in float32; mend or leave out these examples")
    return held


def _labels(y: npt.NDArray[Any], count: int, where: str) -> Labels:
    given = f"{where}: has y of {y.dtype}, shape {y.shape}"
    if not np.issubdtype(y.dtype, np.integer):
        raise DataError(f"{given}; give class numbers, whole numbers from 0")
    if y.shape != (count,):
        raise DataError(f"{given}; give one class number for each example, shape ({count},)")
    if y.min() < 0:
        raise DataError(f"{where}: y holds {y.min()}; give class numbers from 0")
    return np.ascontiguousarray(y, dtype="<i8")
