# SPDX-License-Identifier: MIT
"""Writes a working Flower app from the template in this package."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from fedlethe.errors import ConfigError


@dataclass(frozen=True, slots=True)
class NewApp:
    """An app that was written.

    Attributes:
        app: Its folder.
        files: What is in it, relative to the folder.
    """

    app: Path
    files: tuple[str, ...]

    @property
    def next_steps(self) -> str:
        """What to do with it."""
        federation = self.app / "hospitals" / "fedlethe.toml"
        return "\n".join(
            [
                f"wrote {self.app}: {', '.join(self.files)}",
                f"describe the federation in {federation}; then, with a run folder at the server:",
                f"  flwr run {self.app} --stream -c 'run=\"/srv/fedlethe/run\"'",
                f'  flwr run {self.app} --stream -c \'run="/srv/fedlethe/run" mode="erase" erase="hospital-1"\'',
                "docs/flower.md leads from a simulation on one machine to hospitals with keys of their own",
            ]
        )


def new_app(folder: Path) -> NewApp:
    """Write the template to a folder that is not there, or is empty.

    Raises:
        ConfigError: The folder is taken, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: is taken; choose another folder for the app")
    try:
        with as_file(files("fedlethe.flower.app") / "template") as template:
            shutil.copytree(template, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder") from None
    return NewApp(folder, tuple(sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())))
