# SPDX-License-Identifier: MIT
"""Where and at what precision a network runs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Literal

from fedlethe.later import nn, torch

BF16_PAYS_FROM = 1_000_000
"""Parameters from which bf16 is the faster choice on a CPU: the small CNN is slower in it, ResNet-18 and -50 faster."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """Device and precision.

    Attributes:
        device: 'auto' takes CUDA where there is one.
        precision: 'auto' takes bf16 autocast where the processor has it and the network is large enough to gain.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    def resolve(self, network: nn.Module) -> Execution:
        """The same with 'auto' replaced by this machine's choice for this network.

        Raises:
            ValueError: CUDA is asked for and there is none.
        """
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("device 'cuda' is asked for, and PyTorch sees no CUDA device here; ask for device 'cpu'")
        device: Literal["cpu", "cuda"] = "cuda" if self.device != "cpu" and torch.cuda.is_available() else "cpu"
        if self.precision != "auto":
            return replace(self, device=device)
        large = sum(parameter.numel() for parameter in network.parameters()) >= BF16_PAYS_FROM
        return replace(self, device=device, precision="bfloat16" if large and _has_bf16(device) else "float32")

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device, its weights laid out channels-last."""
        if any(parameter.dim() == 5 for parameter in network.parameters()):  # of volumes, which have another format
            return network.to(self.device)
        return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def arrange(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, C, H, W) with the channels innermost in memory, which convolutions are fastest on.

        Inputs of another rank are as they were.
        """
        return images.contiguous(memory_format=torch.channels_last) if images.ndim == 4 else images

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which the forward pass runs."""
        return torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bfloat16")


def _has_bf16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # Any CPU computes bf16, but without these instructions by way of float32, and slower. Older versions of PyTorch do
    # not tell: then it is float32.
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(bool(capabilities.get(feature)) for feature in ("avx512_bf16", "amx_bf16", "bf16"))
