# SPDX-License-Identifier: MIT
"""Names that become parts of paths: of clients, and of files in a run folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from fedlethe.errors import ConfigError

LONGEST = 100
"""Characters of a client's name: a file name holds 255 bytes, and endings, key ids and process ids come after it."""

CLIENT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def demand_client_name(name: str, what_to_do: str = "rename the site in the data") -> str:
    """A client's name, if it can name files and folders on every disk.

    Raises:
        FedletheError: It cannot.
    """
    shown = name if len(name) <= LONGEST else f"{name[:20]}..."
    if not CLIENT_NAME.fullmatch(name) or name.endswith("."):
        raise ConfigError(
            f"client '{shown}': the name must be letters, digits, '.', '_' and '-', and not begin with '.' or '-' or "
            f"end with '.'; {what_to_do}"
        )
    if len(name) > LONGEST:
        raise ConfigError(f"client '{shown}': the name has {len(name)} characters, at most {LONGEST}; {what_to_do}")
    return name


def demand_apart(names: Iterable[str], what_to_do: str = "rename one of the sites in the data") -> None:
    """Refuse two clients that a disk which takes capitals and small letters for the same would put in one folder.

    Raises:
        FedletheError: Two names are the same but for capitals.
    """
    known: dict[str, str] = {}
    for name in sorted(set(names)):
        other = known.setdefault(name.casefold(), name)
        if other != name:
            raise ConfigError(f"clients '{other}' and '{name}' differ by capitals alone; {what_to_do}")


def is_plain_path(path: object) -> bool:
    """Whether something is a relative path of plain names, which leads nowhere but down."""
    return isinstance(path, str) and len(path) < 1024 and all(_PART.fullmatch(part) for part in path.split("/"))


def is_plain_name(name: object) -> bool:
    """Whether something is one plain name of a file, without folders."""
    return is_plain_path(name) and "/" not in str(name)


def inside(folders: Mapping[str, str], kind: str, path: str) -> bool:
    """Whether a path lies below the folder of its kind."""
    return kind in folders and path.startswith(f"{folders[kind]}/")
