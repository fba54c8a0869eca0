"""From the detector's raw output to people, in memory allocated once and with the same work for any street.

Knows:  int8 logits and boxes of one slice, on three grids; for the length of that slice, people's boxes.
Never:  the slice before, an order of people that means anything, a box that leaves the counter.
Leaves: how many; :meth:`wipe` overwrites the rest before the answer is sent.
Clauses: 6.1(3), 6.1(4) (a box is an anonymous row that dies with the slice).

Threshold, the best 256 cells of all grids, non-maximum suppression, the best 64, foot point in the region. Boxes come
out in half-picture pixels (320 x 180), whatever the model's own size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from firmware.flow.form import Form
from firmware.flow.slice import MOST_PERSONS

HALF_HEIGHT: Final = 180
HALF_WIDTH: Final = 320
OVERLAP: Final = 0.55
"""Of two boxes that share more than this, the better one is the person."""

CANDIDATES: Final = 256
_INDEX_BITS: Final = 12
_STEPS_A_LOGIT: Final = 40
_HIGHEST_LEVEL: Final = 1023
"""A score's level is an integer: logits from -12.8 to 12.8 in fortieths, above the 0 of "not a candidate"."""

_SMALLEST_SIDE, _LARGEST_SIDE = -6.0, 6.0
"""Logarithm of cells."""

Raw = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float32]


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

    def __init__(
        self, form: Form, scales: Sequence[Quantised], *, threshold: float, counted: npt.NDArray[np.bool_]
    ) -> None:
        """Allocate everything.

        ``scales`` are those of the outputs in the form's order; ``counted`` is a (180, 320) mask of the places where a
        foot point counts.
        """
        self._form, self._scales = form, tuple(scales)
        self._lowest = tuple(lowest_passing(threshold, heat) for heat in self._scales[0::2])
        self._counted = np.ascontiguousarray(counted).reshape(-1)
        cells = form.cells
        self._corner = np.zeros((2, cells), np.float32)
        self._size = np.zeros((2, cells), np.float32)
        self._lay_out()
        self._logit = np.zeros(cells, np.float32)
        self._level = np.zeros(cells, np.int32)
        self._passes = np.zeros(cells, np.bool_)
        self._raw = np.zeros((4, cells), np.float32)
        self._tiebreak = np.arange(cells - 1, -1, -1, dtype=np.int32)
        most = CANDIDATES
        self._at = np.zeros(most, np.int32)
        self._value = np.zeros(most, np.int32)
        self._near = np.zeros((6, most), np.float32)
        self._candidates = np.zeros((most, 4), np.float32)
        self._sides = np.zeros((2, most, most), np.float32)
        self._union = np.zeros((most, most), np.float32)
        self._area = np.zeros((2, most), np.float32)
        self._spared = np.zeros((most, most), np.bool_)
        self._spared_rows = tuple(self._spared)
        self._not_worse = np.tri(most, dtype=np.bool_)
        self._alive = np.zeros(most, np.bool_)
        self._row = np.zeros(most, np.bool_)
        self._order = np.zeros(most, np.int32)
        self._numbers = np.arange(most, dtype=np.int32)
        self._boxes = np.zeros((MOST_PERSONS, 4), np.float32)
        self._levels = np.zeros(MOST_PERSONS, np.int32)
        self._kept = np.zeros(MOST_PERSONS, np.bool_)
        self._inside = np.zeros(MOST_PERSONS, np.bool_)
        self._foot = np.zeros((2, MOST_PERSONS), np.int32)
        self._scratch = np.zeros(MOST_PERSONS, np.float32)

    def _lay_out(self) -> None:
        """Write each cell's corner (in cells) and size (half-picture pixels, across and down)."""
        across, down = HALF_WIDTH / self._form.width, HALF_HEIGHT / self._form.height
        first = 0
        for rows, columns, stride in self._form.grids:
            here = np.s_[first : first + rows * columns]
            self._corner[0, here] = np.tile(np.arange(columns), rows)
            self._corner[1, here] = np.repeat(np.arange(rows), columns)
            self._size[:, here] = ((stride * across,), (stride * down,))
            first += rows * columns

    def decode(self, outputs: Sequence[Raw]) -> int:
        """Return the number of people in the region. ``outputs`` are int8, in the form's order and shapes."""
        self._read(outputs)
        self._choose()
        self._build_boxes()
        self._measure_overlaps()
        self._suppress()
        self._keep_the_best()
        self._keep_feet_in_region()
        return int(np.count_nonzero(self._kept))

    def people(self) -> tuple[Floats, Floats]:
        """Return boxes (n, 4; left top right bottom, 320x180 half-picture pixels) and scores (n), best first.

        For evaluation on simulated streets and for the crops inside the counter; a copy, so never used where a
        real picture's boxes would outlive :meth:`wipe`.
        """
        logits = self._levels[self._kept].astype(np.float32) / _STEPS_A_LOGIT - _HIGHEST_LEVEL / _STEPS_A_LOGIT / 2
        return self._boxes[self._kept], (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)

    @property
    def boxes(self) -> Floats:
        """All 64 places (64, 4); only rows where :attr:`kept` is True are people. Our own memory, not a copy."""
        return self._boxes

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Which of the 64 places are people in the region."""
        return self._kept

    def wipe(self) -> None:
        """Overwrite every trace of the slice (6.1(4))."""
        for memory in (
            self._logit, self._level, self._passes, self._raw, self._at, self._value, self._near, self._candidates,
            self._sides, self._union, self._area, self._spared, self._alive, self._row, self._order, self._boxes,
            self._levels, self._kept, self._inside, self._foot, self._scratch,
        ):  # fmt: skip
            memory.fill(0)

    def _read(self, outputs: Sequence[Raw]) -> None:
        """Bring all grids' logits and boxes to real numbers, and find the cells that pass."""
        first = 0
        for number, (rows, columns, _) in enumerate(self._form.grids):
            here = np.s_[first : first + rows * columns]
            heat, box = outputs[2 * number].reshape(-1), outputs[2 * number + 1].reshape(-1, 4)
            np.greater_equal(heat, self._lowest[number], out=self._passes[here])
            _real(heat, self._scales[2 * number], self._logit[here])
            _real(box.T, self._scales[2 * number + 1], self._raw[:, here])
            first += rows * columns

    def _choose(self) -> None:
        """Put the best cells' numbers into ``_at`` and their levels into ``_value``, best first."""
        logit, level = self._logit, self._level
        np.multiply(logit, np.float32(_STEPS_A_LOGIT), out=logit)
        np.add(logit, np.float32(_HIGHEST_LEVEL / 2), out=logit)
        np.clip(logit, np.float32(1), np.float32(_HIGHEST_LEVEL), out=logit)
        np.copyto(level, logit, casting="unsafe")
        np.multiply(level, self._passes, out=level)
        np.left_shift(level, _INDEX_BITS, out=level)
        np.add(level, self._tiebreak, out=level)
        level.sort()  # in place; the best are at the end
        best = level[: -CANDIDATES - 1 : -1]
        np.right_shift(best, _INDEX_BITS, out=self._value)
        np.greater(self._value, 0, out=self._alive)
        np.bitwise_and(best, (1 << _INDEX_BITS) - 1, out=self._at)
        np.subtract(self._form.cells - 1, self._at, out=self._at)

    def _build_boxes(self) -> None:
        near = self._near
        for axis in (0, 1):
            middle, side, size = near[3 * axis], near[3 * axis + 1], near[3 * axis + 2]
            np.take(self._size[axis], self._at, out=size, mode="clip")
            np.take(self._raw[axis], self._at, out=middle, mode="clip")
            np.take(self._corner[axis], self._at, out=side, mode="clip")
            np.add(middle, side, out=middle)
            np.multiply(middle, size, out=middle)
            np.take(self._raw[axis + 2], self._at, out=side, mode="clip")
            np.clip(side, np.float32(_SMALLEST_SIDE), np.float32(_LARGEST_SIDE), out=side)
            np.exp(side, out=side)
            np.multiply(side, size, out=side)
            np.multiply(side, np.float32(0.5), out=side)
            np.subtract(middle, side, out=self._candidates[:, axis])
            np.add(middle, side, out=self._candidates[:, axis + 2])

    def _measure_overlaps(self) -> None:
        first, second, boxes = self._sides[0], self._sides[1], self._candidates
        for axis, side in ((0, first), (1, second)):
            np.minimum(boxes[:, None, axis + 2], boxes[None, :, axis + 2], out=side)
            np.maximum(boxes[:, None, axis], boxes[None, :, axis], out=self._union)
            np.subtract(side, self._union, out=side)
            np.maximum(side, np.float32(0), out=side)
        np.multiply(first, second, out=first)  # intersections
        area, other = self._area
        np.subtract(boxes[:, 2], boxes[:, 0], out=area)
        np.subtract(boxes[:, 3], boxes[:, 1], out=other)
        np.multiply(area, other, out=area)
        np.add(area[:, None], area[None, :], out=self._union)
        np.subtract(self._union, first, out=self._union)
        np.multiply(self._union, np.float32(OVERLAP), out=self._union)
        np.less_equal(first, self._union, out=self._spared)
        np.logical_or(self._spared, self._not_worse, out=self._spared)

    def _suppress(self) -> None:
        """Drop who overlaps somebody better. Always 256 steps: time must not tell how many there were."""
        spare = self._row
        spare.fill(0)
        for better, spared in enumerate(self._spared_rows):
            alive = self._alive if self._alive[better] else spare
            np.logical_and(alive, spared, out=alive)

    def _keep_the_best(self) -> None:
        """Bring those alive to the front, in their order, and keep 64."""
        order = self._order
        np.logical_not(self._alive, out=self._row)
        np.multiply(self._row, CANDIDATES, out=order)
        np.add(order, self._numbers, out=order)
        order.sort()
        best = order[:MOST_PERSONS]
        np.less(best, CANDIDATES, out=self._kept)
        np.bitwise_and(best, CANDIDATES - 1, out=best)
        np.take(self._candidates, best, axis=0, out=self._boxes, mode="clip")
        np.take(self._value, best, out=self._levels, mode="clip")

    def _keep_feet_in_region(self) -> None:
        """Drop whoever stands elsewhere. The foot point is the middle of the lower edge, held inside the picture."""
        across, down = self._foot[0], self._foot[1]
        np.add(self._boxes[:, 0], self._boxes[:, 2], out=self._scratch)
        np.multiply(self._scratch, np.float32(0.5), out=self._scratch)
        np.clip(self._scratch, 0, HALF_WIDTH - 1, out=self._scratch)
        np.copyto(across, self._scratch, casting="unsafe")
        np.clip(self._boxes[:, 3], 0, HALF_HEIGHT - 1, out=self._scratch)
        np.copyto(down, self._scratch, casting="unsafe")
        np.multiply(down, HALF_WIDTH, out=down)
        np.add(down, across, out=down)
        np.take(self._counted, down, out=self._inside, mode="clip")
        np.logical_and(self._kept, self._inside, out=self._kept)


def _real(values: Raw, quantised: Quantised, out: Floats) -> None:
    np.copyto(out, values)
    np.subtract(out, np.float32(quantised.zero_point), out=out)
    np.multiply(out, np.float32(quantised.scale), out=out)
