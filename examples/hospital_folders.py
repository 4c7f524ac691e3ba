# SPDX-License-Identifier: MIT
"""A MedMNIST file as three hospitals' own folders: images, a table of them, and what their Flower nodes are told.

    python examples/hospital_folders.py DATA/pneumoniamnist.npz hospitals

On real machines each hospital has such a folder of its own; docs/flower.md goes on from here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

HOSPITALS = 3
NODE = """[data]
source = "table"
path = "images.csv"
size = 28
classes = ["normal", "pneumonia"]
client_column = ""
"""


def main(archive: Path, out: Path) -> None:
    """Deal the images out at random, the same on every call."""
    content = np.load(archive)
    generator = np.random.default_rng(0)
    rows: list[list[str]] = [[] for _ in range(HOSPITALS)]
    for split in ("train", "val", "test"):
        images, labels = content[f"{split}_images"], content[f"{split}_labels"].ravel()
        for place, index in enumerate(generator.permutation(len(labels))):
            folder = out / f"hospital-{place % HOSPITALS}"
            (folder / "images").mkdir(parents=True, exist_ok=True)
            name = f"images/{split}-{index:05d}.png"
            Image.fromarray(images[index]).save(folder / name)
            label = ("normal", "pneumonia")[int(labels[index])]
            rows[place % HOSPITALS].append(f"{name},{label},{'validation' if split == 'val' else split}")
    for number, own in enumerate(rows):
        folder = out / f"hospital-{number}"
        (folder / "images.csv").write_text("path,label,split\n" + "\n".join(own) + "\n", encoding="utf-8")
        (folder / "node.toml").write_text(NODE, encoding="utf-8")
        print(f"{folder}: {len(own)} images")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
