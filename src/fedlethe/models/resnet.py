# SPDX-License-Identifier: MIT
"""ResNet-18 and ResNet-50 (He et al., 2016), from MONAI, with torchvision's parameter names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fedlethe import files, tensors
from fedlethe.errors import ConfigError
from fedlethe.later import nn, torch

GROUPS = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class ResNet50:
    """ResNet-50: 23,505,858 parameters at 1 channel and 2 classes.

    Attributes:
        norm: 'batch', as in the paper, or 'group' (Wu & He, 2018; 32 groups).
        weights: A safetensors file of an ImageNet state dict with torchvision's names; see `load_imagenet`.
    """

    norm: Literal["batch", "group"] = "batch"
    weights: Path | None = None

    def build(self, in_channels: int, num_classes: int) -> nn.Module:
        """The network, for images (N, in_channels, H, W) with H, W >= 32, to logits (N, num_classes)."""
        from monai.networks.nets.resnet import resnet50

        return _finished(resnet50(**_arguments(in_channels, num_classes)), self.norm, self.weights)


@dataclass(frozen=True, kw_only=True, slots=True)
class ResNet18:
    """ResNet-18; the fields are those of `ResNet50`."""

    norm: Literal["batch", "group"] = "batch"
    weights: Path | None = None

    def build(self, in_channels: int, num_classes: int) -> nn.Module:
        """The network, for images (N, in_channels, H, W) with H, W >= 32, to logits (N, num_classes)."""
        from monai.networks.nets.resnet import resnet18

        network = resnet18(shortcut_type="B", **_arguments(in_channels, num_classes))
        return _finished(network, self.norm, self.weights)


def load_imagenet(network: nn.Module, path: Path) -> None:
    """Load an ImageNet state dict by name, in place.

    The first layer is summed over RGB where the network takes one channel (the answer to a gray image is then the
    answer to the same image in three equal channels). The last layer stays as it is where the classes differ.

    Raises:
        FedletheError: The file is missing, a pickle, or lacks a tensor of the network; the message names it.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such weights file")
    loaded = {
        name: torch.from_numpy(array)
        for name, array in tensors.read_arrays(files.content_of(path), path)[0].items()
        if array.dtype.kind == "f"
    }
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("num_batches_tracked") or (name.startswith("fc.") and _differs(loaded, name, tensor)):
                continue
            if name == "conv1.weight" and tensor.shape[1] == 1 and name in loaded:
                loaded[name] = loaded[name].sum(dim=1, keepdim=True)
            if _differs(loaded, name, tensor):
                raise ConfigError(f"{path}: '{name}' is missing or has another shape than {tuple(tensor.shape)}")
            tensor.copy_(loaded[name])


def _differs(loaded: dict[str, torch.Tensor], name: str, tensor: torch.Tensor) -> bool:
    return name not in loaded or loaded[name].shape != tensor.shape


def _arguments(in_channels: int, num_classes: int) -> dict[str, Any]:
    return {
        "spatial_dims": 2,
        "n_input_channels": in_channels,
        "num_classes": num_classes,
        "conv1_t_stride": 2,
        "bias_downsample": False,
    }


def _finished(network: nn.Module, norm: str, weights: Path | None) -> nn.Module:
    if norm == "group":
        _replace_batch_norm(network)
    if weights is not None:
        load_imagenet(network, weights)
    return network


def _replace_batch_norm(network: nn.Module) -> None:
    """Put group norm in the place of every batch norm (MONAI's own `norm` reaches the first of them only)."""
    for name, module in list(network.named_children()):
        if isinstance(module, nn.BatchNorm2d):
            setattr(network, name, nn.GroupNorm(GROUPS, module.num_features))
        else:
            _replace_batch_norm(module)
