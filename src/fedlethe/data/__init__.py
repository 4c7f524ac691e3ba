# SPDX-License-Identifier: MIT
"""The data sets, and how they are divided among clients.

A source is a frozen dataclass whose fields are its options and whose `load(reading)` gives LabelledImages; `divide`
makes FederatedData of them. A new source is one file and one row in DATASETS.
"""

from __future__ import annotations

import inspect
from typing import Any

from fedlethe.data.federated import Source
from fedlethe.outside.plugins import Registry, frozen_dataclass, lacking

__all__ = ["DATASETS"]


def _problem(kind: Any) -> str | None:
    if inspect.isfunction(kind):
        return None
    if not frozen_dataclass(kind):
        return (
            "is no data source; make it a function that returns {client: (images, labels)}, or a frozen dataclass with "
            "load()"
        )
    return lacking(kind, {"load": "def load(self) -> LabelledImages"})


DATASETS: Registry[type[Source]] = Registry(
    "data source",
    "fedlethe.data_sources",
    {
        "covid-radiography": "fedlethe.data.covid_radiography:CovidRadiography",
        "isic2019": "fedlethe.data.isic2019:Isic2019",
        "medmnist": "fedlethe.data.medmnist:MedMnist",
        "nodes": "fedlethe.data.nodes:Nodes",
        "phantom": "fedlethe.data.phantom:Phantom",
        "table": "fedlethe.data.table:Table",
    },
    _problem,
    """The data sets, by name: what `fedlethe.train(data=...)` takes, alone or with options.

    A row is a frozen dataclass whose fields are the options. An import path such as 'mylab.cohort:load' is a key, too,
    but in no list: it names a function that gives each client its images and labels.

    Example:
        >>> import dataclasses, fedlethe
        >>> [option.name for option in dataclasses.fields(fedlethe.DATASETS["phantom"])]
        ['hospitals', 'images_per_hospital', 'size', 'seed']
        >>> held = fedlethe.inspect_data({"source": "phantom", "hospitals": 2, "images_per_hospital": 20, "size": 16})
        >>> list(held.counts["test"])
        ['hospital-0', 'hospital-1']
    """,
)
