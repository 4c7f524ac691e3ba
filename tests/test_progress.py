# SPDX-License-Identifier: MIT
"""A bar where someone looks; nothing in a log."""

from __future__ import annotations

import io
import sys

import pytest

from fedlethe.progress import bar, track


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_is_written_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(3), 3, "counting")) == [0, 1, 2]
    with bar("counting") as advance:
        advance()
    assert capsys.readouterr() == ("", "")


def test_a_terminal_is_shown_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert list(track("abc", 3, "reading [/x]")) == ["a", "b", "c"]
    assert "reading [/x]" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()
