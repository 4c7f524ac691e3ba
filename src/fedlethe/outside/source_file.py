# SPDX-License-Identifier: MIT
"""Which code it is: the file that a class or function is written in, known by its bytes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedlethe.errors import ConfigError
from fedlethe.files import sha256_of


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """The code behind a name.

    Attributes:
        name: The name.
        path: The file that it is written in.
        sha256: Of that file.
    """

    name: str
    path: str
    sha256: str

    @classmethod
    def of(cls, name: str, kind: Any) -> SourceFile:
        """The file of a class or function that has this name in a registry.

        Raises:
            FedletheError: It is in no file.
        """
        try:
            file = inspect.getsourcefile(inspect.unwrap(kind))
        except TypeError:
            file = None
        if file is None or not Path(file).is_file():
            raise ConfigError(f"'{name}': is written in no file that a run could name; put it into a module")
        return cls(name=name, path=str(Path(file).resolve()), sha256=sha256_of(Path(file)))

    def demand(self, known: Mapping[str, Any], where: str) -> None:
        """Refuse code that is not the one that a run was trained with.

        Args:
            known: What the run has on record.
            where: Names the run and what this is.

        Raises:
            FedletheError: The file has changed.
        """
        if self.sha256 != known.get("sha256"):
            raise ConfigError(
                f"{where} '{self.name}': {self.path} is not the file that it was trained with (SHA-256 "
                f"{self.sha256[:12]}, not {str(known.get('sha256'))[:12]}); put the file back as it was (then: "
                f"{known.get('path')}), or train again"
            )
