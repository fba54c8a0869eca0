"""Labelled pictures on disk, in the form the detector sees them.

Knows:  a shard: ``pictures`` (n, 180, 320, 3) uint8 Y U V, ``boxes`` (m, 6) float32, one ``.npy`` each.
Never:  where a picture came from.
Leaves: memory-mapped arrays.
Clauses: none.

A row of ``boxes`` is picture number, left, top, right, bottom (model pixels, 320 x 180) and kind: 1 a person,
0 a place to be ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]
Sample = tuple[Picture, Boxes]
"""A picture (180, 320, 3) and its boxes (n, 5): left, top, right, bottom, kind."""


def as_seen(small: Picture) -> Picture:
    """Turn a 640 x 360 I420 picture into (180, 320, 3) exactly as the counter does (Y averaged, half rounds up)."""
    y = small[: 640 * 360].reshape(360, 640).astype(np.uint16)
    rows = y[0::2] + y[1::2]
    luma = (rows[:, 0::2] + rows[:, 1::2] + 2) >> 2
    chroma = small[640 * 360 :].reshape(2, 180, 320)
    return np.stack([luma.astype(np.uint8), chroma[0], chroma[1]], axis=2)


def write(folder: Path, number: int, samples: Iterable[Sample]) -> int:
    """Write one shard; returns how many pictures it holds. A shard appears whole or not at all."""
    pictures, boxes = [], []
    for k, (picture, marked) in enumerate(samples):
        pictures.append(picture)
        boxes.append(np.concatenate([np.full((len(marked), 1), k, np.float32), marked.reshape(-1, 5)], axis=1))
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{number:05d}.boxes.npy", np.concatenate(boxes).astype(np.float32))
    partial = folder / f"{number:05d}.partial.npy"
    np.save(partial, np.stack(pictures))
    partial.rename(folder / f"{number:05d}.pictures.npy")
    return len(pictures)


class Shelf:
    """All shards of a folder; new ones are found by :meth:`refresh`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, tuple[Picture, list[Boxes]]] = {}
        self._index: list[tuple[str, int]] = []
        self.refresh()

    def refresh(self) -> None:
        """Open shards that have appeared since."""
        for path in sorted(self._folder.glob("*.pictures.npy")):
            name = path.name.split(".")[0]
            if name in self._open:
                continue
            pictures = np.load(path, mmap_mode="r")
            rows = np.load(self._folder / f"{name}.boxes.npy")
            split = [rows[rows[:, 0] == k, 1:] for k in range(len(pictures))]
            self._open[name] = (pictures, split)
            self._index += [(name, k) for k in range(len(pictures))]

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, number: int) -> Sample:
        name, k = self._index[number]
        pictures, boxes = self._open[name]
        return np.array(pictures[k]), boxes[k]
