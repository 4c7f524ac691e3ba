# SPDX-License-Identifier: MIT
"""A bar where someone looks; in a log a line now and then."""

from __future__ import annotations

import io
import sys
import time

import pytest

from fedlethe.progress import bar, track


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_short_work_writes_nothing_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(3), 3, "counting")) == [0, 1, 2]
    with bar("counting") as advance:
        advance()
    assert capsys.readouterr() == ("", "")


def test_long_work_writes_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with bar("features, images", 2000) as advance, bar("waiting") as unknown:
        for clock[0] in (110.0, 129.0, 131.0, 150.0, 162.0):
            advance()
        unknown()

    assert capsys.readouterr().err.splitlines() == [
        "features, images: 3 of 2,000 after 31 s, about 20,636 s left",
        "features, images: 5 of 2,000 after 62 s, about 24,738 s left",
        "waiting: 1 after 62 s",
    ]


def test_a_terminal_is_shown_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert list(track("abc", 3, "reading [/x]")) == ["a", "b", "c"]
    assert "reading [/x]" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()
