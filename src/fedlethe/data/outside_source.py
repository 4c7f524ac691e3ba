# SPDX-License-Identifier: MIT
"""Data sources that do not come with fedlethe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fedlethe.data.client_data import checked_images
from fedlethe.data.erased import arrays_there, held_to
from fedlethe.data.federated import LabelledImages, Source
from fedlethe.data.given import of_clients
from fedlethe.data.reading import EVERYTHING, Reading
from fedlethe.outside.deferred import Outside, parameters
from fedlethe.outside.plugins import frozen_dataclass


@dataclass(frozen=True, kw_only=True)
class OutsideSource:
    """A data source that does not come with fedlethe.

    Attributes:
        outside: A frozen dataclass with `load`, or a function that is called with its options; either gives
            LabelledImages, or each client's data (see `of_clients`).
    """

    outside: Outside[Source]

    def load(self, reading: Reading = EVERYTHING) -> LabelledImages:
        """See `Source.load`; the reading is handed to a `load` that takes it.

        Raises:
            FedletheError: Its code is not there, fails, or gives something else.
        """
        before = arrays_there()
        given = self._loaded(reading)
        if not isinstance(given, LabelledImages):
            return of_clients(given, self.outside.where)
        # It may have read through fedlethe's cache without the reading: then what it decoded goes again.
        held = checked_images(given, self.outside.where)
        return replace(held, images=held_to(held.images, reading, before))

    def _loaded(self, reading: Reading) -> Any:
        if not frozen_dataclass(self.outside.kind):
            return self.outside.called()
        load = self.outside.built().load
        return self.outside.guarded(lambda: load(reading) if "reading" in parameters(load) else load())
