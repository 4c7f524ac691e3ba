# SPDX-License-Identifier: MIT
"""What is imported when it is first used: PyTorch, which takes a second, and the names of the public modules.

A module of this package says `from fedlethe.later import torch` and goes on as if it had imported it. Annotations stay
text, and import nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any


def names_from(module: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's `__getattr__` by which its names are imported when they are asked for.

    Args:
        module: Its name.
        places: Name to the module that has it, below 'fedlethe.'.
    """

    def asked(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return getattr(import_module(f"fedlethe.{places[name]}"), name)

    return asked


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
