# SPDX-License-Identifier: MIT
"""Which training images each client holds: their number by class, and some of them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fedlethe.plots.style import (
    FILLS,
    HATCHES,
    Plot,
    blank,
    legend_below,
    legend_label,
    styled,
)
from fedlethe.types import ClientId

if TYPE_CHECKING:
    from matplotlib.axes import Axes


ACROSS = 16
"""Images beside each other on a contact sheet, at most: more would be too small to see."""


def class_mix(counts: Mapping[ClientId, Mapping[str, int]]) -> Plot:
    """Training images of each client, by class.

    Args:
        counts: Client to class to number of images; at least one client.
    """
    title = "Who holds what: training images by class"
    clients = list(counts)
    classes = list(dict.fromkeys(name for held in counts.values() for name in held))
    with styled():
        figure = blank(title, 8.0, 1.8 + 0.36 * len(clients))
        axis = figure.subplots()
        left = np.zeros(len(clients))
        for index, name in enumerate(classes):
            held = np.array([counts[client].get(name, 0) for client in clients])
            bars = axis.barh(range(len(clients)), held, left=left, label=legend_label(name), edgecolor="white")
            for bar in bars:
                bar.set(facecolor=FILLS[index % len(FILLS)], hatch=HATCHES[index % len(HATCHES)])
            left += held
        for place, total in enumerate(left):
            axis.annotate(f"{total:,.0f}", (total, place), (4, 0), textcoords="offset points", va="center")
        axis.set_yticks(range(len(clients)), clients)
        axis.set_xlim(0, 1.1 * max(left.max(), 1))
        axis.set_ylim(len(clients) - 0.4, -0.6)
        axis.set_xlabel("training images (number)")
        axis.set_ylabel("hospital")
        axis.grid(axis="y", visible=False)
        legend_below(figure, axis)
    rows = [(client, name, counts[client].get(name, 0)) for client in clients for name in classes]
    caption = "The training images of each hospital; a bar's end shows their sum. Test images are kept apart."
    return Plot("class-mix", title, caption, figure, ("client", "class", "images"), rows)


def contact_sheet(images: Mapping[ClientId, Mapping[str, npt.NDArray[np.uint8]]]) -> Plot:
    """Some images of each client and class, no more than fit beside each other.

    Args:
        images: Client to class to uint8 images, shape (n, C, H, W); C is 1 or 3. At least one client and class.
    """
    title = "Some training images of each hospital"
    classes = list(dict.fromkeys(name for held in images.values() for name in held))
    most = max(1, ACROSS // len(classes))
    shown = {client: {name: held[name][:most] for name in classes if name in held} for client, held in images.items()}
    widths = [max(1, *(len(held.get(name, ())) for held in shown.values())) for name in classes]
    size = min(0.9, 8.2 / sum(widths))
    with styled():
        figure = blank(title, 1.4 + size * sum(widths), 0.8 + (size + 0.05) * len(images), gaps=0.03)
        grid = figure.subplots(len(images), len(classes), squeeze=False, width_ratios=widths)
        for (client, held), row in zip(shown.items(), grid, strict=True):
            for name, width, axis in zip(classes, widths, row, strict=True):
                _strip(axis, held.get(name), width)
            row[0].set_ylabel(client, rotation=0, ha="right", va="center")
        for name, width, axis in zip(classes, widths, grid[0], strict=True):
            axis.set_title("\n".join(textwrap.wrap(name, max(8, int(11 * size * width)))), loc="left")
    rows = [(client, name, len(held.get(name, ()))) for client, held in shown.items() for name in classes]
    caption = "A few training images of each hospital, by class, as the model gets them."
    return Plot("images", title, caption, figure, ("client", "class", "images_shown"), rows)


def _strip(axis: Axes, images: npt.NDArray[np.uint8] | None, width: int) -> None:
    """So many images side by side; white where there are fewer."""
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    if images is None or not len(images):
        axis.text(0, 0.5, "none", transform=axis.transAxes, va="center", color="#555555")
        return
    pixels = images.repeat(3, axis=1) if images.shape[1] == 1 else images  # (n, 3, H, W)
    gap = max(1, pixels.shape[3] // 16)
    count, channels, height, across = pixels.shape
    sheet = np.full((height, width * (across + gap) - gap, channels), 255, dtype=np.uint8)
    for index in range(count):
        start = index * (across + gap)
        sheet[:, start : start + across] = pixels[index].transpose(1, 2, 0)
    axis.imshow(sheet, interpolation="nearest" if across < 64 else "antialiased")
