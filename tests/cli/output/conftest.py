# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from fedlethe.cli.output.show import show


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], str]:
    """What is printed of a result, on a wide terminal, its spaces as one."""
    monkeypatch.setenv("COLUMNS", "400")

    def text(result: Any) -> str:
        capsys.readouterr()
        show(result, as_json=False)
        return "\n".join(" ".join(line.split()) for line in capsys.readouterr().out.splitlines())

    return text


@pytest.fixture
def as_json(capsys: pytest.CaptureFixture[str]) -> Callable[[Any], Any]:
    """The JSON object that is printed of a result."""

    def read(result: Any) -> Any:
        capsys.readouterr()
        show(result, as_json=True)
        return json.loads(capsys.readouterr().out)

    return read
