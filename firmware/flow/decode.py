"""From the detector's raw output to people, in memory allocated once and with the same work for any street.

Knows:  int8 logits and distances of one slice; for the length of that slice, boxes.
Never:  the slice before, an order of people that means anything, a box that leaves the counter.
Leaves: how many; :meth:`wipe` overwrites the rest before the answer is sent.
Clauses: 6.1(3), 6.1(4) (a box is an anonymous row that dies with the slice).

Sigmoid, 3x3 local maximum, threshold, the best 64, non-maximum suppression at IoU 0.5, foot point in the region.
Comparisons are made on the int8 values themselves (a sigmoid keeps order), sums in float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from firmware.flow.slice import MOST_PERSONS

ROWS: Final = 24
COLUMNS: Final = 40
STRIDE: Final = 8
MODEL_HEIGHT: Final = 180
MODEL_WIDTH: Final = 320
OVERLAP: Final = 0.5
HEAT_SHAPE: Final = (1, ROWS, COLUMNS, 1)
BOX_SHAPE: Final = (1, ROWS, COLUMNS, 4)

_CELLS: Final = ROWS * COLUMNS
_INDEX_BITS: Final = 10

Raw = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Quantised:
    """real = scale * (value - zero_point)."""

    scale: float
    zero_point: int


def lowest_passing(threshold: float, heat: Quantised) -> int:
    """Return the smallest int8 value whose sigmoid is at least ``threshold`` (0 < threshold < 1); 128 if none is."""
    logit = math.log(threshold / (1.0 - threshold))
    return max(-128, min(128, math.ceil(logit / heat.scale + heat.zero_point - 1e-9)))


class Decoder:
    """Turns one slice's output into boxes and a number of people."""

    def __init__(self, heat: Quantised, box: Quantised, *, threshold: float, counted: npt.NDArray[np.bool_]) -> None:
        """Allocate everything; ``counted`` is a (180, 320) mask of the places where a foot point counts."""
        self._heat = heat
        self._box = box
        self._lowest = lowest_passing(threshold, heat)
        self._counted = np.ascontiguousarray(counted).reshape(-1)
        self._bordered = np.full((ROWS + 2, COLUMNS + 2), -128, np.int8)
        self._highest = np.zeros((ROWS, COLUMNS), np.int8)
        self._is_peak = np.zeros((ROWS, COLUMNS), np.bool_)
        self._passes = np.zeros((ROWS, COLUMNS), np.bool_)
        self._keys = np.zeros(_CELLS, np.int32)
        self._tiebreak = np.arange(_CELLS - 1, -1, -1, dtype=np.int32)
        self._at = np.zeros(MOST_PERSONS, np.int32)
        self._cell = np.zeros(MOST_PERSONS, np.int32)
        self._raw = np.zeros((MOST_PERSONS, 4), np.int8)
        self._value = np.zeros(MOST_PERSONS, np.int32)
        self._boxes = np.zeros((MOST_PERSONS, 4), np.float32)
        self._sides = np.zeros((2, MOST_PERSONS, MOST_PERSONS), np.float32)
        self._union = np.zeros((MOST_PERSONS, MOST_PERSONS), np.float32)
        self._area = np.zeros(MOST_PERSONS, np.float32)
        self._spared = np.zeros((MOST_PERSONS, MOST_PERSONS), np.bool_)
        self._spared_rows = tuple(self._spared)
        self._not_worse = np.tri(MOST_PERSONS, dtype=np.bool_)
        self._kept = np.zeros(MOST_PERSONS, np.bool_)
        self._row = np.zeros(MOST_PERSONS, np.bool_)
        self._foot = np.zeros((2, MOST_PERSONS), np.int32)
        self._scratch = np.zeros(MOST_PERSONS, np.float32)

    def decode(self, heat: Raw, box: Raw) -> int:
        """Return the number of people in the region. ``heat`` is (1, 24, 40, 1), ``box`` (1, 24, 40, 4), int8."""
        self._find_peaks(heat.reshape(ROWS, COLUMNS))
        self._build_boxes(box.reshape(_CELLS, 4))
        self._measure_overlaps()
        self._suppress()
        self._keep_feet_in_region()
        return int(np.count_nonzero(self._kept))

    def people(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return boxes (n, 4; left top right bottom, 320x180 model pixels) and scores (n), best first.

        For evaluation on simulated streets and for the crops inside the counter; a copy, so never used where a
        real picture's boxes would outlive :meth:`wipe`.
        """
        logits = (self._value[self._kept].astype(np.float32) - self._heat.zero_point) * self._heat.scale
        return self._boxes[self._kept], (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)

    @property
    def boxes(self) -> npt.NDArray[np.float32]:
        """All 64 candidates (64, 4); only rows where :attr:`kept` is True are people. Our own memory, not a copy."""
        return self._boxes

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Which of the 64 candidates are people in the region."""
        return self._kept

    def wipe(self) -> None:
        """Overwrite every trace of the slice (6.1(4))."""
        self._bordered.fill(-128)
        for memory in (
            self._highest, self._is_peak, self._passes, self._keys, self._at, self._cell, self._raw, self._value,
            self._boxes, self._sides, self._union, self._area, self._spared, self._kept, self._row, self._foot,
            self._scratch,
        ):  # fmt: skip
            memory.fill(0)

    def _find_peaks(self, heat: Raw) -> None:
        self._bordered[1:-1, 1:-1] = heat
        np.copyto(self._highest, heat)
        for down in range(3):
            for across in range(3):
                window = self._bordered[down : down + ROWS, across : across + COLUMNS]
                np.maximum(self._highest, window, out=self._highest)
        np.equal(heat, self._highest, out=self._is_peak)
        np.greater_equal(heat, self._lowest, out=self._passes)
        np.logical_and(self._is_peak, self._passes, out=self._is_peak)
        keys = self._keys
        np.copyto(keys, heat.reshape(-1))
        np.add(keys, 129, out=keys)  # 1..256 for a value, 0 for "not a candidate"
        np.multiply(keys, self._is_peak.reshape(-1), out=keys)
        np.left_shift(keys, _INDEX_BITS, out=keys)
        np.add(keys, self._tiebreak, out=keys)
        keys.sort()  # in place; the best 64 are at the end

    def _build_boxes(self, box: Raw) -> None:
        best = self._keys[: -MOST_PERSONS - 1 : -1]
        np.right_shift(best, _INDEX_BITS, out=self._value)
        np.greater(self._value, 0, out=self._kept)
        np.subtract(self._value, 129, out=self._value)
        np.bitwise_and(best, (1 << _INDEX_BITS) - 1, out=self._at)
        np.subtract(_CELLS - 1, self._at, out=self._at)
        np.take(box, self._at, axis=0, out=self._raw, mode="clip")
        np.copyto(self._boxes, self._raw)
        np.subtract(self._boxes, np.float32(self._box.zero_point), out=self._boxes)
        np.multiply(self._boxes, np.float32(self._box.scale), out=self._boxes)
        np.maximum(self._boxes, np.float32(0), out=self._boxes)
        for axis, part in ((0, np.remainder), (1, np.floor_divide)):
            part(self._at, COLUMNS, out=self._cell)
            np.copyto(self._scratch, self._cell, casting="unsafe")
            np.multiply(self._scratch, np.float32(STRIDE), out=self._scratch)
            np.add(self._scratch, np.float32(STRIDE / 2), out=self._scratch)
            np.subtract(self._scratch, self._boxes[:, axis], out=self._boxes[:, axis])
            np.add(self._scratch, self._boxes[:, axis + 2], out=self._boxes[:, axis + 2])

    def _measure_overlaps(self) -> None:
        first, second, boxes = self._sides[0], self._sides[1], self._boxes
        for axis, side in ((0, first), (1, second)):
            np.minimum(boxes[:, None, axis + 2], boxes[None, :, axis + 2], out=side)
            np.maximum(boxes[:, None, axis], boxes[None, :, axis], out=self._union)
            np.subtract(side, self._union, out=side)
            np.maximum(side, np.float32(0), out=side)
        np.multiply(first, second, out=first)  # intersections
        np.subtract(boxes[:, 2], boxes[:, 0], out=self._area)
        np.subtract(boxes[:, 3], boxes[:, 1], out=self._scratch)
        np.multiply(self._area, self._scratch, out=self._area)
        np.add(self._area[:, None], self._area[None, :], out=self._union)
        np.subtract(self._union, first, out=self._union)
        np.multiply(self._union, np.float32(OVERLAP), out=self._union)
        np.less_equal(first, self._union, out=self._spared)
        np.logical_or(self._spared, self._not_worse, out=self._spared)

    def _suppress(self) -> None:
        """Drop who overlaps somebody better. Always 64 steps: time must not tell how many there were."""
        spare = self._row
        spare.fill(0)
        for better, spared in enumerate(self._spared_rows):
            kept = self._kept if self._kept[better] else spare
            np.logical_and(kept, spared, out=kept)

    def _keep_feet_in_region(self) -> None:
        """Drop whoever stands elsewhere. The foot point is the middle of the lower edge, held inside the picture."""
        across, down = self._foot[0], self._foot[1]
        np.add(self._boxes[:, 0], self._boxes[:, 2], out=self._scratch)
        np.multiply(self._scratch, np.float32(0.5), out=self._scratch)
        np.clip(self._scratch, 0, MODEL_WIDTH - 1, out=self._scratch)
        np.copyto(across, self._scratch, casting="unsafe")
        np.clip(self._boxes[:, 3], 0, MODEL_HEIGHT - 1, out=self._scratch)
        np.copyto(down, self._scratch, casting="unsafe")
        np.multiply(down, MODEL_WIDTH, out=down)
        np.add(down, across, out=down)
        np.take(self._counted, down, out=self._row, mode="clip")
        np.logical_and(self._kept, self._row, out=self._kept)
