# SPDX-License-Identifier: MIT
"""PyTorch is there when it is used, and not before."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from fedlethe import later


def test_it_is_imported_by_the_first_use() -> None:
    program = (
        "import sys\nfrom fedlethe.later import functional, nn, torch\nprint('torch' in sys.modules)\n"
        "assert torch.zeros(2).sum() == 0 and nn.Linear and functional.relu\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_it_is_the_same_thing() -> None:
    assert later.torch.Tensor is torch.Tensor
    assert later.nn.Module is torch.nn.Module
    assert later.functional.relu is torch.nn.functional.relu
    with pytest.raises(AttributeError):
        getattr(later.torch, "no_such" + "_name")
