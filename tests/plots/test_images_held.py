# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path

import numpy as np

from fedlethe.plots import images_held, style
from tests.plots.drawn import legend_names


def test_the_class_mix_stacks_and_sums() -> None:
    plot = images_held.class_mix({"a": {"normal": 4, "sick": 2}, "b": {"normal": 1}})
    assert list(plot.rows) == [("a", "normal", 4), ("a", "sick", 2), ("b", "normal", 1), ("b", "sick", 0)]
    (axis,) = plot.figure.axes
    assert [text.get_text() for text in axis.texts] == ["6", "1"]
    assert legend_names(plot) == ["normal", "sick"]


def test_a_class_mix_without_images_is_drawn(tmp_path: Path) -> None:
    style.save(images_held.class_mix({"a": {"normal": 0}}), tmp_path)


def test_the_contact_sheet_shows_the_pixels_and_says_how_many() -> None:
    pixels = np.full((2, 3, 32, 32), 7, dtype=np.uint8)
    pixels[1] = 9
    plot = images_held.contact_sheet({"a": {"normal": pixels, "sick": pixels[:0]}, "b": {"normal": pixels[:1]}})
    assert list(plot.rows) == [("a", "normal", 2), ("a", "sick", 0), ("b", "normal", 1), ("b", "sick", 0)]
    shown = np.asarray(plot.figure.axes[0].images[0].get_array())
    assert shown.shape == (32, 66, 3)  # two images and a gap of 2
    assert (shown[:, :32] == 7).all()
    assert (shown[:, 32:34] == 255).all()
    assert (shown[:, 34:] == 9).all()
    assert [axis.get_title(loc="left") for axis in plot.figure.axes[:2]] == ["normal", "sick"]
    assert [axis.get_ylabel() for axis in plot.figure.axes[::2]] == ["a", "b"]


def test_a_contact_sheet_of_many_classes_shows_fewer_images_of_each() -> None:
    pixels = np.zeros((4, 1, 8, 8), dtype=np.uint8)
    plot = images_held.contact_sheet({"a": {f"class {number}": pixels for number in range(8)}})
    assert [row[2] for row in plot.rows] == [2] * 8
