# SPDX-License-Identifier: MIT
import pytest

from fedlethe.data.nodes import Nodes
from fedlethe.errors import FedletheError


def test_it_holds_no_images_and_says_where_they_are_named() -> None:
    with pytest.raises(FedletheError, match=r"each Flower node names its images, with data=\.\.\. in its --node-c"):
        Nodes().load()
