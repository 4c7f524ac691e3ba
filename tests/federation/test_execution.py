# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
import torch
from torch import nn

from fedlethe.federation.execution import BF16_PAYS_FROM, Execution

SMALL, LARGE = nn.Linear(10, 10), nn.Linear(1000, BF16_PAYS_FROM // 1000)


@pytest.mark.parametrize("has", [True, False])
def test_auto_takes_bf16_where_the_processor_has_it_and_the_network_gains(
    has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has}, raising=False)
    execution = Execution(device="cpu")
    assert execution.resolve(SMALL).precision == "float32"
    assert execution.resolve(LARGE).precision == ("bfloat16" if has else "float32")
    assert Execution(device="cpu", precision="float32").resolve(LARGE).precision == "float32"


def test_the_forward_pass_runs_at_the_precision() -> None:
    for precision, dtype in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        with Execution(device="cpu", precision=precision).autocast():  # type: ignore[arg-type]
            assert SMALL(torch.zeros(1, 10)).dtype == dtype


def test_images_and_weights_lie_channels_last() -> None:
    execution = Execution(device="cpu", precision="float32")
    network = execution.place(nn.Conv2d(3, 4, 3))
    assert network.get_parameter("weight").is_contiguous(memory_format=torch.channels_last)
    assert execution.arrange(torch.zeros(2, 3, 4, 4)).is_contiguous(memory_format=torch.channels_last)
