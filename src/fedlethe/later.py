# SPDX-License-Identifier: MIT
"""PyTorch, imported when it is first used: it takes a second, and most commands compute nothing.

A module of this package says `from fedlethe.later import torch` and goes on as if it had imported it. Annotations stay
text, and import nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch as torch
    from torch import nn as nn
    from torch.nn import functional as functional
else:

    class Later:
        """Stands for a module until one of its names is asked for."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, name: str) -> Any:
            """What the module has under this name; kept, so that it is looked up once."""
            found = getattr(import_module(self._name), name)
            setattr(self, name, found)
            return found

    torch, nn, functional = Later("torch"), Later("torch.nn"), Later("torch.nn.functional")
