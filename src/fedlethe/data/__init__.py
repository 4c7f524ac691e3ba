# SPDX-License-Identifier: MIT
"""The data sets, and how they are divided among clients.

A source is a frozen dataclass whose fields are its options and whose `load()` gives LabelledImages; `divide` makes
FederatedData of them. A new source is one file and one row in DATASETS.
"""

from __future__ import annotations

from fedlethe.data.covid_radiography import CovidRadiography
from fedlethe.data.federated import Source
from fedlethe.data.isic2019 import Isic2019
from fedlethe.data.medmnist import MedMnist
from fedlethe.data.nodes import Nodes
from fedlethe.data.phantom import Phantom
from fedlethe.data.table import Table

DATASETS: dict[str, type[Source]] = {
    "covid-radiography": CovidRadiography,
    "isic2019": Isic2019,
    "medmnist": MedMnist,
    "nodes": Nodes,
    "phantom": Phantom,
    "table": Table,
}
